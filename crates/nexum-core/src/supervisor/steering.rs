//! What can be done to the modules of a run while it goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::StartError;
use super::chains::Sources;
use super::queries::Queries;
use crate::event::ChainTopic;
use crate::loader::{Module, QueryModule};
use crate::names::ModuleName;
use crate::query::QueryPool;
use crate::runner::{Followed, ModuleStatus, OrderError};

/// How many requests may wait: each is of an operator who waits for the answer.
const REQUESTS_MAX: usize = 16;

/// The modules of a run, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Modules(Arc<Mutex<BTreeMap<ModuleName, Arc<ModuleStatus>>>>);

/// Steers the modules of a run: finds them, adds to them, takes them away. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Steering {
    pub(super) modules: Modules,
    pub(super) queries: Queries,
    pub(super) sources: Sources,
    requests: mpsc::Sender<Request>,
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
}

/// Topics that are followed.
pub(super) type Topics = BTreeMap<ChainTopic, Followed>;

/// Why the modules of a run were not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SteerError {
    /// There is a module of this name.
    #[error("there is a module {0} already")]
    Exists(ModuleName),
    /// There is none.
    #[error("there is no module {0}")]
    NoModule(ModuleName),
    /// There is one of this name, and it reacts to events.
    #[error("the module {0} answers no queries")]
    NoQueries(ModuleName),
    /// There is one of this name, and it answers queries.
    #[error("the module {0} answers queries, and has no events")]
    NoEvents(ModuleName),
    /// It cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The module's runner did not do it.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The run has ended, or has not begun.
    #[error("nexum does not run")]
    NotRunning,
}

impl Modules {
    pub(super) fn get(&self, name: &ModuleName) -> Option<Arc<ModuleStatus>> {
        self.lock().get(name).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<ModuleStatus>> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn insert(&self, status: Arc<ModuleStatus>) {
        self.lock().insert(status.name().clone(), status);
    }

    pub(super) fn remove(&self, name: &ModuleName) {
        self.lock().remove(name);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ModuleName, Arc<ModuleStatus>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steering {
    pub(super) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let steering = Self {
            modules: Modules::default(),
            queries: Queries::default(),
            sources: Sources::new(),
            requests,
        };
        (steering, receiver)
    }

    /// Every module that reacts to events, by name.
    pub fn modules(&self) -> Vec<Arc<ModuleStatus>> {
        self.modules.all()
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
        super::ready(&self.sources, [&module]).await?;
        self.ask(|done| Request::Load(Box::new(module), done)).await
    }

    /// Adds a module that answers queries.
    ///
    /// # Errors
    ///
    /// When there is one of its name.
    pub async fn load_query(&self, module: QueryModule) -> Result<(), SteerError> {
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
        super::ready(&self.sources, [&module]).await?;
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
