//! A module's state, or that of all accounts, as lines of JSON: to read, archive, or move to another store.
//!
//! The first line says which state follows, the last line counts the rows, and each line between them is a
//! row. An import refuses a file without its last line, so that nothing takes half an export for
//! the whole.

mod line;

use std::io::{BufRead, Read as _, Write};
use std::ops::ControlFlow;

use nexum_config::names::ModuleName;
use nexum_core::state::admin::{self, CapabilityImport, Import, ImportError};
use nexum_core::store::{StateStore, StoreError, View};

use self::line::{Line, capability_of_line, line, line_of_capability, row};

/// The version of the format.
pub const TRANSFER_FORMAT: u32 = 2;

/// The longest line, in bytes: the record of an event that overwrote 128 MiB, in hexadecimal
/// digits.
pub const LINE_BYTES_MAX: usize = 256 << 20;

/// The number of rows between two calls of `progress`.
const PROGRESS_EVERY: u64 = 256;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The store has no such module.
    #[error("the store has no module {0}")]
    NoModule(ModuleName),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lines cannot be written.
    #[error("the export cannot be written")]
    Write(#[from] std::io::Error),
}

/// Why an import failed. The store is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// A line that no export writes.
    #[error("line {line}: {what}")]
    Line {
        /// The line's number, from 1.
        line: u64,
        /// The fault of the line.
        what: String,
    },
    /// The last line is missing, or other lines are.
    #[error("the export is not whole: it ends after {rows} rows without saying so")]
    Partial {
        /// The number of rows in the file.
        rows: u64,
    },
    /// The lines cannot be read.
    #[error("the export cannot be read")]
    Read(#[from] std::io::Error),
    /// The store refuses the import.
    #[error(transparent)]
    Import(#[from] ImportError),
}

/// Writes a module's rows to `out`. Calls `progress` from time to time, with the number of rows so
/// far and the approximate total. Returns the number of rows.
///
/// # Errors
///
/// [`ExportError`] if there is no such module, the store cannot be read, or `out` cannot be
/// written.
pub fn export(
    view: &dyn View,
    name: &ModuleName,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, ExportError> {
    let summary = admin::summary(view, name)?.ok_or_else(|| ExportError::NoModule(name.clone()))?;
    let begin = Line::Begin {
        format: TRANSFER_FORMAT,
        module: name.to_string(),
        keys: summary.usage.keys,
        bytes: summary.usage.bytes,
        undo_records: summary.undo_records,
    };
    let about = summary.usage.keys.saturating_add(summary.undo_records);
    write_rows(out, &begin, about, progress, |visit| {
        admin::export(view, name, &mut |row| visit(line(row)))
    })
}

/// Writes the nonces, transactions and limits of all accounts to `out`: the rows of capabilities, which belong to no
/// module. Returns the number of rows.
///
/// # Errors
///
/// [`ExportError`] if the store cannot be read, or `out` cannot be written.
pub fn export_accounts(
    view: &dyn View,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, ExportError> {
    let format = TRANSFER_FORMAT;
    write_rows(out, &Line::BeginAccounts { format }, 0, progress, |visit| {
        admin::export_capabilities(view, &mut |row| visit(line_of_capability(row)))
    })
}

/// The state that an import has added to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The state of a module.
    Module(ModuleName),
    /// The nonces, transactions and limits of accounts.
    Accounts,
}

/// Imports the lines of [`export`] for a module that the store does not have, or those of [`export_accounts`] for
/// accounts and chains that it does not have. Calls `progress` from time to time, with the number of rows so far and
/// the approximate total. Returns the number of rows, too.
///
/// # Errors
///
/// [`TransferError`] if lines are missing or malformed, the state exists, or the store cannot be
/// written.
pub fn import(
    store: &dyn StateStore,
    input: &mut dyn BufRead,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Imported, u64), TransferError> {
    let mut lines = Lines { input, number: 0 };
    match lines.next()? {
        Some(Line::Begin { format, .. } | Line::BeginAccounts { format }) if format != TRANSFER_FORMAT => {
            Err(lines.wrong(format_args!("the form {format} is not known")))
        }
        Some(Line::Begin {
            module,
            keys,
            undo_records,
            ..
        }) => {
            let name: ModuleName = module.parse().map_err(|error| lines.wrong(error))?;
            let mut import = Import::begin(store, &name)?;
            let about = keys.saturating_add(undo_records);
            let rows = lines.rows(about, progress, row, |row| import.take(row))?;
            import.finish()?;
            Ok((Imported::Module(name), rows))
        }
        Some(Line::BeginAccounts { .. }) => {
            let mut import = CapabilityImport::default();
            let rows = lines.rows(0, progress, capability_of_line, |row| import.take(row))?;
            import.finish(store)?;
            Ok((Imported::Accounts, rows))
        }
        _ => Err(lines.wrong("this is not an export")),
    }
}

/// Lines of a bounded length.
struct Lines<'a> {
    input: &'a mut dyn BufRead,
    number: u64,
}

impl Lines<'_> {
    /// The next line. None at the end. Skips empty lines.
    fn next(&mut self) -> Result<Option<Line>, TransferError> {
        loop {
            let mut text = Vec::new();
            let mut bounded = (&mut *self.input).take(LINE_BYTES_MAX as u64 + 1);
            if bounded.read_until(b'\n', &mut text)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if text.len() > LINE_BYTES_MAX {
                return Err(self.wrong(format_args!("it is longer than {LINE_BYTES_MAX} bytes")));
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            return serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| self.wrong(error));
        }
    }

    /// Passes the rows up to the last line to `take`. `row` is `None` for another line. Returns their number.
    fn rows<R>(
        &mut self,
        about: u64,
        progress: &mut dyn FnMut(u64, u64),
        row: impl Fn(Line) -> Option<R>,
        mut take: impl FnMut(R) -> Result<(), ImportError>,
    ) -> Result<u64, TransferError> {
        let mut rows = 0;
        loop {
            match self.next()? {
                None => return Err(TransferError::Partial { rows }),
                Some(Line::End { rows: said }) if said == rows => break,
                Some(Line::End { rows: said }) => {
                    return Err(self.wrong(format_args!("there should be {said} rows, and there are {rows}")));
                }
                Some(line) => take(row(line).ok_or_else(|| self.wrong("this is not a row"))?)?,
            }
            rows += 1;
            if rows % PROGRESS_EVERY == 0 {
                progress(rows, about);
            }
        }
        progress(rows, rows);
        Ok(rows)
    }

    fn wrong(&self, what: impl ToString) -> TransferError {
        TransferError::Line {
            line: self.number.max(1),
            what: what.to_string(),
        }
    }
}

/// Writes the first line, the lines that `read` passes to its argument, and the last line. Returns their number.
fn write_rows(
    out: &mut dyn Write,
    begin: &Line,
    about: u64,
    progress: &mut dyn FnMut(u64, u64),
    read: impl FnOnce(&mut dyn FnMut(Line) -> ControlFlow<()>) -> Result<(), StoreError>,
) -> Result<u64, ExportError> {
    write(out, begin)?;
    let mut rows = 0;
    let mut failed = None;
    read(&mut |line| {
        rows += 1;
        if rows % PROGRESS_EVERY == 0 {
            progress(rows, about);
        }
        match write(out, &line) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    write(out, &Line::End { rows })?;
    out.flush()?;
    progress(rows, rows);
    Ok(rows)
}

fn write(out: &mut dyn Write, line: &Line) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}
