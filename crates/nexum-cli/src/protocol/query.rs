//! The body of a response to a query that failed.

use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::module;
use serde::{Deserialize, Serialize};

use crate::report::functions::{Function, Parameter};

/// The kinds of faults of questions that reach no instance.
const NOT_BEGUN: [&str; 14] = [
    "no-module",
    "loading",
    "body",
    "input-too-large",
    "overloaded",
    "suspended",
    "timed-out",
    "no-evaluate",
    "no-function",
    "arguments",
    "read-only",
    "not-running",
    "reloaded",
    "caller",
];

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

impl Fault {
    /// Whether nexum asked the module.
    pub(crate) fn has_begun(&self) -> bool {
        !NOT_BEGUN.contains(&self.kind.as_str())
    }
}

impl From<&module::Function> for Function {
    fn from(function: &module::Function) -> Self {
        let parameter = |parameter: &module::Parameter| Parameter {
            name: parameter.name.clone(),
            value_type: parameter.value_type.to_string(),
        };
        Self {
            name: function.name.clone(),
            parameters: function.parameters.iter().map(parameter).collect(),
            result: function.result.as_ref().map(ToString::to_string),
            comment: function.comment.clone(),
            writeable: function.is_writeable,
        }
    }
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
