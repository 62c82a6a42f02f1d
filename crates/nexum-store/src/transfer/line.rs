//! The lines of an export, and the rows that they stand for.

use nexum_core::source::Position;
use nexum_core::state::admin::{CapabilityRow, Row};
use serde::{Deserialize, Serialize};

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    Begin {
        format: u32,
        module: String,
        keys: u64,
        bytes: u64,
        undo_records: u64,
    },
    BeginAccounts {
        format: u32,
    },
    Capability {
        capability: String,
        key: Hex,
        value: Hex,
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
pub(super) enum Key {
    Text(String),
    Bytes { hex: Hex },
}

/// Bytes, as `0x` and hexadecimal digits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Hex(#[serde(with = "const_hex")] Vec<u8>);

/// The line of a row.
pub(super) fn line(row: Row) -> Line {
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
pub(super) fn row(line: Line) -> Option<Row> {
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
        Line::Begin { .. } | Line::BeginAccounts { .. } | Line::Capability { .. } | Line::End { .. } => return None,
    })
}

pub(super) fn line_of_capability(row: CapabilityRow) -> Line {
    let CapabilityRow { capability, key, value } = row;
    Line::Capability {
        capability,
        key: Hex(key),
        value: Hex(value),
    }
}

/// None for a line that is not a row of a capability.
pub(super) fn capability_of_line(line: Line) -> Option<CapabilityRow> {
    match line {
        Line::Capability { capability, key, value } => Some(CapabilityRow {
            capability,
            key: key.0,
            value: value.0,
        }),
        _ => None,
    }
}
