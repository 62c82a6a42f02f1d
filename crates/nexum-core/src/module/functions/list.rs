//! The checks of a module's list of functions.

use nexum_config::harmless::harmless;

use super::parse::{self, NAME_BYTES_MAX, is_name};
use super::value_type::ValueType;
use super::{Function, Functions, Parameter};
use crate::bindings::functions::nexum::functions::types as wit;
use crate::module::failure::Failure;

/// The most functions of a module: far more than people write into one component.
pub(super) const FUNCTIONS_MAX: usize = 256;

/// The most parameters of a function. A function with more takes a record.
const PARAMETERS_MAX: usize = 32;

/// The most bytes of a type's text: some dozens of fields.
const TYPE_BYTES_MAX: usize = 1_024;

/// The most bytes of a comment: a screen of text.
const COMMENT_BYTES_MAX: usize = 2_048;

/// An error of a module's list of functions.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionsError {
    /// `list-functions` did not return a list.
    #[error("`list-functions` failed: {0}")]
    Failed(Box<Failure>),
    /// nexum cannot make an instance for `list-functions`.
    #[error("`list-functions` cannot run")]
    Link(#[source] wasmtime::Error),
    /// The list is too long.
    #[error("`list-functions` returned {count} functions, more than the limit of {FUNCTIONS_MAX}")]
    TooMany {
        /// The number of functions.
        count: usize,
    },
    /// The description of a function is not valid.
    #[error("`list-functions` returned the function `{function}`, but {problem}")]
    Invalid {
        /// The function's name, or the start of it.
        function: String,
        /// The fault.
        problem: String,
    },
}

impl Functions {
    /// Checks the list that a module returned.
    pub(in crate::module) fn of(list: Vec<wit::Function>) -> Result<Self, FunctionsError> {
        if list.len() > FUNCTIONS_MAX {
            return Err(FunctionsError::TooMany { count: list.len() });
        }
        let mut functions = Self::default();
        for described in list {
            let name = shown(&described.name);
            let is_taken = functions.get(&described.name).is_some();
            let function = match is_taken {
                true => Err("another function has this name".to_owned()),
                false => Function::of(described),
            };
            functions.0.push(function.map_err(|problem| FunctionsError::Invalid {
                function: name,
                problem,
            })?);
        }
        Ok(functions)
    }
}

impl Function {
    fn of(described: wit::Function) -> Result<Self, String> {
        let wit::Function {
            name,
            parameters,
            result,
            comment,
            writeable,
        } = described;
        check_name(&name, "the name")?;
        if comment.len() > COMMENT_BYTES_MAX {
            return Err(format!(
                "the comment has {} bytes, more than the limit of {COMMENT_BYTES_MAX}",
                comment.len()
            ));
        }
        if parameters.len() > PARAMETERS_MAX {
            return Err(format!(
                "it has {} parameters, more than the limit of {PARAMETERS_MAX}",
                parameters.len()
            ));
        }
        let mut function = Self {
            name,
            parameters: Vec::with_capacity(parameters.len()),
            result: result.map(|text| value_type(&text, "the result")).transpose()?,
            comment,
            is_writeable: writeable,
        };
        for wit::Parameter { name, type_ } in parameters {
            check_name(&name, "the parameter's name")?;
            if function.parameter_names().any(|earlier| earlier == name) {
                return Err(format!("two parameters are called `{name}`"));
            }
            let value_type = value_type(&type_, &format!("the parameter `{name}`"))?;
            function.parameters.push(Parameter { name, value_type });
        }
        Ok(function)
    }
}

fn check_name(name: &str, what: &str) -> Result<(), String> {
    match is_name(name) {
        true => Ok(()),
        false => Err(format!(
            "{what} `{}` is not up to {NAME_BYTES_MAX} bytes of lower-case words with `-` between them",
            shown(name)
        )),
    }
}

fn value_type(text: &str, what: &str) -> Result<ValueType, String> {
    if text.len() > TYPE_BYTES_MAX {
        return Err(format!(
            "the type of {what} has {} bytes, more than the limit of {TYPE_BYTES_MAX}",
            text.len()
        ));
    }
    parse::parse(text).map_err(|problem| format!("the type of {what}, `{}`, is not valid: {problem}", harmless(text)))
}

/// The start of a name from a guest, for an error.
fn shown(name: &str) -> String {
    harmless(&name[..name.floor_char_boundary(NAME_BYTES_MAX)]).into_owned()
}
