//! The functions of a module that callers invoke by name: their list, and the JSON of their
//! arguments and results.

mod list;
mod parse;
#[cfg(test)]
mod tests;
mod value_type;

use std::fmt;

use nexum_config::harmless::harmless;
use serde_json::{Map, Value};

pub use list::FunctionsError;
pub use value_type::{Mismatch, ValueType};

/// The largest result of a function, in bytes: the largest arguments. nexum parses the JSON, which
/// then takes up to thirty times its size in memory.
pub const RESULT_BYTES_MAX: usize = 1 << 20;

/// The reason why nexum does not pass on the result of a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// The result exceeds [`RESULT_BYTES_MAX`].
    #[error("the result has {bytes} bytes, more than the limit of {RESULT_BYTES_MAX}")]
    TooLarge {
        /// The size of the result, in bytes.
        bytes: usize,
    },
    /// The result is not JSON of the type that the module lists.
    #[error("the result does not have the listed type: {0}")]
    Mismatch(Mismatch),
}

impl From<Mismatch> for ResultError {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(mismatch)
    }
}

/// The functions of a module, in the order of its list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Functions(Vec<Function>);

/// A function that callers invoke by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// The name: lower-case words with `-` between them.
    pub name: String,
    /// The parameters, in their order.
    pub parameters: Vec<Parameter>,
    /// The type of the result. `None` for a function whose result is `null`.
    pub result: Option<ValueType>,
    /// The author's description. It is a guest's text: escape it before you print it.
    pub comment: String,
    /// Whether the function may change the module's state.
    pub is_writeable: bool,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name: lower-case words with `-` between them.
    pub name: String,
    /// The type.
    pub value_type: ValueType,
}

impl Functions {
    /// The function of this name.
    pub fn get(&self, name: &str) -> Option<&Function> {
        self.iter().find(|function| function.name == name)
    }

    /// All functions, in the order of the module's list.
    pub fn iter(&self) -> std::slice::Iter<'_, Function> {
        self.0.iter()
    }

    /// Whether a function may change the module's state.
    pub fn is_writeable(&self) -> bool {
        self.iter().any(|function| function.is_writeable)
    }
}

impl Function {
    /// Reads the arguments of a call: a JSON object with a value for each parameter, or an array
    /// with the values in order. No text stands for no arguments. Returns the object that the module
    /// receives: it has all parameters, and `null` for each missing option.
    ///
    /// # Errors
    ///
    /// Returns the first argument that does not fit its parameter.
    pub fn arguments(&self, json: &[u8]) -> Result<String, Mismatch> {
        let named = match parse(json)? {
            Value::Object(named) => named,
            Value::Array(values) if values.len() > self.parameters.len() => {
                let (found, expected) = (values.len(), self.parameters.len());
                let problem = format!("{found} arguments, and the function has {expected} parameters");
                return Err(Mismatch::at_root(problem));
            }
            Value::Array(values) => self.parameter_names().map(str::to_owned).zip(values).collect(),
            _ => return Err(Mismatch::at_root("expected an object or an array with the arguments")),
        };
        let parameters = self.parameters.iter().map(|one| (one.name.as_str(), &one.value_type));
        let complete = value_type::complete_fields(parameters, named, "parameter", &mut value_type::Path::root())?;
        Ok(complete.to_string())
    }

    /// Checks the result of a call, and returns its JSON.
    ///
    /// # Errors
    ///
    /// Fails if the text is too large, or is not JSON of the result's type.
    pub fn result(&self, json: &str) -> Result<String, ResultError> {
        let value = parse_result(json)?;
        match &self.result {
            Some(expected) => Ok(expected.complete(value, &mut value_type::Path::root())?.to_string()),
            None if value.is_null() => Ok(value.to_string()),
            None => Err(Mismatch::at_root("expected null, because the function has no result").into()),
        }
    }

    /// The names of the parameters, in their order.
    fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|parameter| parameter.name.as_str())
    }
}

/// The function as WIT writes it: `transfer: func(to: string, amount: u64) -> bool`.
impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: func(", self.name)?;
        for (index, parameter) in self.parameters.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}: {}", parameter.name, parameter.value_type)?;
        }
        f.write_str(")")?;
        match &self.result {
            Some(result) => write!(f, " -> {result}"),
            None => Ok(()),
        }
    }
}

/// Reads the arguments of a module's default function, whose parameters nexum does not know.
/// Returns their JSON.
///
/// # Errors
///
/// Fails if the text is not JSON.
pub(crate) fn any_arguments(json: &[u8]) -> Result<String, Mismatch> {
    Ok(parse(json)?.to_string())
}

/// Checks the result of a module's default function, whose type nexum does not know. Returns its
/// JSON.
///
/// # Errors
///
/// Fails if the text is too large, or is not JSON.
pub(crate) fn any_result(json: &str) -> Result<String, ResultError> {
    Ok(parse_result(json)?.to_string())
}

fn parse_result(json: &str) -> Result<Value, ResultError> {
    if json.len() > RESULT_BYTES_MAX {
        return Err(ResultError::TooLarge { bytes: json.len() });
    }
    Ok(parse_text(json.as_bytes())?)
}

/// Parses arguments. No text stands for an empty object.
fn parse(json: &[u8]) -> Result<Value, Mismatch> {
    match json.trim_ascii().is_empty() {
        true => Ok(Value::Object(Map::new())),
        false => parse_text(json),
    }
}

fn parse_text(json: &[u8]) -> Result<Value, Mismatch> {
    serde_json::from_slice(json)
        .map_err(|error| Mismatch::at_root(format!("not JSON: {}", harmless(&error.to_string()))))
}
