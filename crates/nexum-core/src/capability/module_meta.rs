//! The facts about a module that all parts of the host share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use nexum_config::document::Section;
use nexum_config::engine::Metering;
use nexum_config::limits::Limits;
use nexum_config::names::{Digest, ModuleName};
use serde::{Deserialize, Serialize};

use super::activity::Activity;
use super::module_files::ModuleFiles;
use super::recorder::Recorder;
use super::stdio::Stdio;
use crate::clock::Clock;

/// The facts about a module that all parts of the host share.
#[derive(Clone)]
pub struct ModuleMeta {
    /// The module's name, unique in the process.
    pub name: ModuleName,
    /// The author's version, if the manifest has one.
    pub version: Option<String>,
    /// The author's description, if the manifest has one. It may have harmful characters.
    pub description: Option<String>,
    /// The authors in the manifest. A name may have harmful characters.
    pub authors: Vec<String>,
    /// The component's SHA-256.
    pub digest: Digest,
    /// The manifest file's SHA-256. `None` without a manifest.
    pub manifest: Option<Digest>,
    /// The revision of its configuration.
    pub revision: Revision,
    /// The mechanism that ends a computation without end.
    pub metering: Metering,
    /// The module's limits: the manifest's requests, capped to the operator's limits.
    pub limits: Limits,
    /// The configuration that `init` receives.
    pub config: Vec<(String, String)>,
    /// The manifest's settings for capabilities, by the capability's name.
    pub settings: BTreeMap<String, Section>,
    /// The module's read-only files.
    pub files: Option<ModuleFiles>,
    /// The recorder of the module's log records.
    pub recorder: Arc<Recorder>,
    /// The current work of the instance, and the recent use of its time.
    pub activity: Arc<Activity>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where its stdout and stderr go.
    pub(crate) stdio: Stdio,
}

/// Tells two configurations of a module apart: the manifest, `[modules.config]`, the effective limits and retry policy, the
/// metering and the active subscriptions. It does not depend on secrets: the content of a variable, a file or a credential
/// changes nothing. As text, 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Revision(pub [u8; 8]);

impl Revision {
    /// The revision of a configuration with these parts, none of which has a secret.
    pub(crate) fn of(parts: &[&str]) -> Self {
        let lengths = parts.iter().map(|part| part.len().to_string());
        let text: String = lengths
            .zip(parts)
            .map(|(length, part)| format!("{length} {part}"))
            .collect();
        let [a, b, c, d, e, f, g, h, ..] = *Digest::of(text.as_bytes()).as_bytes();
        Self([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl ModuleMeta {
    /// A copy for a concurrent instance of the module, with a separate recorder and activity.
    pub(crate) fn for_concurrent_instance(&self) -> Self {
        Self {
            activity: Arc::default(),
            recorder: Arc::new(self.recorder.for_concurrent_instance()),
            ..self.clone()
        }
    }
}

/// `Debug` omits the values of `config`, because they can contain environment variables.
impl fmt::Debug for ModuleMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.config.iter().map(|(key, _)| key).collect();
        f.debug_struct("ModuleMeta")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("digest", &self.digest)
            .field("metering", &self.metering)
            .field("limits", &self.limits)
            .field("config_keys", &keys)
            .finish_non_exhaustive()
    }
}
