//! The body of a response to a query that failed.

use nexum_core::bindings::nexum::host::types::HostError;
use serde::{Deserialize, Serialize};

/// Why a query failed: the facts for a program, and nothing about nexum's internals, which are in
/// the log.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// The kind of the fault, in a word.
    pub(crate) kind: String,
    /// The fault in a sentence.
    pub(crate) error: String,
    /// The error that the module returned, if it returned one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host_error: Option<Returned>,
}

/// A module's own error.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Returned {
    pub(crate) domain: String,
    pub(crate) kind: String,
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) data: Option<String>,
}

impl From<HostError> for Returned {
    fn from(error: HostError) -> Self {
        Self {
            domain: error.domain,
            kind: error.kind.name().to_owned(),
            code: error.code,
            message: error.message,
            data: error.data,
        }
    }
}
