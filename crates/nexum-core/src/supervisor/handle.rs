//! The handle that changes the modules of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;
use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard, mpsc, oneshot, watch};

use super::chains::{Sources, troubles};
use super::error::SteerError;
use super::expected::{Expectation, Expected};
use super::inbox::{Exchange, Inbox, Ping, Prepared, Request, RunnerChange};
use super::look::look;
use super::modules::{Modules, Reloaded, RunningModule};
use super::start::attempt_required;
use crate::bus::report::{SourceReport, Trouble};
use crate::bus::source::{EventSource, SourceError};
use crate::membership::{Membership, Tenure};
use crate::module::loaded::Loaded;
use crate::module::loader::Module;
use crate::module::query::QueryModule;
use crate::query::QueryPool;
use crate::reason::Reason;
use crate::runner::{Agreement, ModuleStatus};
use crate::store::Batch;

/// The most waiting requests. An operator waits for the answer to each, so few wait at once.
const REQUESTS_MAX: usize = 16;

/// The chains that nexum lost, with the reasons.
#[derive(Clone, Debug, Default)]
pub(super) struct LostChains(Arc<Mutex<BTreeMap<ChainId, Reason>>>);

/// Steers a run: finds, adds and removes modules. A clone is cheap.
#[derive(Clone, Debug)]
pub struct SupervisorHandle {
    pub(super) modules: Modules,
    pub(super) lost_chains: LostChains,
    pub(super) sources: Sources,
    pub(super) expected: Expected,
    pub(super) membership: Option<Arc<dyn Membership>>,
    requests: mpsc::Sender<Request>,
    pings: mpsc::Sender<Ping>,
    /// Read-locked during the addition of a module, and write-locked to prevent additions.
    loads: Arc<RwLock<()>>,
    holder: Arc<Mutex<Option<Arc<str>>>>,
}

/// Prevents the addition of modules until it is dropped, so that the caller can change the stored
/// state of a module that does not run.
#[derive(Debug)]
pub struct LoadsHeld {
    _loads: OwnedRwLockWriteGuard<()>,
    holder: Arc<Mutex<Option<Arc<str>>>>,
}

impl Drop for LoadsHeld {
    fn drop(&mut self) {
        *self.holder.lock() = None;
    }
}

impl LostChains {
    pub(super) fn lose(&self, error: &SourceError, now_ms: u64) {
        let reason = Reason {
            text: error.reason_with_causes().into(),
            since_ms: now_ms,
        };
        self.0.lock().insert(error.chain_id, reason);
    }
}

impl SupervisorHandle {
    pub(super) fn new(membership: Option<Arc<dyn Membership>>) -> (Self, Inbox) {
        let (requests, waiting) = mpsc::channel(REQUESTS_MAX);
        let (pings, pinging) = mpsc::channel(1);
        let handle = Self {
            modules: Modules::default(),
            lost_chains: LostChains::default(),
            sources: Sources::new(),
            expected: Expected::default(),
            membership,
            requests,
            pings,
            loads: Arc::default(),
            holder: Arc::default(),
        };
        let inbox = Inbox {
            requests: waiting,
            pings: pinging,
        };
        (handle, inbox)
    }

    /// The modules that this process owns, in an installation of several processes.
    pub fn tenure(&self) -> Option<watch::Receiver<Tenure>> {
        Some(self.membership.as_ref()?.tenure())
    }

    /// Fails in an installation of several processes: another one may run any module of the stored state.
    ///
    /// # Errors
    ///
    /// [`SteerError::Shared`].
    pub fn check_alone(&self) -> Result<(), SteerError> {
        match self.membership {
            Some(_) => Err(SteerError::Shared),
            None => Ok(()),
        }
    }

    /// All modules, by name.
    pub fn all(&self) -> Vec<RunningModule> {
        self.modules.all()
    }

    /// Returns the module of this name.
    ///
    /// # Errors
    ///
    /// Fails if there is no such module.
    pub fn get(&self, name: &ModuleName) -> Result<RunningModule, SteerError> {
        let module = self.modules.get(name);
        module.ok_or_else(|| SteerError::NoModule(name.clone()))
    }

    /// All modules that handle events, by name.
    pub fn modules(&self) -> Vec<Arc<ModuleStatus>> {
        self.modules.all_events()
    }

    /// The chains that nexum lost, with the reasons. nexum follows them again only after a restart.
    pub fn lost_chains(&self) -> BTreeMap<ChainId, Reason> {
        self.lost_chains.0.lock().clone()
    }

    /// The chains that do not advance, with the reasons, and since when: the lost ones, and the ones whose source has
    /// [trouble](crate::bus::source::EventSource::trouble).
    pub fn troubled_chains(&self) -> BTreeMap<ChainId, Trouble> {
        let of_lost = |(chain_id, Reason { text, since_ms })| {
            let trouble = Trouble {
                text,
                since_ms,
                next_try_ms: None,
            };
            (chain_id, trouble)
        };
        let mut chains: BTreeMap<_, _> = self.lost_chains().into_iter().map(of_lost).collect();
        chains.extend(troubles(&self.sources));
        chains
    }

    /// Brings the conditions of all modules up to date with their chains, as nexum does each second. Call it before you read
    /// modules and chains together, so that both are of one moment.
    pub fn look(&self) {
        look(&self.modules, &self.sources);
    }

    /// The state of each configured chain, by chain id.
    pub fn chain_reports(&self) -> Vec<SourceReport> {
        self.sources.values().map(|source| source.report()).collect()
    }

    /// The source of a chain.
    pub fn source(&self, chain_id: ChainId) -> Option<Arc<dyn EventSource>> {
        self.sources.get(&chain_id).cloned()
    }

    /// Returns the module of this name that handles events.
    ///
    /// # Errors
    ///
    /// Fails if there is no such module.
    pub fn module(&self, name: &ModuleName) -> Result<Arc<ModuleStatus>, SteerError> {
        let events = self.get(name)?.events;
        events.ok_or_else(|| SteerError::NoEvents(name.clone()))
    }

    /// All modules that answer queries, by name.
    pub fn queries(&self) -> Vec<Arc<QueryPool>> {
        self.modules.all_queries()
    }

    /// Returns the module of this name that answers queries.
    ///
    /// # Errors
    ///
    /// Fails if there is no such module.
    pub fn query(&self, name: &ModuleName) -> Result<Arc<QueryPool>, SteerError> {
        let queries = self.get(name)?.queries;
        queries.ok_or_else(|| SteerError::NoQueries(name.clone()))
    }

    /// Adds a module with all of its parts. Its events start at its stored position, or with the
    /// next block. If a chain that the module requires cannot be read, the module
    /// [waits](crate::Stage::WaitingForChain) for it by itself.
    ///
    /// # Errors
    ///
    /// Fails if a module of this name exists, or if the module cannot start.
    pub async fn load(&self, module: impl Into<Loaded>) -> Result<(), SteerError> {
        let module = module.into();
        attempt_required(&self.sources, module.events.as_deref()).await;
        let name = module.meta.name.clone();
        match self.add(vec![module], false).await?.is_empty() {
            true => Ok(()),
            false => Err(SteerError::Exists(name)),
        }
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

    /// Replaces the component, manifest and configuration of a module, and keeps its positions and
    /// state. The current event is finished first, and the new `init` has to return ok. The old
    /// component answers the queries in progress, and the counts of queries start at zero. If the
    /// caller drops the future, all parts are replaced, or none.
    ///
    /// The module may have other parts than before. A runner that ends leaves its positions and the
    /// state in the store. A new runner starts at these positions, or with the next block.
    ///
    /// # Errors
    ///
    /// Fails if there is no module of this name, or if the new component cannot start. The old
    /// component then continues.
    pub async fn reload(&self, module: impl Into<Loaded>) -> Result<Reloaded, SteerError> {
        let module = module.into();
        attempt_required(&self.sources, module.events.as_deref()).await;
        let (name, now, is_stopped) = (module.meta.name.clone(), module.kind(), module.is_stopped);
        let reloads = self.get(&name)?.reloads;
        let alone = reloads.lock_owned().await;
        let running = self.get(&name)?;
        let before = running.kind();
        let runner = match (running.runner(), module.events) {
            (Some(status), Some(events)) => {
                self.reload_running(&status, Arc::new(*events), module.queries, alone, None)
                    .await?;
                return Ok(Reloaded { before, now });
            }
            (None, Some(module)) => RunnerChange::Start { module, is_stopped },
            (_, None) if running.events.is_some() => RunnerChange::End,
            (_, None) => RunnerChange::None,
        };
        let queries = module.queries;
        self.exchange(Exchange {
            name,
            queries,
            runner,
            alone,
        })
        .await?;
        Ok(Reloaded { before, now })
    }

    /// Replaces the parts of a module whose runner starts, ends, or does not exist.
    pub(super) async fn exchange(&self, exchange: Exchange) -> Result<(), SteerError> {
        let _may_load = self.may_load().await;
        self.exchange_now(exchange).await
    }

    /// Replaces the parts of a module. The caller [may load](Self::may_load).
    pub(super) async fn exchange_now(&self, exchange: Exchange) -> Result<(), SteerError> {
        self.ask(|done| Request::Exchange(exchange, done)).await
    }

    /// Replaces a module whose runner stays. The runner replaces the pool at the moment at which it
    /// takes the new module, so that the parts are always of one module. No other reload begins before
    /// this moment, even if the caller drops the future.
    pub(super) async fn reload_running(
        &self,
        status: &ModuleStatus,
        events: Arc<Module>,
        queries: Option<Box<QueryModule>>,
        alone: OwnedMutexGuard<()>,
        agreement: Option<Agreement>,
    ) -> Result<(), SteerError> {
        let request = |done| Request::Prepare(events.clone(), queries, done);
        let Prepared { followed, pool } = self.ask(request).await?;
        let (modules, name) = (self.modules.clone(), status.name().clone());
        let switch = move || {
            modules.replace_queries(&name, pool);
            drop(alone);
        };
        status
            .reload(events.clone(), followed, Box::new(switch), agreement)
            .await?;
        self.ask(|done| Request::Reloaded(events, done)).await
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
    /// progress. `holder` is for operators whose loads wait.
    pub async fn hold_loads(&self, holder: &str) -> LoadsHeld {
        let held = self.loads.clone().write_owned().await;
        *self.holder.lock() = Some(holder.into());
        LoadsHeld {
            _loads: held,
            holder: self.holder.clone(),
        }
    }

    /// The holder of the loads, which wait for it.
    pub fn loads_holder(&self) -> Option<Arc<str>> {
        self.holder.lock().clone()
    }

    /// Waits until all waiting changes are in the store, including those of removed modules.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written.
    pub async fn flush(&self) -> Result<(), SteerError> {
        let committer = self.ask(Request::Committer).await?;
        committer.commit(Batch::default()).await?;
        Ok(())
    }

    /// Returns when the supervisor has answered, or has ended. A request that waits for the store does not
    /// delay the answer.
    pub async fn responds(&self) {
        let (done, answer) = oneshot::channel();
        if self.pings.send(Ping(done)).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Keeps the run from ending for lack of modules until the result is dropped.
    pub(crate) fn expect(&self) -> Expectation {
        self.expected.expect()
    }

    async fn add(&self, modules: Vec<Loaded>, is_initial: bool) -> Result<Vec<Loaded>, SteerError> {
        let _may_load = self.may_load().await;
        self.add_now(modules, is_initial).await
    }

    /// Waits until nothing prevents the addition of modules, and delays what would.
    pub(super) async fn may_load(&self) -> RwLockReadGuard<'_, ()> {
        self.loads.read().await
    }

    /// Adds modules. The caller [may load](Self::may_load).
    pub(super) async fn add_now(&self, modules: Vec<Loaded>, is_initial: bool) -> Result<Vec<Loaded>, SteerError> {
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
