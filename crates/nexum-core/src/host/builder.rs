//! The parts of a host.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::Limits;
use nexum_config::masked_path::MaskedPath;
use nexum_config::names::ModuleName;
use nexum_config::query::QueryBounds;
use nexum_config::restart::Restart;
use nexum_config::topic::ChainId;

use super::Host;
use super::entries::Entries;
use super::error::BuildError;
use super::inspection::{self, Checked, Inspection};
use super::selection::Selection;
use crate::bus::source::EventSource;
use crate::capability::Capability;
use crate::capability::registry::Capabilities;
use crate::capability::stdio::Capture;
use crate::clock::Seams;
use crate::engine::{Compiler, EngineConfig};
use crate::ledger::Ledger;
use crate::membership::Membership;
use crate::module::candidate::Candidate;
use crate::module::loader::{Loader, LoaderSettings, Module};
use crate::query::QueryPool;
use crate::service::Service;
use crate::state::{self, OperatorRows};
use crate::store::committer::CommitPolicy;
use crate::store::{self, MemoryStore, StateStore, StoreError};
use crate::supervisor::{RunSettings, Shutdown, Supervisor};

/// Something that a host takes in one piece: a [`Capability`], or a set of capabilities and of sources that belong together, such as
/// the chains of `nexum-host-chain`.
pub trait Extension {
    /// Adds everything to the builder.
    fn add_to(self, host: HostBuilder) -> HostBuilder;
}

impl<C: Capability> Extension for C {
    fn add_to(self, host: HostBuilder) -> HostBuilder {
        host.capability(self)
    }
}

/// Collects what a host consists of, and loads its modules.
#[derive(Debug)]
pub struct HostBuilder {
    capabilities: Capabilities,
    sources: BTreeMap<ChainId, Arc<dyn EventSource>>,
    expected_chains: BTreeSet<ChainId>,
    run: RunSettings,
    loader: LoaderSettings,
    engine: EngineConfig,
    seams: Seams,
    modules: Vec<ModuleConfig>,
    rows: OperatorRows,
    with_disabled: bool,
}

impl Default for HostBuilder {
    fn default() -> Self {
        Self::new(Seams::system())
    }
}

impl HostBuilder {
    /// A builder whose modules have this time and entropy. [`Host::builder`] takes the machine's own.
    pub fn new(seams: Seams) -> Self {
        Self {
            capabilities: Capabilities::ambient(seams.clone()),
            sources: BTreeMap::new(),
            expected_chains: BTreeSet::new(),
            run: RunSettings {
                clock: seams.clock.clone(),
                ..RunSettings::new(Arc::new(MemoryStore::new()))
            },
            loader: LoaderSettings::default(),
            engine: EngineConfig::default(),
            seams,
            modules: Vec::new(),
            rows: OperatorRows::new(),
            with_disabled: false,
        }
    }

    /// Adds a capability, or everything that an extension consists of.
    #[must_use]
    pub fn with(self, extension: impl Extension) -> Self {
        extension.add_to(self)
    }

    /// Adds a capability that modules get if their manifests ask for it. It replaces an earlier capability of its name.
    #[must_use]
    pub fn capability<C: Capability>(self, capability: C) -> Self {
        let capabilities = self.capabilities.with(capability);
        Self { capabilities, ..self }
    }

    /// Makes a capability known that this program lacks, unless the builder has one of this name: see [`Capabilities::absent`].
    #[must_use]
    pub fn absent(self, name: &'static str, interfaces: &'static [&'static str], feature: &'static str) -> Self {
        let capabilities = self.capabilities.absent(name, interfaces, feature);
        Self { capabilities, ..self }
    }

    /// Makes a capability known that no program serves yet, unless the builder has one of this name: see
    /// [`Capabilities::unserved`].
    #[must_use]
    pub fn unserved(
        self,
        name: &'static str,
        interfaces: &'static [&'static str],
        empty: &'static [&'static str],
    ) -> Self {
        let capabilities = self.capabilities.unserved(name, interfaces, empty);
        Self { capabilities, ..self }
    }

    /// Adds the source of a chain. It replaces an earlier source of that chain. Modules can subscribe to the chains that have one.
    #[must_use]
    pub fn source(mut self, source: Arc<dyn EventSource>) -> Self {
        self.sources.insert(source.chain_id(), source);
        self
    }

    /// Makes a chain known that has no source yet, for an [inspection](Self::inspect) of modules that need it.
    #[must_use]
    pub fn expect_chain(mut self, chain_id: ChainId) -> Self {
        self.expected_chains.insert(chain_id);
        self
    }

    /// Sets the store of the modules' state and cursors. Default: a [`MemoryStore`], which forgets everything with the process.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn StateStore>) -> Self {
        self.run.store = store;
        self
    }

    /// Sets when commits that may wait become durable. Default: [`CommitPolicy::default`].
    #[must_use]
    pub fn commit_policy(mut self, policy: CommitPolicy) -> Self {
        self.run.policy = policy;
        self
    }

    /// Sets the bounds on the end of the run. Default: [`Shutdown::default`].
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.run.shutdown = shutdown;
        self
    }

    /// Makes the host a member of an installation of several processes, and runs only the modules that it
    /// owns there. Default: the host runs all modules.
    #[must_use]
    pub fn membership(mut self, membership: Arc<dyn Membership>) -> Self {
        self.run.membership = Some(membership);
        self
    }

    /// Sets what only one process of the installation may use at a time, such as accounts that send transactions, for
    /// each module that uses it. The modules that use one of these names run on one process together. Default: nothing.
    #[must_use]
    pub fn together(mut self, together: BTreeMap<ModuleName, BTreeSet<String>>) -> Self {
        self.run.together = together;
        self
    }

    /// Adds a task that runs beside the modules.
    #[must_use]
    pub fn service(mut self, service: Arc<dyn Service>) -> Self {
        self.run.services.push(service);
        self
    }

    /// Records each attempt at an event in this ledger. Default: nowhere, which costs nothing.
    #[must_use]
    pub fn ledger(mut self, ledger: Ledger) -> Self {
        self.run.ledger = Some(ledger);
        self
    }

    /// Sets whether the run ends when the first `init` of a module fails, and whether [`HostHandle::load_each`](super::HostHandle::load_each)
    /// starts no module if one is refused. Default: the host retries `init`, and the other modules run.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.run.strict = strict;
        self
    }

    /// Sets the most that a module may use. Default: [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.loader.limits = limits;
        self
    }

    /// Sets what happens when a module fails, unless its manifest says otherwise. Default: [`Restart::default`].
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.loader.restart = restart;
        self
    }

    /// Sets how many queries a module takes at a time. Default: [`QueryBounds::default`].
    #[must_use]
    pub fn query_bounds(mut self, query: QueryBounds) -> Self {
        self.loader.query = query;
        self
    }

    /// Sets the most bytes of memory that all modules may have together. Default: no bound.
    #[must_use]
    pub fn total_memory_bytes(mut self, bound: Option<u64>) -> Self {
        self.loader.total_memory_bytes = bound;
        self
    }

    /// Adds a file or directory that no module may read through the `files` of its manifest, such as
    /// the state directory. It need not exist. Default: none.
    #[must_use]
    pub fn private(mut self, path: impl Into<MaskedPath>) -> Self {
        self.loader.private.push(path.into());
        self
    }

    /// Sets a directory that keeps compiled components between runs. Default: none.
    #[must_use]
    pub fn cache_dir(mut self, directory: impl Into<MaskedPath>) -> Self {
        self.engine.cache_dir = Some(directory.into());
        self
    }

    /// Sets where modules are compiled. Default: in this process, which bounds neither the memory nor the time of a compilation.
    #[must_use]
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.engine.compiler = compiler;
        self
    }

    /// Sets whether the memory of instances comes from a pool. Default: [`Pooling::Auto`].
    #[must_use]
    pub fn pooling(mut self, pooling: Pooling) -> Self {
        self.engine.pooling = pooling;
        self
    }

    /// Captures what modules write to stdout. Default: each line becomes a log record of the level INFO.
    #[must_use]
    pub fn stdout(mut self, capture: Capture) -> Self {
        self.loader.stdio.stdout = Some(capture);
        self
    }

    /// Captures what modules write to stderr. Default: each line becomes a log record of the level WARN.
    #[must_use]
    pub fn stderr(mut self, capture: Capture) -> Self {
        self.loader.stdio.stderr = Some(capture);
        self
    }

    /// Admits components with other digests than the pinned ones, for a trial of a new version. Default: they are refused.
    #[must_use]
    pub fn ignore_digests(mut self) -> Self {
        self.loader.ignores_digests = true;
        self
    }

    /// Adds a module.
    #[must_use]
    pub fn module(mut self, module: ModuleConfig) -> Self {
        self.modules.push(module);
        self
    }

    /// Includes the modules that the configuration disables, for an [inspection](Self::inspect) that checks
    /// all modules.
    #[must_use]
    pub fn with_disabled(mut self) -> Self {
        self.with_disabled = true;
        self
    }

    /// Reads from the store what the [operator](super::HostHandle::operator) wanted in earlier runs. The host
    /// then has the modules that the operator loaded, and not those that the operator removed. Stopped
    /// modules begin stopped. Call this after [`store`](Self::store). [`build`](Self::build) calls it. Waits for a
    /// [shared](StateStore::is_shared) store that cannot be reached.
    ///
    /// # Errors
    ///
    /// Fails if another version of nexum wrote the store, or if the store is not usable.
    pub async fn recall(mut self) -> Result<Self, StoreError> {
        let read = |store: &dyn StateStore| {
            state::open(store)?;
            state::operator_rows(&*store.view()?)
        };
        self.rows = store::when_reachable(&self.run.store, read).await?;
        Ok(self)
    }

    /// The capabilities so far.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The sources so far, by chain id.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<dyn EventSource>> {
        self.sources.values()
    }

    /// Loads every module, and returns a host that is ready to run. No guest code runs before [`Host::run`], but for `list-functions`
    /// of a module with functions, in a sandbox.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the modules, or why there is no engine for them.
    pub async fn build(self) -> Result<Host, BuildError> {
        let (mut host, candidates) = self.recall().await?.inspect_all().await?;
        host.load(candidates).await.check()?;
        Ok(host)
    }

    /// Loads the part of every module that answers queries, and returns a pool for each in the order of the modules. The pools need no
    /// [`Host`]: a program asks them when it likes, and calls [`QueryPool::discard_old`] now and then to free idle instances.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the modules, among them one that answers no queries; or why there is no engine for them, or
    /// that the store cannot be used.
    pub async fn query_pools(self) -> Result<Vec<QueryPool>, BuildError> {
        let store = self.run.store.clone();
        let (host, candidates) = self.inspect_all().await?;
        let (modules, errors) = host.handle.compile(candidates).await;
        errors.check()?;
        let mut pools = Vec::with_capacity(modules.len());
        for module in modules {
            let Some(queries) = module.queries else {
                return Err(BuildError::NoQueries(module.meta.name.clone()));
            };
            pools.push(QueryPool::open(*queries, store.clone()).await?);
        }
        Ok(pools)
    }

    /// Loads the part of every module that handles events, in the order of the modules. A [`Trial`](crate::trial::Trial)
    /// runs one without a [`Host`].
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the modules, among them one that handles no events; or why there is no engine for them.
    pub async fn event_modules(self) -> Result<Vec<Module>, BuildError> {
        let (host, candidates) = self.inspect_all().await?;
        let (modules, errors) = host.handle.compile(candidates).await;
        errors.check()?;
        let events = modules.into_iter().map(|module| {
            let name = module.meta.name.clone();
            module.events.map(|events| *events).ok_or(BuildError::NoEvents(name))
        });
        events.collect()
    }

    /// Inspects the modules, and sets the engine up if none is refused.
    async fn inspect_all(self) -> Result<(Host, Vec<Candidate>), BuildError> {
        let mut inspection = self.inspect().await;
        std::mem::take(&mut inspection.errors).check()?;
        for candidate in &inspection.candidates {
            candidate.log_warnings();
        }
        Ok(inspection.set_up()?)
    }

    /// Reads every module's files and makes every check that needs no compiler.
    pub async fn inspect(self) -> Inspection {
        let chains = self.sources.keys().copied().chain(self.expected_chains);
        let loader = Arc::new(Loader::new(self.capabilities, self.loader, chains, self.seams));
        let selection = Selection::new(self.rows.clone(), self.with_disabled);
        let Checked {
            candidates,
            errors,
            warnings,
            selection,
        } = inspection::inspect(&loader, self.modules, selection).await;
        let entries = Entries::new(
            self.run.store.clone(),
            selection.configured,
            self.rows,
            self.run.clock.clone(),
        );
        entries.supersede(&selection.superseded).await;
        let sources = self.sources.into_values();
        Inspection {
            candidates,
            errors,
            warnings,
            entries,
            loader,
            strict: self.run.strict,
            supervisor: sources.fold(Supervisor::new(self.run), Supervisor::source),
            engine: self.engine,
        }
    }
}
