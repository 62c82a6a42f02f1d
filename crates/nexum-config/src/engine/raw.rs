//! The raw form of `engine.toml`. Only [`super::Config`] uses these types.

use std::path::PathBuf;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::{Metering, Pooling};
use crate::document::deserialize_text;
use crate::names::{Digest, ModuleName};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Engine {
    pub(super) state_dir: Option<PathBuf>,
    pub(super) pooling: Pooling,
    /// The reader checks its range.
    #[serde(rename = "shutdown_deadline_ms")]
    _shutdown_deadline_ms: Option<IgnoredAny>,
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

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Module {
    pub(super) path: Option<FilePath>,
    pub(super) manifest: Option<FilePath>,
    pub(super) enabled: Option<bool>,
    pub(super) name: Option<ModuleName>,
    pub(super) digest: Option<Digest>,
    pub(super) metering: Metering,
    #[serde(default)]
    pub(super) reads: Vec<ModuleName>,
    /// The reader takes these entries one by one, because serde does not keep the order of the
    /// file.
    #[serde(rename = "config")]
    _config: Option<IgnoredAny>,
}

/// The path of a file, which is not empty.
pub(super) struct FilePath(pub(super) PathBuf);

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a path", |text| match text {
            "" => Err("expected a path"),
            text => Ok(Self(text.into())),
        })
    }
}
