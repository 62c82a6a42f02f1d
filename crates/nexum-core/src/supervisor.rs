//! Starts everything, keeps it apart, and stops it.
//!
//! Invariant: whatever one module or one chain does, the others go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::committer::Committer;
use crate::event::ChainId;
use crate::loader::Module;
use crate::log::EventLog;
use crate::runner::{Feed, ModuleStatus, Runner, Stage};
use crate::source::{EventSource, SourceError};
use crate::store::{StateStore, StoreError};

/// Modules and the chains that they hear of, ready to run.
#[derive(Debug)]
pub struct Supervisor {
    store: Arc<dyn StateStore>,
    sources: BTreeMap<ChainId, Arc<dyn EventSource>>,
    modules: Vec<(Module, Arc<ModuleStatus>)>,
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
            sources: BTreeMap::new(),
            modules: Vec::new(),
        }
    }

    /// Adds a chain's source, in place of an earlier one for this chain.
    #[must_use]
    pub fn source(mut self, source: Arc<dyn EventSource>) -> Self {
        self.sources.insert(source.chain_id(), source);
        self
    }

    /// Adds a module, and returns where it can be watched.
    pub fn module(&mut self, module: Module) -> Arc<ModuleStatus> {
        let status = Arc::new(ModuleStatus::new(module.meta.name.clone()));
        self.modules.push((module, status.clone()));
        status
    }

    /// Runs until `stop`, or until no module or no chain is left. Then the events in hand have been finished, each within
    /// its deadline.
    ///
    /// # Errors
    ///
    /// When it cannot start; then nothing has run.
    pub async fn run(self, stop: CancellationToken) -> Result<Report, StartError> {
        let (committer, commits) = Committer::new(self.store.clone());
        let logs = self.logs()?;
        let statuses: Vec<_> = self.modules.iter().map(|(_, status)| status.clone()).collect();
        let mut runners = Vec::new();
        for (module, status) in self.modules {
            runners.push(
                runner(module, status, &self.store, &committer, &logs, &self.sources).map_err(StartError::Store)?,
            );
        }
        drop(committer);
        let mut tasks = Tasks::default();
        tasks.committer.spawn(commits);
        runners
            .into_iter()
            .for_each(|runner| drop(tasks.runners.spawn(runner.run())));
        let sources_stop = stop.child_token();
        for (chain_id, log) in logs {
            if let Some(source) = self.sources.get(&chain_id).cloned() {
                let stop = sources_stop.clone();
                tasks.sources.spawn(async move { source.follow(&log, &stop).await });
            }
        }
        let lost_chains = tasks.watch(&stop, &statuses).await;
        let stopped = stop.is_cancelled();
        sources_stop.cancel();
        tasks.finish(&statuses).await;
        Ok(Report {
            modules: statuses,
            lost_chains,
            stopped,
        })
    }

    /// One log for each chain that a module subscribes to.
    fn logs(&self) -> Result<BTreeMap<ChainId, Arc<EventLog>>, StartError> {
        let subscriptions = self.modules.iter().flat_map(|(module, _)| &module.subscriptions);
        subscriptions
            .map(|subscription| {
                let chain_id = subscription.chain_id();
                match self.sources.contains_key(&chain_id) {
                    true => Ok((chain_id, Arc::new(EventLog::new(chain_id)))),
                    false => Err(StartError::NoSource { chain_id }),
                }
            })
            .collect()
    }
}

fn runner(
    module: Module,
    status: Arc<ModuleStatus>,
    store: &Arc<dyn StateStore>,
    committer: &Committer,
    logs: &BTreeMap<ChainId, Arc<EventLog>>,
    sources: &BTreeMap<ChainId, Arc<dyn EventSource>>,
) -> Result<Runner, StoreError> {
    let chains: std::collections::BTreeSet<_> = module.subscriptions.iter().map(|one| one.chain_id()).collect();
    let cursors = store.cursors(store.intern(&module.meta.name)?)?;
    let mut feeds = Vec::new();
    for chain_id in chains {
        if let (Some(log), Some(source)) = (logs.get(&chain_id), sources.get(&chain_id)) {
            log.wake(status.wake.clone());
            feeds.push(Feed::new(log.clone(), source.clone(), cursors.get(chain_id)));
        }
    }
    Runner::new(module, store.clone(), committer.clone(), feeds, status)
}

#[derive(Default)]
struct Tasks {
    committer: JoinSet<()>,
    runners: JoinSet<()>,
    sources: JoinSet<Result<(), SourceError>>,
}

impl Tasks {
    /// Returns when told to stop, or when there is nothing left to do.
    async fn watch(&mut self, stop: &CancellationToken, statuses: &[Arc<ModuleStatus>]) -> Vec<SourceError> {
        let mut lost = Vec::new();
        loop {
            tokio::select! {
                // Looked at first: a stop also ends the sources.
                biased;
                () = stop.cancelled() => return lost,
                ended = self.runners.join_next() => {
                    if let Some(Err(panic)) = ended {
                        tracing::error!(error = %panic, "a module's runner panicked: this is a fault of nexum");
                    }
                    let alive = |status: &Arc<ModuleStatus>| matches!(status.stage(), Stage::Starting | Stage::Running);
                    if self.runners.is_empty() || !statuses.iter().any(alive) {
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
                    if self.sources.is_empty() {
                        tracing::error!("no chain is left");
                        return lost;
                    }
                }
            }
        }
    }

    async fn finish(mut self, statuses: &[Arc<ModuleStatus>]) {
        statuses.iter().for_each(|status| status.stop());
        while self.runners.join_next().await.is_some() {}
        while self.sources.join_next().await.is_some() {}
        // The last runner took the last handle of the committer with it.
        while self.committer.join_next().await.is_some() {}
    }
}

impl Report {
    /// Whether the run failed: it ended without being told to.
    pub fn failed(&self) -> bool {
        !self.stopped
    }
}
