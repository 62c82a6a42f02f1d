//! The body of a response to a query that failed.

use nexum_core::bindings::nexum::host::types::HostError;
use serde::{Deserialize, Serialize};

/// Why there is no answer. What a program needs and nothing of what is inside; that is in the log.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// One word.
    pub(crate) kind: String,
    /// A sentence.
    pub(crate) error: String,
    /// What the module returned, if it did.
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
