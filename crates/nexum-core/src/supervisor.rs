//! Starts, isolates and stops all modules and chains.
//!
//! # Invariants
//!
//! - No module and no chain stops another one, whatever it does.

mod answering;
mod chains;
mod error;
mod expected;
mod handle;
mod inbox;
mod look;
mod modules;
mod ownership;
mod requests;
mod run;
mod services;
mod shutdown;
mod start;
mod together;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_config::topic::ChainTopic;
use tokio::sync::oneshot;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::bus::source::{EventSource, SourceError, TopicHandle};
use crate::clock::{Clock, SystemClock};
use crate::ledger::Ledger;
use crate::membership::Membership;
use crate::module::loaded::Loaded;
use crate::module::loader::Module;
use crate::module::query::QueryModule;
use crate::runner::{Mailbox, ModuleStatus};
use crate::service::Service;
use crate::state::{self, ModuleState};
use crate::store::committer::{CommitPolicy, Committer};
use crate::store::{self, StateStore};

use chains::Chains;
use expected::Expected;
use handle::LostChains;
use inbox::Inbox;
use look::Look;
use modules::Modules;
use ownership::Ownership;
use services::Services;
use start::check_sources;

pub use error::SteerError;
pub use handle::{LoadsHeld, SupervisorHandle};
pub use modules::{Reloaded, RunningModule};
pub use shutdown::{Abandoned, Shutdown};
pub use start::StartError;
pub(crate) use together::Together;

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// The store of the modules' state and cursors.
    pub store: Arc<dyn StateStore>,
    /// The time when deferrable changes become durable.
    pub policy: CommitPolicy,
    /// The clock for the reports of a store that fails.
    pub clock: Arc<dyn Clock>,
    /// Whether the run ends if the first `init` of an initial module fails, or if a chain that the
    /// module requires is not readable. Otherwise nexum retries, and the other modules continue.
    pub strict: bool,
    /// The bounds on the end of the run.
    pub shutdown: Shutdown,
    /// The membership in an installation of several processes. `None` if this process runs all modules.
    pub membership: Option<Arc<dyn Membership>>,
    /// The names of resources that only one process of the installation may use at a time, by module: see
    /// [`Offer::together`](crate::membership::Offer::together).
    pub together: BTreeMap<ModuleName, BTreeSet<String>>,
    /// The tasks beside the modules.
    pub services: Vec<Arc<dyn Service>>,
    /// The ledger of all events. `None` for none.
    pub ledger: Option<Ledger>,
}

impl RunSettings {
    /// Settings with this store, the default policy and shutdown, the machine's clock, and retries instead
    /// of `strict`.
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        Self {
            store,
            policy: CommitPolicy::default(),
            clock: Arc::new(SystemClock::new()),
            strict: false,
            shutdown: Shutdown::default(),
            membership: None,
            together: BTreeMap::new(),
            services: Vec::new(),
            ledger: None,
        }
    }
}

/// Modules and their chains, ready to run.
#[derive(Debug)]
pub struct Supervisor {
    settings: RunSettings,
    handle: SupervisorHandle,
    inbox: Inbox,
    /// The runners of the modules that handle events, in the order of their addition.
    modules: Vec<(Arc<ModuleStatus>, Mailbox)>,
    /// The parts of modules that answer queries.
    queries: Vec<QueryModule>,
}

/// The result of a run.
#[derive(Debug)]
pub struct Report {
    /// The last status of every module that the operator did not remove.
    pub modules: Vec<Arc<ModuleStatus>>,
    /// The chains that nexum lost, with the reasons.
    pub lost_chains: Vec<SourceError>,
    /// Whether the run ended because the caller stopped it.
    pub stopped: bool,
    /// The modules whose events the run abandoned at the deadline of its end.
    pub abandoned: Vec<Abandoned>,
}

impl Supervisor {
    /// Creates a supervisor without modules and chains.
    pub fn new(settings: RunSettings) -> Self {
        let (handle, inbox) = SupervisorHandle::new(settings.membership.clone());
        Self {
            settings,
            handle,
            inbox,
            modules: Vec::new(),
            queries: Vec::new(),
        }
    }

    /// Adds a chain's source. It replaces an earlier source of the chain.
    #[must_use]
    pub fn source(mut self, source: Arc<dyn EventSource>) -> Self {
        self.handle.sources.insert(source.chain_id(), source);
        self
    }

    /// Adds a module with all of its parts. Returns the status of the part that handles events.
    pub fn add(&mut self, module: Loaded) -> Option<Arc<ModuleStatus>> {
        self.queries.extend(module.queries.map(|module| *module));
        let status = module.events.map(|module| self.module(*module));
        if module.is_stopped {
            status.iter().for_each(|status| status.begin_stopped());
        }
        status
    }

    /// Adds a part that answers queries. [`SupervisorHandle::query`] returns it after the run has
    /// started. In an installation of several processes, the part of a module that the store does not know
    /// answers after the process has joined.
    pub fn query(&mut self, module: QueryModule) {
        self.queries.push(module);
    }

    /// Adds a part that handles events, and returns its status.
    pub fn module(&mut self, module: Module) -> Arc<ModuleStatus> {
        let (status, mailbox) = ModuleStatus::new(Arc::new(module), self.handle.expected.left.clone());
        self.modules.push((status.clone(), mailbox));
        self.handle.modules.set_events(status.clone());
        status
    }

    /// Returns the handle that steers the run after its start. It knows the sources added so far.
    pub fn handle(&self) -> SupervisorHandle {
        self.handle.clone()
    }

    /// Runs until `stop`, or until no module or no chain is left. A module waits for the chains that it
    /// requires, and delays no other module. Every event in progress is finished before this returns, or
    /// abandoned at the [deadline](Shutdown) of the run's end.
    ///
    /// If the caller drops the future early, nexum may still write a transaction in progress. So no
    /// other code may use the store before the process has ended.
    ///
    /// # Errors
    ///
    /// Fails if the run cannot start. No module has run then.
    pub async fn run(self, stop: CancellationToken) -> Result<Report, StartError> {
        let Self {
            settings:
                RunSettings {
                    store,
                    policy,
                    clock,
                    strict,
                    shutdown,
                    membership,
                    together,
                    services,
                    ledger,
                },
            handle,
            inbox,
            modules: added,
            queries: unanswered,
        } = self;
        let SupervisorHandle {
            modules,
            lost_chains,
            sources,
            expected,
            ..
        } = handle;
        let loaded: Vec<_> = added.iter().map(|(status, _)| status.module()).collect();
        check_sources(&sources, loaded.iter().map(|module| &**module))?;
        // Dropped here, because a reload needs the places of the old modules.
        drop(loaded);
        let look = Look {
            modules: modules.clone(),
            sources: sources.clone(),
        };
        let (committer, commits) = Committer::new(store.clone(), policy, clock.clone());
        let chains = Chains::new(sources, store.clone(), committer.lazy().clone(), stop.child_token());
        let mut run = Run {
            store,
            policy,
            strict,
            committer,
            chains,
            modules,
            runners: JoinSet::new(),
            names: HashMap::new(),
            ending: HashMap::new(),
            expected,
            lost: Vec::new(),
            lost_chains,
            clock,
            ownership: membership.map(|membership| Ownership::begin(membership, together)),
            unanswered,
            ledger,
        };
        let opened = store::when_reachable(&run.store, state::open);
        stop.run_until_cancelled(opened).await.unwrap_or(Ok(()))?;
        let mut committing = JoinSet::new();
        committing.spawn(commits);
        run.start(added, true).await?;
        if run.ownership.is_none() {
            run.answer().await?;
        }
        // Dropping the set ends the look.
        let mut looking = JoinSet::new();
        looking.spawn(look.run(stop.clone()));
        let serving = Services::begin(services, &run.service_context());
        run.watch(&stop, inbox).await;
        let stopped = stop.is_cancelled();
        let deadline = shutdown.begin();
        run.hand_over_all(&deadline).await;
        let ownership = run.ownership.take();
        let mut report = run.finish(stopped, &deadline).await;
        serving.end(&deadline).await;
        // The last runner dropped the last handle of the committer, so the committer ends.
        let committed = async { while committing.join_next().await.is_some() {} };
        let has_committed = deadline.bound(committed).await;
        if !has_committed {
            tracing::error!("the state store does not finish its last writes: nexum ends without them");
        }
        if let Some(ownership) = ownership {
            ownership.leave(&deadline).await;
        }
        report
            .abandoned
            .iter_mut()
            .for_each(|abandoned| abandoned.report(has_committed));
        Ok(report)
    }
}

/// The rows and logs that a start of modules needs.
struct ReadyToStart {
    /// The states of the modules, in their order.
    states: Vec<ModuleState>,
    followed: BTreeMap<ChainTopic, TopicHandle>,
}

/// A run in progress.
struct Run {
    store: Arc<dyn StateStore>,
    policy: CommitPolicy,
    strict: bool,
    committer: Committer,
    chains: Chains,
    modules: Modules,
    runners: JoinSet<()>,
    /// The module of each runner's task.
    names: HashMap<Id, ModuleName>,
    /// The runners that end because of a request.
    ending: HashMap<ModuleName, Ending>,
    expected: Expected,
    lost: Vec<SourceError>,
    lost_chains: LostChains,
    clock: Arc<dyn Clock>,
    /// The modules that this process owns. `None` if it runs all modules.
    ownership: Option<Ownership>,
    /// The modules that the run began with, and whose queries it cannot answer yet.
    unanswered: Vec<QueryModule>,
    ledger: Option<Ledger>,
}

/// A request that waits for the end of a runner.
struct Ending {
    /// `None` without a caller that waits.
    done: Option<oneshot::Sender<Result<(), SteerError>>>,
    then: Then,
}

/// The step after the end of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The module ends.
    Remove,
    /// The other parts of the module remain.
    EndEvents,
    /// Another process takes the module over.
    HandOver,
}

impl Report {
    /// Whether the run failed: it ended although the caller did not stop it.
    pub fn failed(&self) -> bool {
        !self.stopped
    }
}
