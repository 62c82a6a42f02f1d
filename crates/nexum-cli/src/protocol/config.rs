//! The configuration in messages: every value with its origin, without secrets.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A configuration as an operator may see it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct EffectiveConfig {
    /// The file. Null if every setting has its default.
    #[schema(value_type = Option<String>)]
    pub(crate) file: Option<PathBuf>,
    pub(crate) settings: Vec<ShownSetting>,
}

/// A key with its value.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ShownSetting {
    /// The full path of the table, such as `chains.1` or `modules[0].config`.
    pub(crate) table: String,
    /// The key in the table, in TOML's notation.
    pub(crate) key: String,
    /// The value without secrets. A table or a date is a string in TOML's notation. Null if the key
    /// has no value.
    pub(crate) value: Value,
    pub(crate) origin: SettingOrigin,
}

/// The origin of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum SettingOrigin {
    /// The key has no entry.
    Default,
    /// An entry of the file.
    File {
        line: usize,
        /// The variables, files and credentials that are part of the value, such as `${VAR}`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        references: Vec<String>,
    },
    /// An environment variable that overrides the file.
    Variable { name: String },
    /// The command line.
    CommandLine,
}
