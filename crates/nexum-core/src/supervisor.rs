//! Starts everything, keeps it apart, and stops it.
//!
//! Invariant: whatever one module or one chain does, the others go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::committer::{CommitPolicy, Committer, Lazy};
use crate::event::{ChainId, Topic};
use crate::loader::Module;
use crate::names::ModuleName;
use crate::runner::{Feed, Interest, Ledger, ModuleStatus, Runner, Stage};
use crate::source::{ChainLogs, EventSource, SourceError};
use crate::state::{self, Headers, ModuleState};
use crate::store::{StateStore, StoreError};

/// Modules and the chains that they hear of, ready to run.
#[derive(Debug)]
pub struct Supervisor {
    store: Arc<dyn StateStore>,
    policy: CommitPolicy,
    sources: BTreeMap<ChainId, Arc<dyn EventSource>>,
    modules: Vec<(Module, Arc<ModuleStatus>)>,
    /// Told when a module is dead.
    left: Arc<Notify>,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A module subscribes to a chain without a source.
    #[error("no source follows chain {chain_id}")]
    NoSource {
        /// The chain.
        chain_id: ChainId,
    },
    /// A chain that a module cannot be without cannot be read.
    #[error("chain {}, which the module {module} requires, cannot be read", error.chain_id)]
    NotReady {
        /// The module.
        module: ModuleName,
        /// What is wrong with the chain.
        #[source]
        error: SourceError,
    },
    /// The state of a module cannot be read.
    #[error("the state store cannot be used")]
    Store(#[source] StoreError),
}

/// How a run ended.
#[derive(Debug)]
pub struct Report {
    /// Every module's last status.
    pub modules: Vec<Arc<ModuleStatus>>,
    /// Chains that could not be followed any longer.
    pub lost_chains: Vec<SourceError>,
    /// Whether the run ended because it was told to.
    pub stopped: bool,
}

impl Supervisor {
    /// A supervisor whose modules keep their state in `store`.
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        Self {
            store,
            policy: CommitPolicy::default(),
            sources: BTreeMap::new(),
            modules: Vec::new(),
            left: Arc::default(),
        }
    }

    /// Sets when things become durable that may wait.
    #[must_use]
    pub fn commit_policy(self, policy: CommitPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Adds a chain's source, in place of an earlier one for this chain.
    #[must_use]
    pub fn source(mut self, source: Arc<dyn EventSource>) -> Self {
        self.sources.insert(source.chain_id(), source);
        self
    }

    /// Adds a module, and returns where it can be watched.
    pub fn module(&mut self, module: Module) -> Arc<ModuleStatus> {
        let status = Arc::new(ModuleStatus::new(module.meta.name.clone(), self.left.clone()));
        self.modules.push((module, status.clone()));
        status
    }

    /// Waits for the chains that a module cannot be without, and then runs until `stop`, or until no module or no chain is
    /// left. Then the events in hand have been finished, each within its deadline.
    ///
    /// # Errors
    ///
    /// When it cannot start; then nothing has run.
    pub async fn run(self, stop: CancellationToken) -> Result<Report, StartError> {
        let chains = self.chains()?;
        let statuses: Vec<_> = self.modules.iter().map(|(_, status)| status.clone()).collect();
        tokio::select! {
            ready = self.ready() => ready?,
            () = stop.cancelled() => return Ok(Report { modules: statuses, lost_chains: Vec::new(), stopped: true }),
        }
        let follows_none = |(module, _): &&(Module, _)| module.subscriptions.is_empty();
        let idle: Vec<_> = self
            .modules
            .iter()
            .filter(follows_none)
            .map(|(_, status)| status.clone())
            .collect();
        let (committer, commits) = Committer::new(self.store.clone(), self.policy);
        let names = self.modules.iter().map(|(module, _)| module.meta.name.clone());
        let kept = Kept::load(self.store.clone(), names.collect(), chains, committer.lazy().clone()).await;
        let kept = kept.map_err(StartError::Store)?;
        let mut headers = kept.headers;
        let mut logs = BTreeMap::new();
        for Topic { chain_id, finality } in self.topics() {
            let remembered = |headers| ChainLogs::remembered(chain_id, headers);
            let known = headers.remove(&chain_id).map(remembered);
            let chain = logs.entry(chain_id);
            let chain = chain.or_insert_with(|| known.unwrap_or_else(|| ChainLogs::new(chain_id)));
            chain.open(finality);
        }
        // Chains that are required, and nothing else.
        for chain_id in headers.into_keys() {
            logs.insert(chain_id, ChainLogs::new(chain_id));
        }
        let left = self.left;
        let mut runners = Vec::new();
        for ((module, status), state) in self.modules.into_iter().zip(kept.modules) {
            let feeds = feeds(&module, &status, &state, &self.store, &logs, &self.sources);
            let ledger = Ledger::new(state, self.store.clone(), committer.clone(), self.policy);
            runners.push(Runner::new(module, ledger, feeds, status));
        }
        drop(committer);
        let mut tasks = Tasks::default();
        tasks.committer.spawn(commits);
        runners
            .into_iter()
            .for_each(|runner| drop(tasks.runners.spawn(runner.run())));
        let sources_stop = stop.child_token();
        for (chain_id, logs) in logs {
            if let Some(source) = self.sources.get(&chain_id).cloned() {
                tasks.sources.spawn(follow(source, logs, sources_stop.clone()));
            }
        }
        let mut lost_chains = tasks.watch(&stop, &statuses, &idle, &left).await;
        let stopped = stop.is_cancelled();
        sources_stop.cancel();
        lost_chains.extend(tasks.finish(&statuses).await);
        Ok(Report {
            modules: statuses,
            lost_chains,
            stopped,
        })
    }

    /// Each topic that a module subscribes to.
    fn topics(&self) -> BTreeSet<Topic> {
        let subscriptions = self.modules.iter().flat_map(|(module, _)| &module.subscriptions);
        subscriptions.map(|subscription| subscription.topic()).collect()
    }

    /// Each chain that a module follows, or cannot be without.
    fn chains(&self) -> Result<BTreeSet<ChainId>, StartError> {
        let mut chains = BTreeSet::new();
        for (module, _) in &self.modules {
            chains.extend(&module.required_chains);
        }
        chains.extend(self.topics().into_iter().map(|topic| topic.chain_id));
        match chains.iter().find(|chain_id| !self.sources.contains_key(chain_id)) {
            Some(&chain_id) => Err(StartError::NoSource { chain_id }),
            None => Ok(chains),
        }
    }

    /// Waits for every chain that a module cannot be without, at the same time.
    async fn ready(&self) -> Result<(), StartError> {
        let mut required = BTreeMap::new();
        for (module, _) in &self.modules {
            for chain_id in &module.required_chains {
                required.entry(*chain_id).or_insert(&module.meta.name);
            }
        }
        let mut waiting = JoinSet::new();
        for (chain_id, module) in required {
            if let Some(source) = self.sources.get(&chain_id).cloned() {
                let module = module.clone();
                waiting.spawn(async move {
                    let ready = source.ready().await;
                    ready.map_err(|error| StartError::NotReady { module, error })
                });
            }
        }
        while let Some(ready) = waiting.join_next().await {
            // A source that panics here is named when it is followed.
            ready.unwrap_or(Ok(()))?;
        }
        Ok(())
    }
}

/// What the store has of those who are about to run.
struct Kept {
    /// In the modules' order.
    modules: Vec<ModuleState>,
    headers: BTreeMap<ChainId, Headers>,
}

impl Kept {
    async fn load(
        store: Arc<dyn StateStore>,
        names: Vec<ModuleName>,
        chains: BTreeSet<ChainId>,
        lazy: Lazy,
    ) -> Result<Self, StoreError> {
        let load = tokio::task::spawn_blocking(move || {
            state::open(&*store)?;
            let ids = state::intern(&*store, &names)?;
            let view = &*store.view()?;
            let modules = ids.into_iter().map(|id| ModuleState::load(view, id));
            let modules = modules.collect::<Result<_, _>>()?;
            let headers = chains.into_iter().map(|chain_id| {
                let headers = Headers::load(view, chain_id, lazy.clone())?;
                Ok((chain_id, headers))
            });
            let headers = headers.collect::<Result<_, StoreError>>()?;
            Ok(Self { modules, headers })
        });
        load.await.unwrap_or_else(|panic| Err(StoreError::backend(panic)))
    }
}

/// A place in each topic that the module subscribes to.
fn feeds(
    module: &Module,
    status: &ModuleStatus,
    state: &ModuleState,
    store: &Arc<dyn StateStore>,
    logs: &BTreeMap<ChainId, ChainLogs>,
    sources: &BTreeMap<ChainId, Arc<dyn EventSource>>,
) -> Vec<Feed> {
    let topics: BTreeSet<Topic> = module.subscriptions.iter().map(|one| one.topic()).collect();
    let feed = |topic: Topic| {
        let (logs, source) = (logs.get(&topic.chain_id)?, sources.get(&topic.chain_id)?.clone());
        let interest = Interest::of(&module.subscriptions, topic);
        let cursor = state.cursors().get(topic);
        Feed::new(logs, source, interest, cursor, state.id(), store.clone(), status)
    };
    topics.into_iter().filter_map(feed).collect()
}

/// Follows a chain, and tells those who read it when that has come to an end.
async fn follow(source: Arc<dyn EventSource>, logs: ChainLogs, stop: CancellationToken) -> Result<(), SourceError> {
    let followed = source.follow(&logs, &stop).await;
    if let Err(error) = &followed {
        let causes = std::iter::successors(
            error.source.as_deref().map(|cause| cause as &dyn std::error::Error),
            |error| error.source(),
        );
        let reason = causes.fold(error.reason.clone(), |text, cause| format!("{text}: {cause}"));
        logs.iter().for_each(|log| log.close(&reason));
    }
    followed
}

#[derive(Default)]
struct Tasks {
    committer: JoinSet<()>,
    runners: JoinSet<()>,
    sources: JoinSet<Result<(), SourceError>>,
}

impl Tasks {
    /// Returns when told to stop, or when there is nothing left to do.
    /// The modules in `idle` follow no chain.
    async fn watch(
        &mut self,
        stop: &CancellationToken,
        statuses: &[Arc<ModuleStatus>],
        idle: &[Arc<ModuleStatus>],
        left: &Notify,
    ) -> Vec<SourceError> {
        let mut lost = Vec::new();
        loop {
            tokio::select! {
                // Looked at first: a stop also ends the sources.
                biased;
                () = stop.cancelled() => return lost,
                () = left.notified() => {
                    let alive = |status: &Arc<ModuleStatus>| !matches!(status.stage(), Stage::Dead | Stage::Stopped);
                    if !statuses.iter().any(alive) {
                        tracing::error!("no module is left");
                        return lost;
                    }
                }
                ended = self.runners.join_next() => {
                    if let Some(Err(panic)) = ended {
                        tracing::error!(error = %panic, "a module's runner panicked: this is a fault of nexum");
                    }
                    if self.runners.is_empty() {
                        tracing::error!("no module is left");
                        return lost;
                    }
                }
                ended = self.sources.join_next(), if !self.sources.is_empty() => {
                    match ended {
                        Some(Ok(Err(error))) => {
                            tracing::error!(error = &error as &(dyn std::error::Error + 'static), "a chain is lost");
                            lost.push(error);
                        }
                        Some(Err(panic)) => tracing::error!(error = %panic, "a source panicked: this is a fault of nexum"),
                        Some(Ok(Ok(()))) | None => {}
                    }
                    // Modules that follow a lost chain end by themselves, when they have handled what they had of it.
                    if self.sources.is_empty() {
                        tracing::error!("no chain is left");
                        idle.iter().for_each(|status| status.stop());
                    }
                }
            }
        }
    }

    /// Returns the chains that were lost in the last moment.
    async fn finish(mut self, statuses: &[Arc<ModuleStatus>]) -> Vec<SourceError> {
        statuses.iter().for_each(|status| status.stop());
        while self.runners.join_next().await.is_some() {}
        let mut lost = Vec::new();
        while let Some(ended) = self.sources.join_next().await {
            lost.extend(ended.ok().and_then(Result::err));
        }
        // The last runner took the last handle of the committer with it.
        while self.committer.join_next().await.is_some() {}
        lost
    }
}

impl Report {
    /// Whether the run failed: it ended without being told to.
    pub fn failed(&self) -> bool {
        !self.stopped
    }
}
