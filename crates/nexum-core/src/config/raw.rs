//! `engine.toml` as it is written. Nothing but [`super::Config`] sees these types.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{LogFormat, Pooling};
use crate::names::{Digest, ModuleName};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Engine {
    pub(super) state_dir: Option<PathBuf>,
    pub(super) log_level: Option<String>,
    pub(super) log_format: LogFormat,
    pub(super) pooling: Pooling,
    pub(super) limits: Limits,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) fuel_per_event: Option<u64>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) event_deadline_ms: Option<u64>,
    pub(super) table_elements: Option<u64>,
    pub(super) instances: Option<u64>,
    pub(super) log_records_per_event: Option<u64>,
    pub(super) store_operations_per_event: Option<u64>,
    pub(super) store_bytes_written_per_event: Option<u64>,
    pub(super) state_bytes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Module {
    pub(super) path: PathBuf,
    pub(super) manifest: Option<PathBuf>,
    pub(super) name: Option<ModuleName>,
    pub(super) digest: Option<Digest>,
    /// Read entry by entry, in the order of the file, which serde does not keep.
    #[serde(rename = "config")]
    _config: Option<IgnoredAny>,
}
