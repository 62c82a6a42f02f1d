//! The messages about dead letters.

use nexum_core::state::{self, DeadLetter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::report::hex;

/// An event that a module failed to handle.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(crate) struct Letter {
    /// The event id.
    pub(crate) event: String,
    /// The block's hash, in hexadecimal digits.
    pub(crate) block_hash: String,
    /// The attempts, in order. A list of dead letters has no log records.
    pub(crate) attempts: Vec<Attempt>,
    /// The event itself, by its kind. Bytes are hexadecimal digits after 0x.
    #[schema(value_type = Object)]
    pub(crate) content: Value,
}

/// A failed attempt at an event.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Attempt {
    /// The end of the attempt, in milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    /// The reason: the module's error, the exceeded limit, or the trap with its backtrace.
    pub(crate) reason: String,
    /// The exceeded limit, if a limit ended the attempt.
    pub(crate) trip: Option<Trip>,
    /// The module's last log records in the attempt.
    pub(crate) records: Vec<String>,
}

/// An exceeded limit.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ExceededLimit)]
pub(crate) struct Trip {
    /// The limit's name, with its unit.
    pub(crate) limit: String,
    pub(crate) bound: u64,
    /// The use, including the request that exceeded the limit.
    pub(crate) used: u64,
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        let mut content = json!(letter.event);
        bytes_as_hex(&mut content);
        Self {
            event: letter.id.to_string(),
            block_hash: hex(&letter.id.position.hash),
            attempts: letter.attempts.into_iter().map(Attempt::from).collect(),
            content,
        }
    }
}

impl From<state::Attempt> for Attempt {
    fn from(attempt: state::Attempt) -> Self {
        let state::Attempt {
            at_ms,
            reason,
            trip,
            records,
        } = attempt;
        Self {
            at_ms,
            reason,
            trip: trip.map(|trip| Trip {
                limit: trip.limit,
                bound: trip.bound,
                used: trip.used,
            }),
            records,
        }
    }
}

/// Replaces each list of bytes by its hexadecimal digits: hashes, addresses, topics and data.
fn bytes_as_hex(value: &mut Value) {
    match value {
        Value::Array(items) => {
            let byte = |item: &Value| item.as_u64().and_then(|number| u8::try_from(number).ok());
            match items.iter().map(byte).collect::<Option<Vec<_>>>() {
                Some(bytes) if !bytes.is_empty() => *value = hex(&bytes).into(),
                _ => items.iter_mut().for_each(bytes_as_hex),
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(bytes_as_hex),
        _ => {}
    }
}
