//! Turns files into modules that can start. All checks happen here, before any guest code runs.

use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use nexum_config::component::{ComponentFile, QUERY_MODULE};
use nexum_config::engine::{Metering, ModuleConfig};
use nexum_config::limits::{Limit, Limits};
use nexum_config::manifest::{MANIFEST_FILE, Manifest, Subscription};
use nexum_config::names::{Digest, ModuleName};
use nexum_config::query::QueryBounds;
use nexum_config::restart::Restart;
use nexum_config::topic::ChainId;
use parking_lot::Mutex;
use tokio::time::timeout;
use wasmtime::component::{Component, InstancePre, Linker};

use super::candidate::Candidate;
use super::error::{self, LoadError};
use super::exports;
use super::load_errors::LoadErrors;
use super::memory::{Memory, Reservation};
use crate::bindings::ModulePre;
use crate::capability::HostState;
use crate::capability::grant::{self, Grant};
use crate::capability::module_meta::ModuleMeta;
use crate::capability::recorder::Recorder;
use crate::capability::registry::Capabilities;
use crate::capability::stdio::Stdio;
use crate::clock::Seams;
use crate::engine::fair_scheduler::FairScheduler;
use crate::engine::{Compiled, Engine, Place};

/// How long nexum compiles a module without a word in the log. Most components take under a second.
const SLOW_COMPILATION: Duration = Duration::from_secs(2);

/// A module that is compiled and linked, so that a start or restart compiles nothing.
pub struct Module {
    /// The module's properties that every part of the host may use.
    pub meta: Arc<ModuleMeta>,
    /// The module's subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// The chains that the module needs.
    pub required_chains: BTreeSet<ChainId>,
    /// The module's retry policy.
    pub restart: Restart,
    /// The operator's entry for the module, to read its files again.
    pub origin: ModuleConfig,
    pub(crate) grant: Grant,
    pub(crate) pre: ModulePre<HostState>,
    pub(crate) scheduler: FairScheduler,
    _room: Room,
}

/// Reserves a module's places in the engine, its code, and its part of the memory, until it is
/// dropped.
#[derive(Debug)]
pub(super) struct Room {
    _compiled: Compiled,
    _places: Place,
    _memory: Reservation,
}

impl Module {
    /// The capabilities and imports that the module may use.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module")
            .field("meta", &self.meta)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

/// The metering, and the names of the capabilities.
type LinkerKey = (Metering, Vec<&'static str>);

/// Loads the modules of one process.
pub struct Loader {
    capabilities: Capabilities,
    ceiling: Limits,
    restart: Restart,
    query: QueryBounds,
    memory: Memory,
    chains: BTreeSet<ChainId>,
    seams: Seams,
    stdio: Stdio,
    /// One linker for each metering and set of capabilities. Most modules share one.
    linkers: Mutex<HashMap<LinkerKey, Linker<HostState>>>,
    /// The contents of files, which candidates hold until the compilation. Copies of one component
    /// share one content.
    files: Mutex<HashMap<Digest, Weak<Vec<u8>>>>,
}

impl Loader {
    /// A loader for a process with these capabilities and configured chains. No module gets higher
    /// limits than `ceiling`.
    pub fn new(
        capabilities: Capabilities,
        ceiling: Limits,
        chains: impl IntoIterator<Item = ChainId>,
        seams: Seams,
    ) -> Self {
        let chains = chains.into_iter().collect();
        Self {
            capabilities,
            ceiling,
            restart: Restart::default(),
            query: QueryBounds::default(),
            memory: Memory::default(),
            chains,
            seams,
            stdio: Stdio::default(),
            linkers: Mutex::default(),
            files: Mutex::default(),
        }
    }

    /// Sets the upper limit for the memory of all loaded modules together, in bytes. Default: no
    /// limit.
    #[must_use]
    pub fn total_memory_bytes(self, bound: Option<u64>) -> Self {
        Self {
            memory: Memory::new(bound),
            ..self
        }
    }

    /// Sets the retry policy, which a manifest can override.
    #[must_use]
    pub fn restart(self, restart: Restart) -> Self {
        Self { restart, ..self }
    }

    /// Sets the upper bounds on the calls of query modules.
    #[must_use]
    pub fn query(self, query: QueryBounds) -> Self {
        Self { query, ..self }
    }

    /// The destination of modules' stdout and stderr. Default: the log.
    #[must_use]
    pub(crate) fn stdio(self, stdio: Stdio) -> Self {
        Self { stdio, ..self }
    }

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
        let world = file.summary.world();
        let is_query = world == Some(QUERY_MODULE);
        if manifest.is_none() && !is_query {
            warnings.push(format!(
                "there is no {MANIFEST_FILE} beside the component, so the module has no subscriptions"
            ));
        }
        let manifest = manifest.unwrap_or_default();
        if manifest.capabilities.is_none() {
            warnings.push("the manifest has no [capabilities]: every import counts as required".to_owned());
        }
        let name = config
            .name
            .clone()
            .or_else(|| manifest.name.clone())
            .map_or_else(|| ModuleName::of_file(&config.path), Ok);
        let name = name.map_err(|source| errors.push(LoadError::Name { source }));
        for expected in [config.digest, manifest.component].into_iter().flatten() {
            if expected != file.digest {
                errors.push(LoadError::Digest {
                    expected,
                    actual: file.digest,
                });
            }
        }
        let limits = self.ceiling.min(&manifest.requested_limits);
        if u64::from(file.summary.core_instances) > limits[Limit::Instances] {
            errors.push(LoadError::Instances {
                needed: file.summary.core_instances,
                bound: limits[Limit::Instances],
            });
        }
        if world.is_none() {
            errors.push(error::no_world(&file.summary));
        }
        if is_query && !manifest.subscriptions.is_empty() {
            errors.push(LoadError::Subscribed);
        }
        if !is_query && manifest.pool_size_max.is_some() {
            warnings.push("[module.query] has no effect: the module answers no queries".to_owned());
        }
        let query = is_query.then(|| self.query.min(manifest.pool_size_max));
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
            stdio: self.stdio.clone(),
        };
        Ok(Candidate {
            origin: config.clone(),
            meta: Arc::new(meta),
            summary: file.summary,
            grant,
            subscriptions,
            required_chains: manifest.chains.required,
            restart: self.restart.capped(manifest.restart),
            query,
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

    /// Reserves the memory of all of a candidate's instances. If the limit is too low for all
    /// candidates, the last ones fail.
    ///
    /// # Errors
    ///
    /// Fails if the limit on the memory of all modules is too low.
    pub fn admit(&self, candidate: &mut Candidate) -> Result<(), LoadError> {
        if candidate.memory.is_none() {
            candidate.memory = Some(self.memory.reserve(candidate.memory_bytes())?);
        }
        Ok(())
    }

    /// Compiles and links a candidate of an event module. It also [admits](Self::admit) the
    /// candidate, if the caller has not done so. A compiled component is reused.
    ///
    /// # Errors
    ///
    /// Fails in these cases:
    ///
    /// - The component does not compile.
    /// - The types of an import or export differ from the contract.
    /// - The component is a query module.
    /// - The engine or the memory limit has no room for the module.
    pub async fn load(&self, engine: &Engine, mut candidate: Candidate) -> Result<Module, LoadError> {
        let engine = engine.metered_by(candidate.meta.metering);
        let (component, room) = self.compile(engine, &mut candidate).await?;
        exports::check_event_module(&component)?;
        let pre = self.link(engine, &candidate, &component)?;
        Ok(Module {
            meta: candidate.meta,
            subscriptions: candidate.subscriptions,
            required_chains: candidate.required_chains,
            restart: candidate.restart,
            origin: candidate.origin,
            grant: candidate.grant,
            pre: ModulePre::new(pre).map_err(LoadError::Link)?,
            scheduler: engine.scheduler().for_module(),
            _room: room,
        })
    }

    /// Reserves room for a candidate and compiles it. A compiled component is reused.
    pub(super) async fn compile(
        &self,
        engine: &Engine,
        candidate: &mut Candidate,
    ) -> Result<(Component, Room), LoadError> {
        self.admit(candidate)?;
        let memory = candidate.memory.take().unwrap_or_default();
        let places = engine.place(candidate.instances()).ok_or(LoadError::Full)?;
        let bytes = std::mem::take(&mut candidate.bytes);
        let size = bytes.len();
        let mut compiling = pin!(engine.compile(candidate.meta.digest, bytes));
        let compiled = match timeout(SLOW_COMPILATION, &mut compiling).await {
            Ok(compiled) => compiled,
            Err(_) => {
                let module = candidate.meta.name.as_str();
                tracing::info!(module, component_bytes = size, "still compiling the module");
                compiling.await
            }
        };
        let (component, compiled) = compiled?;
        let room = Room {
            _compiled: compiled,
            _places: places,
            _memory: memory,
        };
        Ok((component, room))
    }

    /// Links a compiled candidate.
    pub(super) fn link(
        &self,
        engine: &Engine,
        candidate: &Candidate,
        component: &Component,
    ) -> Result<InstancePre<HostState>, LoadError> {
        let linker = self.linker(engine, candidate.meta.metering, &candidate.grant);
        let linked = linker.and_then(|mut linker| {
            candidate.grant.link_stubs(&mut linker, component)?;
            linker.instantiate_pre(component)
        });
        linked.map_err(LoadError::Link)
    }

    fn linker(&self, engine: &Engine, metering: Metering, grant: &Grant) -> wasmtime::Result<Linker<HostState>> {
        let key = (metering, grant.names().collect::<Vec<_>>());
        let cached = self.linkers.lock().get(&key).cloned();
        if let Some(linker) = cached {
            return Ok(linker);
        }
        let linker = grant.link(engine)?;
        self.linkers.lock().insert(key, linker.clone());
        Ok(linker)
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
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
