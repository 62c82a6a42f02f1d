//! What every part of the host may know of a module.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::document::Section;
use nexum_config::engine::Metering;
use nexum_config::limits::Limits;
use nexum_config::names::{Digest, ModuleName};

use super::recorder::Recorder;
use super::stdio::Stdio;
use crate::clock::Clock;

/// What every part of the host may know of a module.
#[derive(Clone, Debug)]
pub struct ModuleMeta {
    /// Unique in the process.
    pub name: ModuleName,
    /// The author's version, if the manifest gives one.
    pub version: Option<String>,
    /// The component's SHA-256.
    pub digest: Digest,
    /// The manifest file's SHA-256; none where there is no manifest.
    pub manifest: Option<Digest>,
    /// What ends it when it computes without end.
    pub metering: Metering,
    /// What it may use: what the manifest requests, capped to the operator's limits.
    pub limits: Limits,
    /// What `init` is called with.
    pub config: Vec<(String, String)>,
    /// The manifest's own settings for a capability, by the capability's name.
    pub settings: BTreeMap<String, Section>,
    /// Where its log records go.
    pub recorder: Arc<Recorder>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where its stdout and stderr go.
    pub(crate) stdio: Stdio,
}

impl ModuleMeta {
    /// A copy for an instance that runs at the same time as others of its module: it has a recorder of its own.
    pub(crate) fn for_concurrent_instance(&self) -> Self {
        Self {
            recorder: Arc::new(self.recorder.for_concurrent_instance()),
            ..self.clone()
        }
    }
}
