//! Functions and errors of modules that answer queries.

use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::module;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::report::functions::{Function, Parameter};

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
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = HostError)]
pub(crate) struct Returned {
    /// The capability or the module that the error comes from.
    pub(crate) domain: String,
    /// The kind of the error, in a word of the contract.
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
