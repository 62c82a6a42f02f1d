//! What can be done to the modules of a run while it goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_config::topic::{ChainId, ChainTopic};
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, mpsc, oneshot};

use super::chains::Sources;
use super::error::SteerError;
use super::queries::Queries;
use super::start::ready;
use crate::bus::source::{EventSource, SourceError, TopicHandle};
use crate::module::loader::Module;
use crate::module::query::QueryModule;
use crate::query::QueryPool;
use crate::runner::ModuleStatus;
use crate::store::Batch;
use crate::store::committer::Committer;

/// How many requests may wait: each is of an operator who waits for the answer.
const REQUESTS_MAX: usize = 16;

/// The modules of a run, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Modules(Arc<Mutex<BTreeMap<ModuleName, Arc<ModuleStatus>>>>);

/// Chains that could not be followed any longer, and why.
#[derive(Clone, Debug, Default)]
pub(super) struct LostChains(Arc<Mutex<BTreeMap<ChainId, String>>>);

/// Steers the modules of a run: finds them, adds to them, takes them away. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SupervisorHandle {
    pub(super) modules: Modules,
    pub(super) queries: Queries,
    pub(super) lost_chains: LostChains,
    pub(super) sources: Sources,
    requests: mpsc::Sender<Request>,
    /// Read while a module is added, and written while none may be.
    loads: Arc<RwLock<()>>,
}

/// What the supervisor is asked for.
#[derive(Debug)]
pub(super) enum Request {
    Load(Box<Module>, oneshot::Sender<Result<(), SteerError>>),
    LoadQuery {
        module: Box<QueryModule>,
        /// Of the module that has its name.
        in_place: bool,
        done: oneshot::Sender<Result<(), SteerError>>,
    },
    /// To have the chains followed that the module in this one's place will read.
    Follow(Arc<Module>, oneshot::Sender<Result<Topics, SteerError>>),
    Remove(ModuleName, oneshot::Sender<Result<(), SteerError>>),
    /// For where the committer is.
    Committer(oneshot::Sender<Result<Committer, SteerError>>),
}

/// While this is held no module is added: what a store has of one that does not run can be changed.
#[derive(Debug)]
pub struct LoadsHeld {
    _loads: OwnedRwLockWriteGuard<()>,
}

/// Topics that are followed.
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
            requests,
            loads: Arc::default(),
        };
        (handle, receiver)
    }

    /// Every module that reacts to events, by name.
    pub fn modules(&self) -> Vec<Arc<ModuleStatus>> {
        self.modules.all()
    }

    /// The chains that could not be followed any longer, and why. Nothing follows them again before nexum is started anew.
    pub fn lost_chains(&self) -> BTreeMap<ChainId, String> {
        self.lost_chains.0.lock().clone()
    }

    /// The chains that do not go on, and why: those that were lost, and those whose source has
    /// [trouble](crate::bus::source::EventSource::trouble).
    pub fn troubled_chains(&self) -> BTreeMap<ChainId, String> {
        let troubled = |(chain_id, source): (&ChainId, &Arc<dyn EventSource>)| Some((*chain_id, source.trouble()?));
        let mut chains: BTreeMap<_, _> = self.sources.iter().filter_map(troubled).collect();
        chains.extend(self.lost_chains());
        chains
    }

    /// The module of this name that reacts to events.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn module(&self, name: &ModuleName) -> Result<Arc<ModuleStatus>, SteerError> {
        self.modules.get(name).ok_or_else(|| match self.queries.get(name) {
            Some(_) => SteerError::NoEvents(name.clone()),
            None => SteerError::NoModule(name.clone()),
        })
    }

    /// Every module that answers queries, by name.
    pub fn queries(&self) -> Vec<Arc<QueryPool>> {
        self.queries.all()
    }

    /// The module of this name that answers queries.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn query(&self, name: &ModuleName) -> Result<Arc<QueryPool>, SteerError> {
        self.queries.get(name).ok_or_else(|| match self.modules.get(name) {
            Some(_) => SteerError::NoQueries(name.clone()),
            None => SteerError::NoModule(name.clone()),
        })
    }

    /// Adds a module, which begins with the next block, or where it was when it last ran. Waits for the chains that it cannot be
    /// without.
    ///
    /// # Errors
    ///
    /// When there is one of its name, or it cannot be started.
    pub async fn load(&self, module: Module) -> Result<(), SteerError> {
        ready(&self.sources, [&module]).await?;
        let _may_load = self.loads.read().await;
        self.ask(|done| Request::Load(Box::new(module), done)).await
    }

    /// Adds a module that answers queries.
    ///
    /// # Errors
    ///
    /// When there is one of its name.
    pub async fn load_query(&self, module: QueryModule) -> Result<(), SteerError> {
        let _may_load = self.loads.read().await;
        let (module, in_place) = (Box::new(module), false);
        self.ask(|done| Request::LoadQuery { module, in_place, done }).await
    }

    /// Has queries be answered by another component, manifest and configuration from now on, with counts of its own. The old one
    /// answers those that it has.
    ///
    /// # Errors
    ///
    /// When there is no module of its name that answers queries.
    pub async fn reload_query(&self, module: QueryModule) -> Result<(), SteerError> {
        let _may_load = self.loads.read().await;
        let (module, in_place) = (Box::new(module), true);
        self.ask(|done| Request::LoadQuery { module, in_place, done }).await
    }

    /// Has a module go on with another component, manifest and configuration, at the same place and with the same state: the
    /// event in hand is finished, and the new `init` has to return ok.
    ///
    /// # Errors
    ///
    /// When there is no module of its name, or the new one cannot be started: then the old one goes on.
    pub async fn reload(&self, module: Module) -> Result<(), SteerError> {
        ready(&self.sources, [&module]).await?;
        let module = Arc::new(module);
        let status = self.module(&module.meta.name)?;
        let followed = self.ask(|done| Request::Follow(module.clone(), done)).await?;
        Ok(status.reload(module, followed).await?)
    }

    /// Ends a module after the event in hand, or the queries. What it keeps stays in the store.
    ///
    /// # Errors
    ///
    /// When there is none of this name.
    pub async fn remove(&self, name: &ModuleName) -> Result<(), SteerError> {
        self.ask(|done| Request::Remove(name.clone(), done)).await
    }

    /// Keeps modules from being added until what is returned is dropped. Waits for one that is being added.
    pub async fn hold_loads(&self) -> LoadsHeld {
        LoadsHeld {
            _loads: self.loads.clone().write_owned().await,
        }
    }

    /// Returns when everything is in the store that waits to be written, that of modules which have been removed too.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn flush(&self) -> Result<(), SteerError> {
        let committer = self.ask(Request::Committer).await?;
        Ok(committer.commit(Batch::default()).await?)
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
