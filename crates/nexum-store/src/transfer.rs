//! A module's state as lines of JSON: to read, archive, or move to another store.
//!
//! The first line names the module, the last line counts the rows, and each line between them is a
//! row. An import refuses a file without its last line, so that nothing takes half an export for
//! the whole.

use std::io::{BufRead, Read as _, Write};
use std::ops::ControlFlow;

use nexum_config::names::ModuleName;
use nexum_core::source::Position;
use nexum_core::state::admin::{self, Import, ImportError, Row};
use nexum_core::store::{StateStore, StoreError, View};
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const TRANSFER_FORMAT: u32 = 2;

/// The longest line, in bytes: the record of an event that overwrote 128 MiB, in hexadecimal
/// digits.
pub const LINE_BYTES_MAX: usize = 256 << 20;

/// The number of rows between two calls of `progress`.
const PROGRESS_EVERY: u64 = 256;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Begin {
        format: u32,
        module: String,
        keys: u64,
        bytes: u64,
        undo_records: u64,
    },
    State {
        key: Key,
        value: Hex,
    },
    Undo {
        sequence: u64,
        record: Hex,
    },
    DeadLetter {
        record: Hex,
    },
    Effect {
        record: Hex,
    },
    Transcript {
        record: Hex,
    },
    Header {
        chain_id: u64,
        number: u64,
        hash: Hex,
        parent: Option<Hex>,
    },
    Progress {
        row: Hex,
    },
    End {
        rows: u64,
    },
}

/// A guest's key is text. A key of another capability may be bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Text(String),
    Bytes { hex: Hex },
}

/// Bytes, as `0x` and hexadecimal digits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Hex(#[serde(with = "const_hex")] Vec<u8>);

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
    write(out, &begin)?;
    let about = summary.usage.keys.saturating_add(summary.undo_records);
    let mut rows = 0;
    let mut failed = None;
    admin::export(view, name, &mut |row| {
        rows += 1;
        if rows % PROGRESS_EVERY == 0 {
            progress(rows, about);
        }
        match write(out, &line(row)) {
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

/// Imports the lines of [`export`] for a module that the store does not have. Calls `progress` from
/// time to time, with the number of rows so far and the approximate total. Returns the module's
/// name and the number of rows.
///
/// # Errors
///
/// [`TransferError`] if lines are missing or malformed, the module exists, or the store cannot be
/// written.
pub fn import(
    store: &dyn StateStore,
    input: &mut dyn BufRead,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(ModuleName, u64), TransferError> {
    let mut lines = Lines { input, number: 0 };
    let (name, about) = match lines.next()? {
        Some(Line::Begin {
            format,
            module,
            keys,
            undo_records,
            ..
        }) if format == TRANSFER_FORMAT => {
            let name: ModuleName = module.parse().map_err(|error| lines.wrong(error))?;
            (name, keys.saturating_add(undo_records))
        }
        Some(Line::Begin { format, .. }) => {
            return Err(lines.wrong(format_args!("the form {format} is not known")));
        }
        _ => return Err(lines.wrong("this is not an export of a module")),
    };
    let mut import = Import::begin(store, &name)?;
    let mut rows = 0;
    loop {
        match lines.next()? {
            None => return Err(TransferError::Partial { rows }),
            Some(Line::End { rows: said }) if said == rows => break,
            Some(Line::End { rows: said }) => {
                return Err(lines.wrong(format_args!("there should be {said} rows, and there are {rows}")));
            }
            Some(line) => {
                let row = row(line).ok_or_else(|| lines.wrong("this is not a row"))?;
                import.take(row)?;
            }
        }
        rows += 1;
        if rows % PROGRESS_EVERY == 0 {
            progress(rows, about);
        }
    }
    import.finish()?;
    progress(rows, rows);
    Ok((name, rows))
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

    fn wrong(&self, what: impl ToString) -> TransferError {
        TransferError::Line {
            line: self.number.max(1),
            what: what.to_string(),
        }
    }
}

fn write(out: &mut dyn Write, line: &Line) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn line(row: Row) -> Line {
    match row {
        Row::State { key, value } => Line::State {
            key: match String::from_utf8(key) {
                Ok(text) => Key::Text(text),
                Err(error) => Key::Bytes {
                    hex: Hex(error.into_bytes()),
                },
            },
            value: Hex(value),
        },
        Row::Undo { sequence, record } => Line::Undo {
            sequence,
            record: Hex(record),
        },
        Row::DeadLetter(record) => Line::DeadLetter { record: Hex(record) },
        Row::Effect(record) => Line::Effect { record: Hex(record) },
        Row::Transcript(record) => Line::Transcript { record: Hex(record) },
        Row::Header {
            chain_id,
            block,
            parent,
        } => Line::Header {
            chain_id,
            number: block.number,
            hash: Hex(block.hash.to_vec()),
            parent: parent.map(|hash| Hex(hash.to_vec())),
        },
        Row::Progress(row) => Line::Progress { row: Hex(row) },
    }
}

/// None for a line that is not a row, or contains a hash of a wrong length.
fn row(line: Line) -> Option<Row> {
    Some(match line {
        Line::State { key, value } => Row::State {
            key: match key {
                Key::Text(text) => text.into_bytes(),
                Key::Bytes { hex } => hex.0,
            },
            value: value.0,
        },
        Line::Undo { sequence, record } => Row::Undo {
            sequence,
            record: record.0,
        },
        Line::Header {
            chain_id,
            number,
            hash,
            parent,
        } => {
            let hash = hash.0.try_into().ok()?;
            Row::Header {
                chain_id,
                block: Position { number, hash },
                parent: match parent {
                    Some(parent) => Some(parent.0.try_into().ok()?),
                    None => None,
                },
            }
        }
        Line::DeadLetter { record } => Row::DeadLetter(record.0),
        Line::Effect { record } => Row::Effect(record.0),
        Line::Transcript { record } => Row::Transcript(record.0),
        Line::Progress { row } => Row::Progress(row.0),
        Line::Begin { .. } | Line::End { .. } => return None,
    })
}
