//! A runner's life: its first instance, failures, stops, reloads and its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::causes::Causes;
use nexum_config::limits::{EVENTS_PER_SECOND_MAX, Limit};
use nexum_config::topic::ChainTopic;
use tokio::time::Instant;

use super::effects::Intents;
use super::failures::report;
use super::feed::settled;
use super::feed::{Anchor, Feed, topics};
use super::mailbox::{Mailbox, TargetState};
use super::{Dead, FailureRecord, Failures, ModuleStatus, RecentCalls, Runner, Stage, StepError, Transaction};
use crate::bus::source::{EventSource, TopicHandle};
use crate::event::Handler;
use crate::module::call::HandlerContext;
use crate::module::failure::Failure;
use crate::module::instance::Instance;
use crate::module::loader::Module;
use crate::outage::Outage;
use crate::rate::Bucket;
use crate::state::Changes;
use crate::store::committer::CommitError;

/// The number of events without changes after which a busy module passes its cursor to the
/// committer.
const PASSED_MAX: u32 = 64;

/// The state of a runner's life.
pub(super) enum Life {
    /// The runner loads the stored state before anything else. `was_off` tells that the module was
    /// dead or stopped, and has not continued since.
    Starting { was_off: bool },
    /// The cursors and feeds match the store. Without an instance, the next event creates one.
    Live { instance: Option<Instance> },
    /// The cursors and feeds match the store, and there is no instance: a handler failed, and the
    /// runner waits before it retries.
    Backoff,
    /// The store failed. The runner waits for the store, and then continues from the stored state.
    Stalled { was_off: bool },
    /// The module failed too often, or cannot continue. The runner waits for the operator.
    Dead,
    /// The operator stopped the module, or the runner has ended.
    Stopped,
}

impl Life {
    /// Whether the cursors and feeds match the store.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self, Self::Live { .. } | Self::Backoff)
    }

    /// The instance, if there is one.
    pub(super) fn instance(&mut self) -> Option<&mut Instance> {
        match self {
            Self::Live { instance } => instance.as_mut(),
            _ => None,
        }
    }

    /// Whether the module has been dead or stopped since its last event.
    pub(super) fn was_off(&self) -> bool {
        match self {
            Self::Starting { was_off } | Self::Stalled { was_off } => *was_off,
            Self::Dead | Self::Stopped => true,
            Self::Live { .. } | Self::Backoff => false,
        }
    }
}

impl Runner {
    /// Creates the runner of a module. `followed` has each of the module's topics. `required` has the
    /// sources of the chains that the module requires. A module that `is_initial` and has no cursor
    /// begins with the first block of the run, however long its compilation took. With `strict`, nexum
    /// refuses the module if its first `init` fails, or if it cannot read a required chain.
    pub(crate) fn new(
        status: Arc<ModuleStatus>,
        mailbox: Mailbox,
        transaction: Transaction,
        followed: &BTreeMap<ChainTopic, TopicHandle>,
        required: Vec<Arc<dyn EventSource>>,
        is_initial: bool,
        strict: bool,
    ) -> Self {
        let mut runner = Self {
            module: status.module(),
            transaction,
            feeds: Vec::new(),
            awaited: required,
            awaited_outage: Outage::default(),
            failures: Failures::default(),
            recent_calls: RecentCalls::default(),
            stall: None,
            life: Life::Live { instance: None },
            is_strict: strict && mailbox.target() == TargetState::Running,
            status,
            mailbox,
            rate: None,
            recording: None,
        };
        runner.follow(followed, is_initial);
        runner
    }

    /// Creates the feeds of the module's subscriptions, and the limiter of its event rate.
    pub(super) fn follow(&mut self, followed: &BTreeMap<ChainTopic, TopicHandle>, is_initial: bool) {
        let old = std::mem::take(&mut self.feeds);
        let anchor = Anchor {
            module: self.transaction.id(),
            cursors: self.transaction.cursors(),
            store: self.transaction.store(),
            wake: self.mailbox.wake(),
            is_initial,
        };
        self.feeds = Feed::of(&self.module, old, &anchor, followed);
        self.status.retain_topics(&topics(&self.module));
        self.status.set_places(self.feeds.iter().map(Feed::place).collect());
        self.show_places();
        let rate = self.module.meta.limits[Limit::EventsPerSecond];
        self.rate = (rate < EVENTS_PER_SECOND_MAX).then(|| Bucket::per_second(rate));
    }

    /// Runs until the target state is [`TargetState::Ended`]. Then the current event is finished, and
    /// its cursor is with the committer.
    pub(crate) async fn run(mut self) {
        self.show_dead_letters();
        self.show_effects();
        loop {
            for command in self.mailbox.take_commands() {
                self.apply(command).await;
            }
            match (self.mailbox.target(), &self.life) {
                (TargetState::Ended, Life::Dead) => return,
                (TargetState::Ended, _) => return self.stop().await,
                (TargetState::Stopped, Life::Stopped) | (TargetState::Running, Life::Dead) => {
                    self.mailbox.interrupted().await
                }
                (TargetState::Stopped, _) => self.stop().await,
                (TargetState::Running, Life::Live { .. }) if !self.awaited.is_empty() => self.await_chains().await,
                (TargetState::Running, Life::Live { .. } | Life::Backoff) => self.work().await,
                (TargetState::Running, Life::Starting { .. } | Life::Stalled { .. } | Life::Stopped) => {
                    self.load_state().await
                }
            }
        }
    }

    /// Handles events until a command arrives, the store fails, or the module dies.
    async fn work(&mut self) {
        let mut passed = 0;
        while self.life.is_ready() && !self.mailbox.is_interrupted() {
            let step = match self.ensure_instance().await {
                Ok(()) => self.turn().await,
                Err(halt) => Err(halt),
            };
            match step {
                Ok(true) => {
                    self.end_stall(false).await;
                    passed += 1;
                    if passed % PASSED_MAX == 0 {
                        self.transaction.hand_in_cursors();
                    }
                    // A long backlog of events that never wait would otherwise keep this thread
                    // from other modules.
                    tokio::task::coop::consume_budget().await;
                }
                Ok(false) => {
                    self.end_stall(true).await;
                    self.wait().await;
                }
                Err(StepError::Dead(dead)) => self.enter_dead(&dead).await,
                Err(StepError::Commit(error)) => self.stall(&error).await,
                Err(StepError::Read(error)) => self.stall_at_read(&*error).await,
            }
        }
    }

    /// Handles the next event, and then the call of a function that waits. Returns whether there was
    /// one of them.
    async fn turn(&mut self) -> Result<bool, StepError> {
        let stepped = self.step().await?;
        let called = self.life.is_ready() && self.serve_call().await?;
        Ok(stepped || called)
    }

    /// Waits until a feed may have an event, or until a command or a call arrives.
    async fn wait(&mut self) {
        let woken = self.mailbox.wake().notified();
        // The pause before a retry of `init` has consumed the wake-up of a command that ended it.
        if self.mailbox.is_interrupted() {
            return;
        }
        match self.feeds.iter().filter_map(Feed::due_ms).min() {
            None => woken.await,
            Some(due) => tokio::select! {
                () = woken => {}
                () = self.module.meta.clock.sleep_until(due) => {}
            },
        }
    }

    /// Commits the waiting changes, and discards the instance.
    pub(super) async fn stop(&mut self) {
        self.hand_in().await;
        if matches!(self.life, Life::Dead) {
            self.status.revive();
        }
        self.life = Life::Stopped;
        match self.mailbox.target() {
            TargetState::Ended => self
                .status
                .enter_for(Stage::Stopped, "nexum stops, or removes the module"),
            _ => self.status.enter(Stage::Stopped),
        }
    }

    pub(super) async fn enter_dead(&mut self, dead: &Dead) {
        self.hand_in().await;
        self.life = Life::Dead;
        self.log_error("the module is dead", dead);
        self.status.die(dead);
    }

    /// Discards the instance, and commits the waiting changes.
    async fn hand_in(&mut self) {
        self.discard_instance().await;
        if self.life.is_ready()
            && let Err(error) = self.transaction.flush(&settled(&self.feeds)).await
        {
            self.log_error("cannot commit the module's last cursors", &error);
        }
    }

    /// Revives a dead module, which then loads its state first.
    pub(super) fn revive(&mut self) {
        if matches!(self.life, Life::Dead) {
            self.life = Life::Starting { was_off: true };
            self.status.revive();
        }
    }

    /// Creates an instance if there is none. Retries until `init` returns ok, has failed too often,
    /// or a command arrives.
    pub(super) async fn ensure_instance(&mut self) -> Result<(), StepError> {
        while self.life.instance().is_none() && !self.mailbox.is_interrupted() {
            // A refused module leaves no trace.
            if !self.is_strict {
                self.begin_all().await?;
            }
            let context = HandlerContext {
                failures: self.failures.of_init,
                ..self.transaction.context()
            };
            match self.start(self.module.clone(), context).await? {
                Ok((instance, changes)) => {
                    self.failures.of_init = 0;
                    tracing::debug!(
                        target: "nexum::event",
                        module = self.module.meta.name.as_str(),
                        "init returned ok"
                    );
                    self.adopt(instance);
                    self.transaction
                        .commit(changes, None, None, false, &settled(&self.feeds))
                        .await?;
                }
                Err(Failure::Store(reason)) => {
                    self.status.metrics.failed(&Failure::Store(reason.clone()));
                    return Err(StepError::Read(reason.into()));
                }
                Err(failure) => {
                    self.failures.of_init += 1;
                    let failures = self.failures.of_init;
                    let most = self.module.restart.max_consecutive_failures;
                    self.count_failed(Handler::Init, &failure, failures, Some(most));
                    report(&self.module, Handler::Init, &failure, failures);
                    if self.is_strict {
                        self.status.refuse();
                        return Err(Dead::Refused(failure).into());
                    }
                    if failures >= most && !self.has_chain_trouble() {
                        return Err(Dead::TooManyFailures {
                            failures,
                            last: failure,
                        }
                        .into());
                    }
                    self.back_off(failures).await;
                }
            }
        }
        Ok(())
    }

    /// Creates an instance of a module. Returns it after its `init` returned ok, with the changes
    /// of `init`. The outer error is that of the store.
    pub(super) async fn start(
        &mut self,
        module: Arc<Module>,
        context: HandlerContext,
    ) -> Result<Result<(Instance, Changes), Failure>, CommitError> {
        let (id, store) = (self.transaction.id(), self.transaction.store().clone());
        let context = HandlerContext {
            is_recorded: self.records_inputs(),
            ..context
        };
        let began = Instant::now();
        let mut intents = Intents::new(&mut self.transaction, &self.feeds);
        let mut started = Instance::start(&module, id, store, context, &mut intents).await;
        if let Some(error) = intents.failed {
            return Err(error);
        }
        let instance = started.as_mut().ok().map(|(instance, changes)| (instance, &*changes));
        self.note_start(began, instance);
        Ok(started)
    }

    pub(super) fn adopt(&mut self, instance: Instance) {
        self.is_strict = false;
        self.status.set_memory(instance.memory_bytes());
        self.life = Life::Live {
            instance: Some(instance),
        };
        self.status.metrics.started();
        self.status.enter(Stage::Running);
    }

    /// Discards the instance. nexum never calls an instance again after its event was rolled back
    /// or reverted.
    pub(super) async fn discard_instance(&mut self) {
        if let Life::Live { instance } = &mut self.life
            && let Some(instance) = instance.take()
        {
            instance.discard().await;
        }
        self.status.set_memory(0);
    }

    /// Waits for the backoff after this many consecutive failures, or until a command arrives. The
    /// caller has discarded the instance.
    pub(super) async fn back_off(&mut self, failures: u32) {
        self.life = Life::Backoff;
        let pause = self.module.restart.backoff(failures);
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.status
            .back_off(self.module.meta.clock.now_ms().saturating_add(pause_ms));
        self.pause(pause).await;
    }

    /// Whether a chain that the module follows has trouble now. A handler that needs the chain then fails
    /// through no fault of its own, so nexum retries until the trouble ends.
    pub(super) fn has_chain_trouble(&self) -> bool {
        self.feeds.iter().any(Feed::has_trouble)
    }

    /// Records a failed handler call.
    pub(super) fn count_failed(&self, handler: Handler, failure: &Failure, attempt: u32, attempts_max: Option<u32>) {
        let now_ms = self.module.meta.clock.now_ms();
        let record = FailureRecord::new(handler, failure, attempt, attempts_max, now_ms);
        self.status.count_failed(failure, record);
    }

    /// Updates the positions in the status.
    pub(super) fn show_places(&self) {
        for feed in &self.feeds {
            feed.reach(self.last(feed.topic()));
        }
    }

    /// Updates the number of dead letters in the status.
    pub(super) fn show_dead_letters(&self) {
        self.status.set_dead_letters(self.transaction.dead_letters().count);
    }

    /// Waits, or returns early when a command arrives.
    pub(super) async fn pause(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.mailbox.is_interrupted() {
            let woken = self.mailbox.wake().notified();
            if tokio::time::timeout_at(until, woken).await.is_err() {
                // The pause may have consumed a wake-up for new entries.
                self.mailbox.wake().notify_one();
                return;
            }
        }
    }

    /// The time of the module's clock, which never steps back.
    pub(super) fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.module.meta.clock.monotonic_ns())
    }

    fn log_error(&self, what: &str, error: &(dyn std::error::Error + 'static)) {
        tracing::error!(target: "nexum::event", module = self.module.meta.name.as_str(), error = %Causes(error), "{what}");
    }
}
