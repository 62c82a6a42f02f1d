//! Turns files into modules that can start. All checks happen here, before any guest code runs.

mod faults;
pub(crate) mod inspect;

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::pin::pin;
use std::sync::Weak;
use std::time::Duration;

use nexum_config::engine::Metering;
use nexum_config::limits::Limits;
use nexum_config::manifest::Subscription;
use nexum_config::masked_path::MaskedPath;
use nexum_config::names::Digest;
use nexum_config::query::QueryBounds;
use nexum_config::restart::Restart;
use nexum_config::topic::ChainId;
use parking_lot::Mutex;
use tokio::time::timeout;
use wasmtime::component::{Component, Linker};

use super::candidate::Candidate;
use super::error::LoadError;
use super::memory::{Memory, Reservation};
use super::part::{Part, Room};
use crate::capability::HostState;
use crate::capability::grant::Grant;
use crate::capability::registry::Capabilities;
use crate::capability::stdio::Stdio;
use crate::clock::Seams;
use crate::engine::Engine;

/// How long nexum compiles a module without a word in the log. Most components take under a second.
const SLOW_COMPILATION: Duration = Duration::from_secs(2);

/// The part of a module that handles events and carries out writeable functions.
#[derive(Debug)]
pub struct Module {
    part: Part,
    /// The module's subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// The chains that the module needs.
    pub required_chains: BTreeSet<ChainId>,
}

impl Module {
    pub(super) fn of(candidate: &Candidate, part: Part) -> Self {
        Self {
            part,
            subscriptions: candidate.subscriptions.clone(),
            required_chains: candidate.required_chains.clone(),
        }
    }
}

impl Deref for Module {
    type Target = Part;

    fn deref(&self) -> &Part {
        &self.part
    }
}

/// The metering, and the names of the capabilities.
type LinkerKey = (Metering, Vec<&'static str>);

/// The operator's settings for all modules of a process.
#[derive(Clone, Debug, Default)]
pub struct LoaderSettings {
    /// The upper limits. A manifest can request lower ones.
    pub limits: Limits,
    /// The retry policy. A manifest can request fewer attempts and longer waits.
    pub restart: Restart,
    /// The upper bounds on the calls of query modules.
    pub query: QueryBounds,
    /// The upper limit for the memory of all loaded modules together, in bytes. Default: no limit.
    pub total_memory_bytes: Option<u64>,
    /// Files and directories that no module may read through its `files`. Default: none.
    pub private: Vec<MaskedPath>,
    /// The destination of modules' stdout and stderr. Default: the log.
    pub stdio: Stdio,
    /// Whether a component may have another digest than the pinned one. Default: no.
    pub ignores_digests: bool,
}

/// Loads the modules of one process.
pub struct Loader {
    capabilities: Capabilities,
    settings: LoaderSettings,
    memory: Memory,
    chains: BTreeSet<ChainId>,
    pub(super) seams: Seams,
    /// One linker for each metering and set of capabilities. Most modules share one.
    linkers: Mutex<HashMap<LinkerKey, Linker<HostState>>>,
    /// The contents of files, which candidates hold until the compilation. Copies of one component
    /// share one content.
    files: Mutex<HashMap<Digest, Weak<Vec<u8>>>>,
}

impl Loader {
    /// A loader for a process with these capabilities and configured chains.
    pub fn new(
        capabilities: Capabilities,
        settings: LoaderSettings,
        chains: impl IntoIterator<Item = ChainId>,
        seams: Seams,
    ) -> Self {
        let chains = chains.into_iter().collect();
        Self {
            capabilities,
            memory: Memory::new(settings.total_memory_bytes),
            settings,
            chains,
            seams,
            linkers: Mutex::default(),
            files: Mutex::default(),
        }
    }

    /// The settings of the loader.
    pub(crate) fn settings(&self) -> &LoaderSettings {
        &self.settings
    }

    /// The configured chains.
    pub(crate) fn chains(&self) -> &BTreeSet<ChainId> {
        &self.chains
    }

    /// A loader with other settings and chains. Both loaders share the sum of the modules' memory.
    pub(crate) fn with(&self, settings: LoaderSettings, chains: BTreeSet<ChainId>) -> Self {
        Self {
            capabilities: self.capabilities.clone(),
            memory: self.memory.with_bound(settings.total_memory_bytes),
            settings,
            chains,
            seams: self.seams.clone(),
            linkers: Mutex::new(self.linkers.lock().clone()),
            files: Mutex::default(),
        }
    }

    /// A loader with the same settings and a sum of its own, to check a whole set of modules that replaces
    /// the present one.
    pub(crate) fn apart(&self) -> Self {
        Self {
            memory: Memory::new(self.settings.total_memory_bytes),
            ..self.with(self.settings.clone(), self.chains.clone())
        }
    }

    /// Moves the reservation of a candidate that passed the checks of a loader [apart](Self::apart) to this
    /// loader.
    pub(crate) fn adopt(&self, candidate: &mut Candidate) {
        candidate.memory = Some(self.memory.force(candidate.memory_bytes()));
    }

    /// Reserves the memory of all of a candidate's instances. If the limit is too low for all
    /// candidates, the last ones fail.
    ///
    /// # Errors
    ///
    /// Fails if the limit on the memory of all modules is too low.
    pub fn admit(&self, candidate: &mut Candidate) -> Result<(), LoadError> {
        if candidate.memory.is_none() {
            candidate.memory = Some(self.reserve(candidate.memory_bytes())?);
        }
        Ok(())
    }

    /// Reserves a part of the memory of all modules.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<Reservation, LoadError> {
        self.memory.reserve(bytes)
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

    /// Creates the linker of a compiled candidate.
    pub(super) fn link(
        &self,
        engine: &Engine,
        candidate: &Candidate,
        component: &Component,
    ) -> Result<Linker<HostState>, LoadError> {
        let linker = self.linker(engine, candidate.meta.metering, &candidate.grant);
        let linked = linker.and_then(|mut linker| {
            candidate.grant.link_stubs(&mut linker, component)?;
            Ok(linker)
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
