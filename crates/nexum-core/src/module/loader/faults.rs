//! The faults of a module, collected so that one check finds all of them.

use nexum_config::component::ComponentFile;
use nexum_config::document::{ConfigError, ConfigErrors};
use nexum_config::engine::ModuleConfig;
use nexum_config::limits::{Limit, Limits};
use nexum_config::manifest::{CapabilityRequests, Manifest};
use nexum_config::names::{Digest, ModuleName};

use crate::capability::grant::GrantError;
use crate::module::error::{self, LoadError};

/// The faults of a module so far.
#[derive(Default)]
pub(super) struct Faults {
    /// Faults with a position in the manifest.
    pub(super) of_manifest: Vec<ConfigError>,
    /// Whether the manifest has no content, because it is unreadable or not TOML.
    pub(super) is_unread: bool,
    pub(super) others: Vec<LoadError>,
}

impl Faults {
    /// Whether a fault is about the value of `key` in the manifest, so that the value is not known. A
    /// `component.toml` has the table `[component]` in place of `[module]`.
    pub(super) fn concern(&self, key: &str) -> bool {
        let other = key.strip_prefix("module.").map(|key| format!("component.{key}"));
        let is_about =
            |error: &ConfigError| error.is_about(key) || other.as_ref().is_some_and(|other| error.is_about(other));
        self.is_unread || self.of_manifest.iter().any(is_about)
    }

    /// Whether a list of the manifest's `[capabilities]` is not known. Faulty settings of a
    /// capability hide no request.
    pub(super) fn has_requests(&self, requests: Option<&CapabilityRequests>) -> bool {
        let settings = requests.into_iter().flat_map(|requests| requests.settings.keys());
        let settings: Vec<_> = settings.map(|name| format!("capabilities.{name}")).collect();
        let is_in_settings = |error: &ConfigError| settings.iter().any(|key| error.is_about(key));
        let mut of_lists = self.of_manifest.iter().filter(|error| !is_in_settings(error));
        let is_of_requests = |error: &ConfigError| error.is_about("capabilities") || error.is_about("dependencies");
        self.is_unread || of_lists.any(is_of_requests)
    }

    /// The module's name. A faulty name of the manifest is not known.
    pub(super) fn name(&mut self, config: &ModuleConfig, manifest: &Manifest) -> Option<ModuleName> {
        let given = config.name.clone().or_else(|| manifest.name.clone());
        match given {
            None if self.concern("module.name") => None,
            None => ModuleName::of_file(config.path.shown())
                .map_err(|source| self.others.push(LoadError::Name { source }))
                .ok(),
            given => given,
        }
    }

    /// Adds the reasons to refuse imports, requests and settings.
    pub(super) fn grants(&mut self, refused: Vec<GrantError>) {
        for error in refused {
            match error {
                GrantError::Manifest(error) => self.of_manifest.push(error),
                error => self.others.push(error.into()),
            }
        }
    }

    /// Adds the faults of the component itself, which has to have each of the pinned digests, and of a manifest that does
    /// not fit it.
    pub(super) fn component(&mut self, pinned: &[Digest], manifest: &Manifest, file: &ComponentFile, limits: &Limits) {
        for expected in pinned {
            if *expected != file.digest {
                self.others.push(LoadError::Digest {
                    expected: *expected,
                    actual: file.digest,
                });
            }
        }
        if file.summary.has_shared_memory {
            self.others.push(LoadError::SharedMemory);
        }
        let bound = limits[Limit::Instances];
        if u64::from(file.summary.core_instances) > bound {
            self.others.push(LoadError::Instances {
                needed: file.summary.core_instances,
                bound,
            });
        }
        let kind = file.summary.kind();
        if kind.is_none() {
            self.others.push(error::no_world(&file.summary));
        }
        if !kind.is_none() && !kind.handles_events && !manifest.subscriptions.is_empty() {
            self.others.push(LoadError::Subscribed);
        }
    }

    /// All faults: first those of the manifest, in the order of the file.
    pub(super) fn finish(self) -> Vec<LoadError> {
        let of_manifest = ConfigErrors::check(self.of_manifest).err();
        of_manifest
            .map(LoadError::Manifest)
            .into_iter()
            .chain(self.others)
            .collect()
    }
}
