//! The checks of a module that need no compiler.

use std::collections::BTreeSet;
use std::sync::Arc;

use nexum_config::component::{ComponentFile, ModuleKind};
use nexum_config::engine::{Metering, ModuleConfig};
use nexum_config::limits::{Limit, Limits};
use nexum_config::manifest::{Manifest, Subscription};
use nexum_config::names::{Digest, ModuleName};
use nexum_config::query::QueryRequests;
use nexum_config::restart::Restart;
use nexum_config::topic::ChainId;

use super::Loader;
use super::faults::Faults;
use crate::capability::grant::{self, Grant};
use crate::capability::module_files::ModuleFiles;
use crate::capability::module_meta::{ModuleMeta, Revision};
use crate::capability::recorder::Recorder;
use crate::module::candidate::{Candidate, instances};
use crate::module::error::LoadError;
use crate::module::load_errors::LoadErrors;

/// The result of a module's checks.
#[derive(Debug)]
pub(crate) enum Inspected {
    /// Boxed as the other, because both are large.
    Candidate(Box<Candidate>),
    Refused(Box<RefusedModule>),
}

/// A module that is refused, with its properties for the checks between modules.
#[derive(Debug)]
pub(crate) struct RefusedModule {
    /// The operator's entry for the module.
    pub(crate) entry: ModuleConfig,
    /// `None` if the name is faulty.
    pub(crate) name: Option<ModuleName>,
    /// The upper limit for the memory of all instances together, in bytes. `None` if the limit is
    /// faulty.
    pub(crate) memory_bytes: Option<u64>,
    /// The notices of the manifest, and all warnings of a sound module that is refused beside others.
    pub(crate) warnings: Vec<String>,
    pub(crate) errors: Vec<LoadError>,
}

impl RefusedModule {
    /// A module that is refused because of its name or its memory.
    pub(crate) fn of(candidate: &Candidate, error: LoadError) -> Self {
        let is_named = !matches!(error, LoadError::DuplicateName { .. });
        let is_too_large = matches!(error, LoadError::TotalMemory { .. });
        Self {
            entry: candidate.origin.clone(),
            name: is_named.then(|| candidate.meta.name.clone()),
            memory_bytes: (!is_too_large).then(|| candidate.memory_bytes()),
            warnings: candidate.warnings.clone(),
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
            Inspected::Refused(module) => Err(LoadErrors::of(&module.entry, module.errors)),
        }
    }

    /// As [`Loader::inspect`]. A fault hides only the faults that it may cause.
    pub(crate) fn inspect_all(&self, config: &ModuleConfig) -> Inspected {
        let mut faults = Faults::default();
        let file = ComponentFile::read(&config.path);
        let file = file.map_err(|error| faults.others.push(error.into())).ok();
        let kind = file.as_ref().map(|file| file.summary.kind()).unwrap_or_default();
        let manifest = Manifest::of_module_all(config, kind, &mut faults.of_manifest).unwrap_or_else(|errors| {
            faults.of_manifest.extend(errors);
            faults.is_unread = true;
            None
        });
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
        let kind = file.as_ref().map(|file| file.summary.kind()).unwrap_or_default();
        warnings.extend(no_events(manifest.as_ref(), kind).filter(|_| kind.handles_events));
        let mut manifest = manifest.unwrap_or_default();
        let notices = std::mem::take(&mut manifest.notices);
        warnings.extend_from_slice(&notices);
        if manifest.wants_messages {
            warnings.push("no version of nexum delivers messages yet: the module gets none".to_owned());
        }
        if manifest.capabilities.is_none() {
            warnings.push("the manifest has no [capabilities]: every import counts as required".to_owned());
        }
        let name = faults.name(config, &manifest);
        let limits = self.settings.limits.min(&manifest.requested_limits);
        if let Some(file) = &file {
            let pinned = match self.settings.ignores_digests {
                true => Vec::new(),
                false => config.digest.into_iter().chain(manifest.component).collect(),
            };
            faults.component(&pinned, &manifest, file, &limits);
        }
        if !kind.has_pool() && manifest.query != QueryRequests::default() {
            warnings.push("[module.query] has no effect: the module answers no queries".to_owned());
        }
        let reads = reads(config, &manifest, kind, name.as_ref(), &mut faults, &mut warnings);
        let subscriptions = self.subscriptions(&manifest, &mut faults, &mut warnings);
        let requests = manifest.capabilities.as_ref();
        let files = manifest.files.as_ref();
        let files = files.map(|name| ModuleFiles::open(config.files_beside(), name, &self.settings.private));
        let files = files.transpose().map_err(|error| faults.others.push(error.into()));
        // A faulty list may contain the capability of an import.
        let imports = match &file {
            Some(file) if !faults.has_requests(requests) => file.summary.imports.as_slice(),
            _ => &[],
        };
        let grant = Grant::resolve(&self.capabilities, requests, imports);
        let grant = grant.map_err(|refused| faults.grants(refused)).ok();
        let mut settings = manifest.settings;
        settings.extend(requests.into_iter().flat_map(|requests| requests.settings.clone()));
        faults.grants(grant::check_settings(&self.capabilities, requests, &settings));
        let query = self.settings.query.min(manifest.query.pool_size_max);
        // A file that cannot be read has one instance at least.
        let instances = instances(kind, query).max(1);
        let memory = limits[Limit::Memory].saturating_mul(instances.into());
        let memory_bytes = (!faults.concern("module.resources") && !faults.concern("module.query")).then_some(memory);
        let errors = faults.finish();
        let (Some(name), Ok(files), Some(grant), Some(file), true) =
            (name.clone(), files, grant, file, errors.is_empty())
        else {
            return Inspected::Refused(Box::new(RefusedModule {
                entry: config.clone(),
                name: name.filter(|_| !config.is_faulty),
                memory_bytes,
                warnings: notices,
                errors,
            }));
        };
        warnings.extend_from_slice(grant.warnings());
        warnings.extend(grant::warnings(&self.capabilities, &settings));
        warnings.extend(grant.effects_warning(&settings, &subscriptions));
        let recorder = Recorder::new(
            name.clone(),
            self.seams.clock.clone(),
            limits[Limit::LogRecordsPerSecond],
        );
        let restart = self.settings.restart.capped(manifest.restart);
        let parts = [manifest.digest.unwrap_or_default(), config.shown_config];
        let revision = revision(parts, &limits, restart, config.metering, &subscriptions);
        let meta = ModuleMeta {
            name,
            version: manifest.version,
            description: manifest.description,
            authors: manifest.authors,
            digest: file.digest,
            manifest: manifest.digest,
            revision,
            metering: config.metering,
            limits,
            config: merged(manifest.config, &config.config),
            settings,
            files,
            recorder: Arc::new(recorder),
            activity: Arc::default(),
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
            restart,
            kind,
            query,
            reads,
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
        let mut unconfigured = BTreeSet::new();
        for subscription in &manifest.subscriptions {
            let Some(chain_id) = subscription.chain_id() else {
                active.push(subscription.clone());
                continue;
            };
            if self.chains.contains(&chain_id) {
                active.push(subscription.clone());
            } else if manifest.chains.optional.contains(&chain_id) {
                unconfigured.insert(chain_id);
            }
        }
        warnings.extend(no_events_of(&unconfigured));
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

/// The revision of a configuration. `digests` are those of the manifest and of `[modules.config]`.
fn revision(
    digests: [Digest; 2],
    limits: &Limits,
    restart: Restart,
    metering: Metering,
    subscriptions: &[Subscription],
) -> Revision {
    let [manifest, config] = digests.map(|digest| digest.to_string());
    let limits: String = Limit::all()
        .map(|limit| format!("{} {}\n", limit.name(), limits[limit]))
        .collect();
    let Restart {
        attempts_max,
        backoff_ms,
        backoff_max_ms,
        max_consecutive_failures,
    } = restart;
    let restart = format!("{attempts_max} {backoff_ms} {backoff_max_ms} {max_consecutive_failures}");
    let metering = match metering {
        Metering::Fuel => "fuel",
        Metering::Epoch => "epoch",
    };
    let subscriptions: String = subscriptions.iter().map(|one| format!("{one}\n")).collect();
    Revision::of(&[&manifest, &config, &limits, &restart, metering, &subscriptions])
}

/// The warning for optional chains that are not configured.
fn no_events_of(chains: &BTreeSet<ChainId>) -> Option<String> {
    let ids: Vec<_> = chains.iter().map(ToString::to_string).collect();
    let (last, others) = ids.split_last()?;
    Some(match others {
        [] => format!("chain {last} is optional and not configured: the module gets no events of it"),
        _ => format!(
            "chains {} and {last} are optional and not configured: the module gets no events of them",
            others.join(", ")
        ),
    })
}

/// The warning for an event module that gets no events.
fn no_events(manifest: Option<&Manifest>, kind: ModuleKind) -> Option<String> {
    match manifest {
        None => Some(format!(
            "there is no {} beside the component, so the module has no subscriptions",
            kind.manifest_file()
        )),
        Some(manifest) if manifest.subscriptions.is_empty() && !manifest.wants_messages => Some(format!(
            "the manifest has no {}, so the module gets no events",
            manifest.form.subscription_table()
        )),
        Some(_) => None,
    }
}

/// The module whose rows the queries of a module read, if it is another one and the operator permits
/// it.
fn reads(
    config: &ModuleConfig,
    manifest: &Manifest,
    kind: ModuleKind,
    name: Option<&ModuleName>,
    faults: &mut Faults,
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
        faults.others.push(LoadError::Reads { reads, permitted });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_warning_names_all_optional_chains() {
        let warning = |chains: &[ChainId]| no_events_of(&chains.iter().copied().collect());
        assert_eq!(warning(&[]), None);
        assert_eq!(
            warning(&[10]).as_deref(),
            Some("chain 10 is optional and not configured: the module gets no events of it")
        );
        assert_eq!(
            warning(&[137, 10, 56, 10]).as_deref(),
            Some("chains 10, 56 and 137 are optional and not configured: the module gets no events of them")
        );
    }
}
