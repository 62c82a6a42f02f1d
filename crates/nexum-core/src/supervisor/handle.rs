//! The handle that changes the modules of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_config::topic::{ChainId, ChainTopic};
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, mpsc, oneshot};

use super::chains::Sources;
use super::error::SteerError;
use super::expected::{Expectation, Expected};
use super::queries::Queries;
use super::start::ready;
use crate::bus::source::{EventSource, SourceError, TopicHandle};
use crate::module::loader::Module;
use crate::module::query::{Loaded, QueryModule};
use crate::query::QueryPool;
use crate::runner::ModuleStatus;
use crate::store::Batch;
use crate::store::committer::Committer;

/// The most waiting requests. An operator waits for the answer to each, so few wait at once.
const REQUESTS_MAX: usize = 16;

/// The modules of a run, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Modules(Arc<Mutex<BTreeMap<ModuleName, Arc<ModuleStatus>>>>);

/// The chains that nexum lost, with the reasons.
#[derive(Clone, Debug, Default)]
pub(super) struct LostChains(Arc<Mutex<BTreeMap<ChainId, String>>>);

/// Steers a run: finds, adds and removes modules. A clone is cheap.
#[derive(Clone, Debug)]
pub struct SupervisorHandle {
    pub(super) modules: Modules,
    pub(super) queries: Queries,
    pub(super) lost_chains: LostChains,
    pub(super) sources: Sources,
    pub(super) expected: Expected,
    requests: mpsc::Sender<Request>,
    /// Read-locked during the addition of a module, and write-locked to prevent additions.
    loads: Arc<RwLock<()>>,
}

/// A request to the supervisor.
#[derive(Debug)]
pub(super) enum Request {
    /// Starts modules. The answer has those whose names are taken.
    Add {
        modules: Vec<Loaded>,
        /// Whether the run began for them: see [`SupervisorHandle::start`].
        is_initial: bool,
        done: oneshot::Sender<Result<Vec<Loaded>, SteerError>>,
    },
    /// Replaces a module that answers queries.
    ReloadQuery(Box<QueryModule>, oneshot::Sender<Result<(), SteerError>>),
    /// Requests that nexum follows the chains of a module that will replace another one.
    Follow(Arc<Module>, oneshot::Sender<Result<Topics, SteerError>>),
    Remove(ModuleName, oneshot::Sender<Result<(), SteerError>>),
    /// Requests rows in the store for modules of these names.
    Intern(Vec<ModuleName>, oneshot::Sender<Result<(), SteerError>>),
    /// Requests the committer.
    Committer(oneshot::Sender<Result<Committer, SteerError>>),
}

/// Prevents the addition of modules until it is dropped, so that the caller can change the stored
/// state of a module that does not run.
#[derive(Debug)]
pub struct LoadsHeld {
    _loads: OwnedRwLockWriteGuard<()>,
}

/// The followed topics.
pub(super) type Topics = BTreeMap<ChainTopic, TopicHandle>;

impl Modules {
    pub(super) fn get(&self, name: &ModuleName) -> Option<Arc<ModuleStatus>> {
        self.0.lock().get(name).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<ModuleStatus>> {
        self.0.lock().values().cloned().collect()
    }

    pub(super) fn insert(&self, status: Arc<ModuleStatus>) {
        self.0.lock().insert(status.name().clone(), status);
    }

    pub(super) fn remove(&self, name: &ModuleName) {
        if let Some(status) = self.0.lock().remove(name) {
            status.metrics.retire();
        }
    }
}

impl LostChains {
    pub(super) fn lose(&self, error: &SourceError) {
        self.0.lock().insert(error.chain_id, error.reason_with_causes());
    }
}

impl SupervisorHandle {
    pub(super) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let handle = Self {
            modules: Modules::default(),
            queries: Queries::default(),
            lost_chains: LostChains::default(),
            sources: Sources::new(),
            expected: Expected::default(),
            requests,
            loads: Arc::default(),
        };
        (handle, receiver)
    }

    /// All modules that handle events, by name.
    pub fn modules(&self) -> Vec<Arc<ModuleStatus>> {
        self.modules.all()
    }

    /// The chains that nexum lost, with the reasons. nexum follows them again only after a restart.
    pub fn lost_chains(&self) -> BTreeMap<ChainId, String> {
        self.lost_chains.0.lock().clone()
    }

    /// The chains that do not advance, with the reasons: the lost ones, and the ones whose source has
    /// [trouble](crate::bus::source::EventSource::trouble).
    pub fn troubled_chains(&self) -> BTreeMap<ChainId, String> {
        let troubled = |(chain_id, source): (&ChainId, &Arc<dyn EventSource>)| Some((*chain_id, source.trouble()?));
        let mut chains: BTreeMap<_, _> = self.sources.iter().filter_map(troubled).collect();
        chains.extend(self.lost_chains());
        chains
    }

    /// Returns the module of this name that handles events.
    ///
    /// # Errors
    ///
    /// Fails if there is no such module.
    pub fn module(&self, name: &ModuleName) -> Result<Arc<ModuleStatus>, SteerError> {
        self.modules.get(name).ok_or_else(|| match self.queries.get(name) {
            Some(_) => SteerError::NoEvents(name.clone()),
            None => SteerError::NoModule(name.clone()),
        })
    }

    /// All modules that answer queries, by name.
    pub fn queries(&self) -> Vec<Arc<QueryPool>> {
        self.queries.all()
    }

    /// Returns the module of this name that answers queries.
    ///
    /// # Errors
    ///
    /// Fails if there is no such module.
    pub fn query(&self, name: &ModuleName) -> Result<Arc<QueryPool>, SteerError> {
        self.queries.get(name).ok_or_else(|| match self.modules.get(name) {
            Some(_) => SteerError::NoQueries(name.clone()),
            None => SteerError::NoModule(name.clone()),
        })
    }

    /// Adds a module, which starts at its stored position, or with the next block. Waits for the
    /// chains that the module needs.
    ///
    /// # Errors
    ///
    /// Fails if a module of this name exists, or if the module cannot start.
    pub async fn load(&self, module: Module) -> Result<(), SteerError> {
        ready(&self.sources, [&module]).await?;
        self.add_one(Loaded::Event(Box::new(module))).await
    }

    /// Adds a module that answers queries.
    ///
    /// # Errors
    ///
    /// Fails if a module of this name exists.
    pub async fn load_query(&self, module: QueryModule) -> Result<(), SteerError> {
        self.add_one(Loaded::Query(Box::new(module))).await
    }

    /// Writes to the store what it needs to know of modules with these names, so that
    /// [`start`](Self::start) writes nothing.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be used.
    pub(crate) async fn intern(&self, names: Vec<ModuleName>) -> Result<(), SteerError> {
        self.ask(|done| Request::Intern(names, done)).await
    }

    /// Adds modules as a run does at its start. Each waits by itself for the chains that it needs, and
    /// one without a stored position begins with the first block of the run. The run is
    /// [strict](super::RunSettings::strict) with them. Returns the modules whose names other modules
    /// have.
    ///
    /// # Errors
    ///
    /// Fails if the modules cannot start.
    pub async fn start(&self, modules: Vec<Loaded>) -> Result<Vec<Loaded>, SteerError> {
        self.add(modules, true).await
    }

    /// Replaces the component, manifest and configuration of a module that answers queries. Its
    /// counts start at zero. The old component answers the calls in progress.
    ///
    /// # Errors
    ///
    /// Fails if no module of this name answers queries.
    pub async fn reload_query(&self, module: QueryModule) -> Result<(), SteerError> {
        let _may_load = self.loads.read().await;
        let module = Box::new(module);
        self.ask(|done| Request::ReloadQuery(module, done)).await
    }

    /// Replaces the component, manifest and configuration of a module that handles events, and
    /// keeps its positions and state. The current event is finished first, and the new `init` has
    /// to return ok.
    ///
    /// # Errors
    ///
    /// Fails if there is no module of this name, or if the new component cannot start. The old
    /// component then continues.
    pub async fn reload(&self, module: Module) -> Result<(), SteerError> {
        ready(&self.sources, [&module]).await?;
        let module = Arc::new(module);
        let status = self.module(&module.meta.name)?;
        let followed = self.ask(|done| Request::Follow(module.clone(), done)).await?;
        Ok(status.reload(module, followed).await?)
    }

    /// Ends a module after its current event or queries. The module's state stays in the store.
    ///
    /// # Errors
    ///
    /// Fails if there is no module of this name.
    pub async fn remove(&self, name: &ModuleName) -> Result<(), SteerError> {
        self.ask(|done| Request::Remove(name.clone(), done)).await
    }

    /// Prevents the addition of modules until the result is dropped. Waits for an addition in
    /// progress.
    pub async fn hold_loads(&self) -> LoadsHeld {
        LoadsHeld {
            _loads: self.loads.clone().write_owned().await,
        }
    }

    /// Waits until all waiting changes are in the store, including those of removed modules.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written.
    pub async fn flush(&self) -> Result<(), SteerError> {
        let committer = self.ask(Request::Committer).await?;
        Ok(committer.commit(Batch::default()).await?)
    }

    /// Keeps the run from ending for lack of modules until the result is dropped.
    pub(crate) fn expect(&self) -> Expectation {
        self.expected.expect()
    }

    async fn add_one(&self, module: Loaded) -> Result<(), SteerError> {
        let name = module.meta().name.clone();
        match self.add(vec![module], false).await?.is_empty() {
            true => Ok(()),
            false => Err(SteerError::Exists(name)),
        }
    }

    async fn add(&self, modules: Vec<Loaded>, is_initial: bool) -> Result<Vec<Loaded>, SteerError> {
        let _may_load = self.loads.read().await;
        let request = |done| Request::Add {
            modules,
            is_initial,
            done,
        };
        self.ask(request).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, SteerError>>) -> Request,
    ) -> Result<T, SteerError> {
        let (done, outcome) = oneshot::channel();
        let sent = self.requests.send(request(done)).await;
        sent.map_err(|_| SteerError::NotRunning)?;
        outcome.await.unwrap_or(Err(SteerError::NotRunning))
    }
}
