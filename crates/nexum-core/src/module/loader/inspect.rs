//! The checks of a module that need no compiler.

use std::sync::Arc;

use nexum_config::component::{ComponentFile, ModuleKind};
use nexum_config::engine::ModuleConfig;
use nexum_config::limits::{Limit, Limits};
use nexum_config::manifest::{MANIFEST_FILE, Manifest, Subscription};
use nexum_config::names::{Digest, ModuleName};
use nexum_config::query::QueryRequests;

use super::Loader;
use crate::capability::grant::{self, Grant};
use crate::capability::module_meta::ModuleMeta;
use crate::capability::recorder::Recorder;
use crate::module::candidate::Candidate;
use crate::module::error::{self, LoadError};
use crate::module::load_errors::LoadErrors;

impl Loader {
    /// Reads a module's files and makes every check that needs no compiler. Blocks on the file
    /// system.
    ///
    /// # Errors
    ///
    /// All faults of the module, except those that another fault hides.
    pub fn inspect(&self, config: &ModuleConfig) -> Result<Candidate, LoadErrors> {
        let inspect = || {
            let manifest = Manifest::of_module(config).map_err(|errors| vec![errors.into()])?;
            let file = ComponentFile::read(&config.path).map_err(|error| vec![error.into()])?;
            self.validate(config, manifest, file)
        };
        inspect().map_err(|errors| LoadErrors::of(&config.path, errors))
    }

    fn validate(
        &self,
        config: &ModuleConfig,
        manifest: Option<Manifest>,
        file: ComponentFile,
    ) -> Result<Candidate, Vec<LoadError>> {
        let mut errors = Vec::new();
        let mut warnings = Vec::new();
        let kind = file.summary.kind();
        match &manifest {
            _ if !kind.handles_events => {}
            None => warnings.push(format!(
                "there is no {MANIFEST_FILE} beside the component, so the module has no subscriptions"
            )),
            Some(manifest) if manifest.subscriptions.is_empty() => {
                warnings.push("the manifest has no [[subscription]], so the module gets no events".to_owned());
            }
            Some(_) => {}
        }
        let manifest = manifest.unwrap_or_default();
        if manifest.capabilities.is_none() {
            warnings.push("the manifest has no [capabilities]: every import counts as required".to_owned());
        }
        let name = config
            .name
            .clone()
            .or_else(|| manifest.name.clone())
            .map_or_else(|| ModuleName::of_file(config.path.shown()), Ok);
        let name = name.map_err(|source| errors.push(LoadError::Name { source }));
        let limits = self.settings.limits.min(&manifest.requested_limits);
        errors.extend(component_errors(config, &manifest, &file, &limits));
        if !kind.has_pool() && manifest.query != QueryRequests::default() {
            warnings.push("[module.query] has no effect: the module answers no queries".to_owned());
        }
        let reads = reads(config, &manifest, kind, name.as_ref().ok(), &mut errors, &mut warnings);
        let subscriptions = self.subscriptions(&manifest, &mut errors, &mut warnings);
        let requests = manifest.capabilities.as_ref();
        let grant = Grant::resolve(&self.capabilities, requests, &file.summary.imports);
        let grant = grant.map_err(|refused| errors.extend(refused.into_iter().map(LoadError::from)));
        let mut settings = manifest.settings;
        settings.extend(manifest.capabilities.into_iter().flat_map(|requests| requests.settings));
        let refused = grant::check_settings(&self.capabilities, &settings);
        errors.extend(refused.into_iter().map(LoadError::from));
        let (Ok(name), Ok(grant), true) = (name, grant, errors.is_empty()) else {
            return Err(errors);
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
        Ok(Candidate {
            origin: config.clone(),
            meta: Arc::new(meta),
            summary: file.summary,
            grant,
            subscriptions,
            required_chains: manifest.chains.required,
            restart: self.settings.restart.capped(manifest.restart),
            kind,
            query: self.settings.query.min(manifest.query.pool_size_max),
            reads,
            warnings,
            memory: None,
            bytes: self.share(file.digest, file.bytes),
        })
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
    fn subscriptions(
        &self,
        manifest: &Manifest,
        errors: &mut Vec<LoadError>,
        warnings: &mut Vec<String>,
    ) -> Vec<Subscription> {
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
        let missing = manifest.missing_chains(&self.chains).into_iter();
        errors.extend(missing.map(|chain_id| LoadError::Chain { chain_id }));
        active
    }
}

/// The faults of the component itself, and of a manifest that does not fit it.
fn component_errors(
    config: &ModuleConfig,
    manifest: &Manifest,
    file: &ComponentFile,
    limits: &Limits,
) -> Vec<LoadError> {
    let mut errors = Vec::new();
    for expected in [config.digest, manifest.component].into_iter().flatten() {
        if expected != file.digest {
            errors.push(LoadError::Digest {
                expected,
                actual: file.digest,
            });
        }
    }
    if u64::from(file.summary.core_instances) > limits[Limit::Instances] {
        errors.push(LoadError::Instances {
            needed: file.summary.core_instances,
            bound: limits[Limit::Instances],
        });
    }
    let kind = file.summary.kind();
    if kind.is_none() {
        errors.push(error::no_world(&file.summary));
    }
    if !kind.is_none() && !kind.handles_events && !manifest.subscriptions.is_empty() {
        errors.push(LoadError::Subscribed);
    }
    errors
}

/// The module whose rows the queries of a module read, if it is another one and the operator permits
/// it.
fn reads(
    config: &ModuleConfig,
    manifest: &Manifest,
    kind: ModuleKind,
    name: Option<&ModuleName>,
    errors: &mut Vec<LoadError>,
    warnings: &mut Vec<String>,
) -> Option<ModuleName> {
    let requested = manifest.query.reads.clone().filter(|_| kind.has_pool());
    if requested.is_none() && !config.reads.is_empty() {
        warnings.push("`reads` in [[modules]] has no effect: no query of the module requests it".to_owned());
    }
    let reads = requested.filter(|reads| Some(reads) != name)?;
    if !config.reads.contains(&reads) {
        let permitted = config.reads.clone();
        let reads = reads.clone();
        errors.push(LoadError::Reads { reads, permitted });
    }
    Some(reads)
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
