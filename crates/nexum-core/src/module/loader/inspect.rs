//! The checks of a module that need no compiler.

use std::sync::Arc;

use nexum_config::component::{ComponentFile, QUERY_MODULE};
use nexum_config::document::{ConfigError, ConfigErrors};
use nexum_config::engine::ModuleConfig;
use nexum_config::limits::{Limit, Limits};
use nexum_config::manifest::{CapabilityRequests, MANIFEST_FILE, Manifest, Subscription};
use nexum_config::masked_path::MaskedPath;
use nexum_config::names::{Digest, ModuleName};

use super::Loader;
use crate::capability::grant::{self, Grant, GrantError};
use crate::capability::module_meta::ModuleMeta;
use crate::capability::recorder::Recorder;
use crate::module::candidate::Candidate;
use crate::module::error::{self, LoadError};
use crate::module::load_errors::LoadErrors;

/// The result of a module's checks.
#[derive(Debug)]
pub(crate) enum Inspected {
    /// Boxed, because it is large.
    Candidate(Box<Candidate>),
    Refused(RefusedModule),
}

/// A module that is refused, with its properties for the checks between modules.
#[derive(Debug)]
pub(crate) struct RefusedModule {
    pub(crate) path: MaskedPath,
    /// `None` if the name is faulty.
    pub(crate) name: Option<ModuleName>,
    /// The upper limit for the memory of all instances together, in bytes. `None` if the limit is
    /// faulty.
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) errors: Vec<LoadError>,
}

impl RefusedModule {
    /// A module that is refused because of its name or its memory.
    pub(crate) fn of(candidate: &Candidate, error: LoadError) -> Self {
        let is_named = !matches!(error, LoadError::DuplicateName { .. });
        let is_too_large = matches!(error, LoadError::TotalMemory { .. });
        Self {
            path: candidate.origin.path.clone(),
            name: is_named.then(|| candidate.meta.name.clone()),
            memory_bytes: (!is_too_large).then(|| candidate.memory_bytes()),
            errors: vec![error],
        }
    }
}

impl Loader {
    /// Reads a module's files and makes every check that needs no compiler. Blocks on the file
    /// system.
    ///
    /// # Errors
    ///
    /// All faults of the module.
    pub fn inspect(&self, config: &ModuleConfig) -> Result<Candidate, LoadErrors> {
        match self.inspect_all(config) {
            Inspected::Candidate(candidate) => Ok(*candidate),
            Inspected::Refused(RefusedModule { path, errors, .. }) => Err(LoadErrors::of(&path, errors)),
        }
    }

    /// As [`Loader::inspect`]. A fault hides only the faults that it may cause.
    pub(crate) fn inspect_all(&self, config: &ModuleConfig) -> Inspected {
        let mut faults = Faults::default();
        let manifest = Manifest::of_module_all(config, &mut faults.of_manifest).unwrap_or_else(|errors| {
            faults.of_manifest.extend(errors);
            faults.is_unread = true;
            None
        });
        let file = ComponentFile::read(&config.path);
        let file = file.map_err(|error| faults.others.push(error.into())).ok();
        self.validate(config, manifest, file, faults)
    }

    fn validate(
        &self,
        config: &ModuleConfig,
        manifest: Option<Manifest>,
        file: Option<ComponentFile>,
        mut faults: Faults,
    ) -> Inspected {
        let mut warnings = Vec::from_iter(manifest.is_none().then(|| config.unread_manifest()).flatten());
        let is_query = file
            .as_ref()
            .is_some_and(|file| file.summary.world() == Some(QUERY_MODULE));
        warnings.extend(no_events(manifest.as_ref()).filter(|_| !is_query));
        let manifest = manifest.unwrap_or_default();
        if manifest.capabilities.is_none() {
            warnings.push("the manifest has no [capabilities]: every import counts as required".to_owned());
        }
        let name = faults.name(config, &manifest);
        let limits = self.settings.limits.min(&manifest.requested_limits);
        if let Some(file) = &file {
            faults.component(config, &manifest, file, &limits);
        }
        if !is_query && manifest.pool_size_max.is_some() {
            warnings.push("[module.query] has no effect: the module answers no queries".to_owned());
        }
        let query = is_query.then(|| self.settings.query.min(manifest.pool_size_max));
        let subscriptions = self.subscriptions(&manifest, &mut faults, &mut warnings);
        let requests = manifest.capabilities.as_ref();
        // A faulty list may contain the capability of an import.
        let imports = match &file {
            Some(file) if !faults.has_requests(requests) => file.summary.imports.as_slice(),
            _ => &[],
        };
        let grant = Grant::resolve(&self.capabilities, requests, imports);
        let grant = grant.map_err(|refused| faults.grants(refused)).ok();
        let mut settings = manifest.settings;
        settings.extend(manifest.capabilities.into_iter().flat_map(|requests| requests.settings));
        faults.grants(grant::check_settings(&self.capabilities, &settings));
        let memory = limits[Limit::Memory].saturating_mul(query.map_or(1, |query| query.pool_size_max.into()));
        let memory_bytes = (!faults.concern("module.resources") && !faults.concern("module.query")).then_some(memory);
        let errors = faults.finish();
        let (Some(name), Some(grant), Some(file), true) = (name.clone(), grant, file, errors.is_empty()) else {
            return Inspected::Refused(RefusedModule {
                path: config.path.clone(),
                name: name.filter(|_| !config.is_faulty),
                memory_bytes,
                errors,
            });
        };
        warnings.extend(grant::warnings(&self.capabilities, &settings));
        let recorder = Recorder::new(
            name.clone(),
            self.seams.clock.clone(),
            limits[Limit::LogRecordsPerSecond],
        );
        let meta = ModuleMeta {
            name,
            version: manifest.version,
            digest: file.digest,
            manifest: manifest.digest,
            metering: config.metering,
            limits,
            config: merged(manifest.config, &config.config),
            settings,
            recorder: Arc::new(recorder),
            clock: self.seams.clock.clone(),
            stdio: self.settings.stdio.clone(),
        };
        Inspected::Candidate(Box::new(Candidate {
            origin: config.clone(),
            meta: Arc::new(meta),
            summary: file.summary,
            grant,
            subscriptions,
            required_chains: manifest.chains.required,
            restart: self.settings.restart.capped(manifest.restart),
            query,
            warnings,
            memory: None,
            bytes: self.share(file.digest, file.bytes),
        }))
    }

    /// The content of a file. If another candidate holds an equal content, they share it.
    fn share(&self, digest: Digest, bytes: Vec<u8>) -> Arc<Vec<u8>> {
        let mut files = self.files.lock();
        let held = files.entry(digest).or_default();
        held.upgrade().unwrap_or_else(|| {
            let bytes = Arc::new(bytes);
            *held = Arc::downgrade(&bytes);
            bytes
        })
    }

    /// The subscriptions whose chain is configured. A subscription to another chain is an error, or
    /// a warning if the manifest lists the chain as optional.
    fn subscriptions(&self, manifest: &Manifest, faults: &mut Faults, warnings: &mut Vec<String>) -> Vec<Subscription> {
        let mut active = Vec::new();
        for subscription in &manifest.subscriptions {
            let Some(chain_id) = subscription.chain_id() else {
                active.push(subscription.clone());
                continue;
            };
            if self.chains.contains(&chain_id) {
                active.push(subscription.clone());
            } else if manifest.chains.optional.contains(&chain_id) {
                warnings.push(format!(
                    "chain {chain_id} is optional and not configured: the module gets no events of it"
                ));
            }
        }
        // A faulty list may name the chain as optional.
        if !faults.concern("chains") {
            let missing = manifest.missing_chains(&self.chains).into_iter();
            faults
                .others
                .extend(missing.map(|chain_id| LoadError::Chain { chain_id }));
        }
        active
    }
}

/// The warning for an event module that gets no events.
fn no_events(manifest: Option<&Manifest>) -> Option<String> {
    match manifest {
        None => Some(format!(
            "there is no {MANIFEST_FILE} beside the component, so the module has no subscriptions"
        )),
        Some(manifest) if manifest.subscriptions.is_empty() => {
            Some("the manifest has no [[subscription]], so the module gets no events".to_owned())
        }
        Some(_) => None,
    }
}

/// The faults of a module so far.
#[derive(Default)]
struct Faults {
    /// Faults with a position in the manifest.
    of_manifest: Vec<ConfigError>,
    /// Whether the manifest has no content, because it is unreadable or not TOML.
    is_unread: bool,
    others: Vec<LoadError>,
}

impl Faults {
    /// Whether a fault is about the value of `key` in the manifest, so that the value is not known.
    fn concern(&self, key: &str) -> bool {
        self.is_unread || self.of_manifest.iter().any(|error| error.is_about(key))
    }

    /// Whether a list of the manifest's `[capabilities]` is not known. Faulty settings of a
    /// capability hide no request.
    fn has_requests(&self, requests: Option<&CapabilityRequests>) -> bool {
        let settings = requests.into_iter().flat_map(|requests| requests.settings.keys());
        let settings: Vec<_> = settings.map(|name| format!("capabilities.{name}")).collect();
        let is_in_settings = |error: &ConfigError| settings.iter().any(|key| error.is_about(key));
        let mut of_lists = self.of_manifest.iter().filter(|error| !is_in_settings(error));
        self.is_unread || of_lists.any(|error| error.is_about("capabilities"))
    }

    /// The module's name. A faulty name of the manifest is not known.
    fn name(&mut self, config: &ModuleConfig, manifest: &Manifest) -> Option<ModuleName> {
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
    fn grants(&mut self, refused: Vec<GrantError>) {
        for error in refused {
            match error {
                GrantError::Manifest(error) => self.of_manifest.push(error),
                error => self.others.push(error.into()),
            }
        }
    }

    /// Adds the faults of the component itself, and of a manifest that does not fit it.
    fn component(&mut self, config: &ModuleConfig, manifest: &Manifest, file: &ComponentFile, limits: &Limits) {
        for expected in [config.digest, manifest.component].into_iter().flatten() {
            if expected != file.digest {
                self.others.push(LoadError::Digest {
                    expected,
                    actual: file.digest,
                });
            }
        }
        let bound = limits[Limit::Instances];
        if u64::from(file.summary.core_instances) > bound {
            self.others.push(LoadError::Instances {
                needed: file.summary.core_instances,
                bound,
            });
        }
        let world = file.summary.world();
        if world.is_none() {
            self.others.push(error::no_world(&file.summary));
        }
        if world == Some(QUERY_MODULE) && !manifest.subscriptions.is_empty() {
            self.others.push(LoadError::Subscribed);
        }
    }

    /// All faults: first those of the manifest, in the order of the file.
    fn finish(self) -> Vec<LoadError> {
        let of_manifest = ConfigErrors::check(self.of_manifest).err();
        of_manifest
            .map(LoadError::Manifest)
            .into_iter()
            .chain(self.others)
            .collect()
    }
}

/// Overrides the manifest's configuration with the operator's, key by key.
fn merged(mut config: Vec<(String, String)>, over: &[(String, String)]) -> Vec<(String, String)> {
    for (key, value) in over {
        match config.iter_mut().find(|(existing, _)| existing == key) {
            Some((_, existing)) => existing.clone_from(value),
            None => config.push((key.clone(), value.clone())),
        }
    }
    config
}
