//! The functions of a module, as commands show them.

use nexum_config::harmless::{harmless, harmless_lines};
use serde::{Deserialize, Serialize};

use super::print::outln;

/// A function of a module.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "runtime", derive(utoipa::ToSchema))]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) parameters: Vec<Parameter>,
    /// The type of the result, as WIT writes it. None for a function whose result is `null`.
    pub(crate) result: Option<String>,
    pub(crate) comment: String,
    /// Whether the function may change the module's state.
    pub(crate) writeable: bool,
}

/// A parameter of a function.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "runtime", derive(utoipa::ToSchema))]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// The type, as WIT writes it.
    #[serde(rename = "type")]
    pub(crate) value_type: String,
}

impl Function {
    /// The function as WIT writes it, and the word `writeable` if it is.
    pub(crate) fn line(&self) -> String {
        let parameters = self.parameters.iter();
        let parameters: Vec<_> = parameters
            .map(|Parameter { name, value_type }| format!("{name}: {value_type}"))
            .collect();
        let result = self.result.as_ref().map(|result| format!(" -> {result}"));
        format!(
            "{}: func({}){}{}",
            self.name,
            parameters.join(", "),
            result.unwrap_or_default(),
            if self.writeable { " (writeable)" } else { "" }
        )
    }

    /// Prints the function, with its comment on the lines below.
    pub(crate) fn print(&self, indent: &str) {
        outln!("{}", harmless(&self.line()));
        if !self.comment.is_empty() {
            outln!("{indent}{}", harmless_lines(&self.comment, indent));
        }
    }
}
