//! The raw form of `engine.toml`. Only [`super::Config`] uses these types.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Metering, Pooling};
use crate::names::{Digest, ModuleName};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Engine {
    pub(super) state_dir: Option<PathBuf>,
    pub(super) pooling: Pooling,
    /// The program reads the log settings.
    #[serde(rename = "log_level")]
    _log_level: Option<IgnoredAny>,
    #[serde(rename = "log_format")]
    _log_format: Option<IgnoredAny>,
    /// The modules `limits`, `restart` and `query` read their own tables.
    #[serde(rename = "limits")]
    _limits: Option<IgnoredAny>,
    #[serde(rename = "restart")]
    _restart: Option<IgnoredAny>,
    #[serde(rename = "query")]
    _query: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Module {
    pub(super) path: PathBuf,
    pub(super) manifest: Option<PathBuf>,
    pub(super) name: Option<ModuleName>,
    pub(super) digest: Option<Digest>,
    #[serde(default)]
    pub(super) metering: Metering,
    #[serde(default)]
    pub(super) reads: Vec<ModuleName>,
    /// The reader takes these entries one by one, because serde does not keep the order of the
    /// file.
    #[serde(rename = "config")]
    _config: Option<IgnoredAny>,
}
