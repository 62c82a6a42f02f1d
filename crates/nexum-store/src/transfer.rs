//! What a module keeps, as lines of JSON: to be looked at, kept, or taken to another store.
//!
//! The first line says whose it is, the last how many rows there were, and each between them is a row. A file without its last
//! line is refused, so that half an export is never taken for the whole.

use std::io::{BufRead, Read as _, Write};
use std::ops::ControlFlow;

use nexum_config::names::ModuleName;
use nexum_core::source::Position;
use nexum_core::state::admin::{self, Import, ImportError, Row};
use nexum_core::store::{StateStore, StoreError, View};
use serde::{Deserialize, Serialize};

/// The form of the lines.
pub const TRANSFER_FORMAT: u32 = 2;

/// How long a line may be: the record of an event that overwrote 128 MiB, in hexadecimal digits.
pub const LINE_BYTES_MAX: usize = 256 << 20;

/// After how many rows `progress` is called.
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

/// A guest's key is text; another capability's need not be.
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

/// Why a module was not exported.
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

/// Why a module was not imported. The store is then as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// A line is not what an export writes.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The last line is missing, or others are.
    #[error("the export is not whole: it ends after {rows} rows without saying so")]
    Partial {
        /// How many rows there are.
        rows: u64,
    },
    /// The lines cannot be read.
    #[error("the export cannot be read")]
    Read(#[from] std::io::Error),
    /// The store does not take it.
    #[error(transparent)]
    Import(#[from] ImportError),
}

/// Writes what a module has to `out`. `progress` is called with the number of rows so far and about how many there are, now and
/// then. Returns how many rows
/// there were.
///
/// # Errors
///
/// When there is no such module, and when the store cannot be read or `out` not written.
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

/// Takes in what [`export`] wrote, for a module that the store does not have. `progress` is called with the number of rows so far
/// and about how many there are, now and then. Returns the module's name, and how many rows there were.
///
/// # Errors
///
/// When the lines are not all there or not what they should be, the module exists, or the store cannot be written.
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
        _ => return Err(lines.wrong("this is no export of a module")),
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
                let row = row(line).ok_or_else(|| lines.wrong("this is no row"))?;
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
    /// The next line, or none at the end. Empty lines are passed over.
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

/// None for a line that is no row, or holds a hash of another length.
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
        Line::Progress { row } => Row::Progress(row.0),
        Line::Begin { .. } | Line::End { .. } => return None,
    })
}
