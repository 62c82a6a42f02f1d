//! Starts, isolates and stops all modules and chains.
//!
//! # Invariants
//!
//! - No module and no chain stops another one, whatever it does.

mod chains;
mod error;
mod expected;
mod handle;
mod inbox;
mod look;
mod modules;
mod ownership;
mod requests;
mod shutdown;
mod start;
mod together;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use nexum_config::causes::Causes;
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainTopic;
use tokio::sync::oneshot;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::bus::source::{EventSource, SourceError, TopicHandle};
use crate::clock::{Clock, SystemClock};
use crate::membership::Membership;
use crate::module::loaded::Loaded;
use crate::module::loader::Module;
use crate::module::query::QueryModule;
use crate::runner::{Mailbox, ModuleStatus, Runner, Stage, Transaction, topics};
use crate::state::{self, ModuleState};
use crate::store::committer::{CommitPolicy, Committer};
use crate::store::{self, StateStore, StoreError};

use chains::Chains;
use expected::Expected;
use handle::LostChains;
use inbox::Inbox;
use look::Look;
use modules::Modules;
use ownership::Ownership;
use shutdown::Deadline;
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
    /// started.
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
                },
            handle,
            inbox,
            modules: added,
            queries: asked,
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
            ownership: membership.map(Ownership::begin),
        };
        store::blocking(&run.store, state::open).await?;
        let mut committing = JoinSet::new();
        committing.spawn(commits);
        run.start(added, true).await?;
        run.answer(asked).await?;
        // Dropping the set ends the look.
        let mut looking = JoinSet::new();
        looking.spawn(look.run(stop.clone()));
        run.watch(&stop, inbox).await;
        let stopped = stop.is_cancelled();
        let deadline = shutdown.begin();
        run.hand_over_all(&deadline).await;
        let ownership = run.ownership.take();
        let mut report = run.finish(stopped, &deadline).await;
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

impl Ending {
    fn answer(self) {
        // The caller may have left.
        self.done.map(|done| done.send(Ok(())));
    }
}

impl Run {
    /// Starts these modules, and follows their chains. The run knows the initial modules from its configuration.
    /// A module that another process owns waits.
    async fn start(&mut self, modules: Vec<(Arc<ModuleStatus>, Mailbox)>, is_initial: bool) -> Result<(), StoreError> {
        match &mut self.ownership {
            Some(ownership) => {
                ownership.wait_for(modules, is_initial);
                self.reconcile().await;
            }
            None => {
                let prepared = self.prepare_start(modules.iter().map(|(status, _)| &**status)).await?;
                self.start_now(modules, prepared, is_initial);
            }
        }
        Ok(())
    }

    /// Loads the states of modules, and opens the logs of their topics.
    async fn prepare_start<'a>(
        &mut self,
        modules: impl Iterator<Item = &'a ModuleStatus> + Clone,
    ) -> Result<ReadyToStart, StoreError> {
        let names: Vec<_> = modules.clone().map(|status| status.name().clone()).collect();
        let load = move |store: &dyn StateStore| {
            let ids = state::intern(store, &names)?;
            // Another process may have run the modules meanwhile.
            state::forget(store, &ids);
            let view = &*store.view()?;
            let states = ids.into_iter().map(|id| ModuleState::load_to_run(store, view, id));
            states.collect::<Result<Vec<_>, StoreError>>()
        };
        let states = store::blocking(&self.store, load).await?;
        let topics: BTreeSet<ChainTopic> = modules.flat_map(|status| topics(&status.module())).collect();
        let followed = self.chains.open(&topics).await?;
        Ok(ReadyToStart { states, followed })
    }

    /// Starts the runners of modules, and the sources of their chains.
    fn start_now(&mut self, modules: Vec<(Arc<ModuleStatus>, Mailbox)>, prepared: ReadyToStart, is_initial: bool) {
        let ReadyToStart { states, followed } = prepared;
        let strict = is_initial && self.strict;
        let mut needed = BTreeSet::new();
        for ((status, mailbox), state) in modules.into_iter().zip(states) {
            let required = status.module().required_chains.clone();
            let sources = required
                .iter()
                .filter_map(|chain_id| self.chains.sources().get(chain_id));
            let sources: Vec<_> = sources.cloned().collect();
            needed.extend(required);
            if let Some((chain_id, trouble)) = sources
                .iter()
                .find_map(|source| Some((source.chain_id(), source.trouble()?)))
            {
                status.waits_in(chain_id, &trouble.text);
            }
            let name = status.name().clone();
            let (store, committer) = (self.store.clone(), self.committer.clone());
            let transaction = Transaction::new(state, store, committer, self.policy, self.clock.clone());
            let runner = Runner::new(status, mailbox, transaction, &followed, sources, is_initial, strict);
            let task = self.runners.spawn(runner.run());
            self.names.insert(task.id(), name);
        }
        self.chains.begin(needed);
    }

    /// Serves requests and watches tasks. Returns when the caller stops the run, or when no work is
    /// left.
    async fn watch(&mut self, stop: &CancellationToken, mut inbox: Inbox) {
        let mut looks = tokio::time::interval(modules::LOOK_EVERY);
        loop {
            let left = self.expected.left.clone();
            tokio::select! {
                // The order matters, because a stop also ends the sources.
                biased;
                () = stop.cancelled() => return,
                () = left.notified() => {}
                Some(ended) = self.runners.join_next_with_id() => self.ended(ended),
                ended = self.chains.ended() => match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::error!(error = %Causes(&error), "a chain is lost");
                        self.lost_chains.lose(&error, self.clock.now_ms());
                        self.lost.push(error);
                    }
                    Err(panic) => tracing::error!(error = %panic, "a source panicked: this is a fault of nexum"),
                },
                Some(ping) = inbox.pings.recv() => ping.answer(),
                Some(request) = inbox.requests.recv(), if self.may_write() => self.serve_until(stop, request, &mut inbox.pings).await,
                step = ownership::next(&mut self.ownership) => self.take(step).await,
                now = looks.tick() => self.modules.discard_old(now),
            }
            if let Some(reason) = self.is_over() {
                tracing::error!("{reason}");
                return;
            }
        }
    }

    /// The reason why no work is left, or `None`. A run without any module waits for the operator.
    fn is_over(&self) -> Option<&'static str> {
        let is_removed = |name: &ModuleName| self.ending.get(name).is_some_and(|ending| ending.then == Then::Remove);
        let mut modules = self.modules.all_events();
        modules.retain(|status| !is_removed(status.name()));
        let mut alive = modules.iter().filter(|status| status.stage() != Stage::Dead).peekable();
        if modules.iter().any(|status| status.is_refused()) {
            return Some("a module is refused");
        }
        // Callers may query the modules as long as nexum runs, and a module that is still being loaded has work.
        let queries = self.modules.all_queries();
        if queries.iter().any(|pool| !is_removed(pool.name())) || !self.expected.is_none() {
            return None;
        }
        if !modules.is_empty() && alive.peek().is_none() {
            return Some("no module is left");
        }
        // The modules of a lost chain end by themselves, after they have handled its last events.
        let follows_none = |status: &Arc<ModuleStatus>| status.module().subscriptions.is_empty();
        let is_lost = !self.lost.is_empty() && self.chains.is_empty();
        (is_lost && alive.all(follows_none)).then_some("no chain is left")
    }

    /// Handles the end of a runner: a requested end, or a panic.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(panic) => panic.id(),
        };
        let Some(name) = self.names.remove(&id) else { return };
        let status = self.modules.get(&name).and_then(|module| module.events);
        if let (Err(panic), Some(status)) = (&ended, status) {
            tracing::error!(module = name.as_str(), error = %panic, "a module's runner panicked: this is a fault of nexum");
            status.end();
            status.die(panic);
        }
        if let Some(ending) = self.ending.remove(&name) {
            self.ended_by_request(&name, ending);
        }
    }

    async fn finish(mut self, stopped: bool, deadline: &Deadline) -> Report {
        let modules = self.modules.all_events();
        let abandoned = self.end_all(deadline).await;
        Report {
            modules,
            lost_chains: self.lost,
            stopped,
            abandoned,
        }
    }
}

impl Report {
    /// Whether the run failed: it ended although the caller did not stop it.
    pub fn failed(&self) -> bool {
        !self.stopped
    }
}
