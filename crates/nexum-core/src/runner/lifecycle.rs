//! A runner's life: from its first instance over failures, stops and reloads to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::limits::{EVENTS_PER_SECOND_MAX, Limit};
use nexum_config::topic::ChainTopic;

use super::failures::report;
use super::feed::{Anchor, Feed, topics};
use super::mailbox::{Mailbox, Wanted};
use super::step::settled;
use super::{Dead, Failures, ModuleStatus, RETRY_DELAY_MS, RETRY_DELAY_MS_MAX, Runner, Stage, StepError, Transaction};
use crate::BoxError;
use crate::bus::source::TopicHandle;
use crate::event::Handler;
use crate::module::instance::{Failure, HandlerContext, Instance};
use crate::module::loader::Module;
use crate::rate::Bucket;
use crate::state::Changes;

/// How many events that wrote nothing a busy module handles before its cursor is handed in.
const PASSED_MAX: u32 = 64;

/// Where a runner is in its life.
pub(super) enum Life {
    /// It loads what the store has before it does anything else. `was_off`: it was dead or stopped, and has not gone on since.
    Starting { was_off: bool },
    /// Its cursors and its feeds are where the store is. Where there is no instance, the next event makes one.
    Live { instance: Option<Instance> },
    /// As live without an instance: a handler failed, and it waits before it retries.
    Backoff,
    /// The store failed. It waits for the store, and then goes on from what that has.
    Stalled { was_off: bool },
    /// It has failed too often, or cannot go on. It waits for the operator.
    Dead,
    /// The operator stopped it, or it has ended.
    Stopped,
}

impl Life {
    /// Whether cursors and feeds are where the store is.
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

    /// Whether it has not run for a while, because the operator wanted that or did not know that it was dead.
    fn was_off(&self) -> bool {
        match self {
            Self::Starting { was_off } | Self::Stalled { was_off } => *was_off,
            Self::Dead | Self::Stopped => true,
            Self::Live { .. } | Self::Backoff => false,
        }
    }
}

impl Runner {
    /// A runner for a module each of whose topics is in `followed`. `strict`: the module is refused when its first `init` fails.
    pub(crate) fn new(
        status: Arc<ModuleStatus>,
        mailbox: Mailbox,
        transaction: Transaction,
        followed: &BTreeMap<ChainTopic, TopicHandle>,
        strict: bool,
    ) -> Self {
        let mut runner = Self {
            module: status.module(),
            transaction,
            feeds: Vec::new(),
            failures: Failures::default(),
            life: Life::Live { instance: None },
            status,
            mailbox,
            rate: None,
            is_strict: strict,
        };
        runner.follow(followed);
        runner
    }

    /// Reads what its module subscribes to, as fast as the module may.
    pub(super) fn follow(&mut self, followed: &BTreeMap<ChainTopic, TopicHandle>) {
        let old = std::mem::take(&mut self.feeds);
        let anchor = Anchor {
            module: self.transaction.id(),
            cursors: self.transaction.cursors(),
            store: self.transaction.store(),
            wake: self.mailbox.wake(),
        };
        self.feeds = Feed::of(&self.module, old, &anchor, followed);
        self.status.retain_replaying(&topics(&self.module));
        let rate = self.module.meta.limits[Limit::EventsPerSecond];
        self.rate = (rate < EVENTS_PER_SECOND_MAX).then(|| Bucket::per_second(rate));
    }

    /// Runs until the module is not wanted any more; then the event in hand has been finished and its cursor handed in.
    pub(crate) async fn run(mut self) {
        self.show_dead_letters();
        loop {
            for command in self.mailbox.take_commands() {
                self.apply(command).await;
            }
            match (self.mailbox.wanted(), &self.life) {
                (Wanted::Ended, Life::Dead) => return,
                (Wanted::Ended, _) => return self.stop().await,
                (Wanted::Stopped, Life::Stopped) | (Wanted::Running, Life::Dead) => self.mailbox.interrupted().await,
                (Wanted::Stopped, _) => self.stop().await,
                (Wanted::Running, Life::Live { .. } | Life::Backoff) => self.work().await,
                (Wanted::Running, Life::Starting { .. } | Life::Stalled { .. } | Life::Stopped) => {
                    self.load_state().await
                }
            }
        }
    }

    /// Handles events until a command comes, or the store fails, or the module is dead.
    async fn work(&mut self) {
        let mut passed = 0;
        while self.life.is_ready() && !self.mailbox.is_interrupted() {
            let step = match self.ensure_instance().await {
                Ok(()) => self.step().await,
                Err(halt) => Err(halt),
            };
            match step {
                Ok(true) => {
                    passed += 1;
                    if passed % PASSED_MAX == 0 {
                        self.transaction.hand_in_cursors();
                    }
                    // A long backlog of events that never wait would otherwise keep this thread from other modules.
                    tokio::task::coop::consume_budget().await;
                }
                Ok(false) => self.wait().await,
                Err(StepError::Dead(dead)) => self.enter_dead(&dead).await,
                Err(StepError::Store(error)) => self.stall(error).await,
            }
        }
    }

    /// Waits until one of the feeds may have something, or a command comes.
    async fn wait(&mut self) {
        let woken = self.mailbox.wake().notified();
        match self.feeds.iter().filter_map(Feed::due_ms).min() {
            None => woken.await,
            Some(due) => tokio::select! {
                () = woken => {}
                () = self.module.meta.clock.sleep_until(due) => {}
            },
        }
    }

    /// Commits what waits, and discards the rest.
    pub(super) async fn stop(&mut self) {
        self.hand_in().await;
        if matches!(self.life, Life::Dead) {
            self.status.revive();
        }
        self.life = Life::Stopped;
        self.status.enter(Stage::Stopped);
    }

    async fn enter_dead(&mut self, dead: &Dead) {
        self.hand_in().await;
        self.life = Life::Dead;
        self.log_error("the module is dead", dead);
        self.status.die(dead);
    }

    /// Discards the instance, and commits what waits.
    async fn hand_in(&mut self) {
        self.discard_instance().await;
        if self.life.is_ready()
            && let Err(error) = self.transaction.flush(&settled(&self.feeds)).await
        {
            self.log_error("its last cursors could not be committed", &error);
        }
    }

    /// A dead module goes on: it has to load its state first.
    pub(super) fn revive(&mut self) {
        if matches!(self.life, Life::Dead) {
            self.life = Life::Starting { was_off: true };
            self.status.revive();
        }
    }

    /// Goes on from what the store has, as soon as that can be read.
    async fn load_state(&mut self) {
        let was_off = self.life.was_off();
        self.life = Life::Starting { was_off };
        self.status.enter(Stage::Starting);
        match self.transaction.reload().await {
            Ok(()) => self.begin_again(),
            Err(error) => self.stall(error.into()).await,
        }
    }

    /// Waits until the store can be used again, or a command comes, and goes on from what it has.
    async fn stall(&mut self, mut error: BoxError) {
        self.discard_instance().await;
        let was_off = self.life.was_off();
        self.life = Life::Stalled { was_off };
        self.status.enter(Stage::Stalled);
        let mut delay = RETRY_DELAY_MS;
        while !self.mailbox.is_interrupted() {
            self.log_error(
                "the module waits for the state store, and will go on from what that has",
                &*error,
            );
            self.pause(Duration::from_millis(delay)).await;
            match self.transaction.reload().await {
                Ok(()) => return self.begin_again(),
                Err(again) => error = again.into(),
            }
            delay = delay.saturating_mul(2).min(RETRY_DELAY_MS_MAX);
        }
    }

    /// Goes on after what the store has, as if nothing had been tried yet: what failed meanwhile may have been the store's fault.
    pub(super) fn begin_again(&mut self) {
        self.failures = Failures::default();
        self.feeds.iter_mut().for_each(Feed::resume);
        if self.life.was_off() {
            self.feeds.iter_mut().for_each(Feed::was_off);
        }
        self.life = Life::Live { instance: None };
        self.show_dead_letters();
    }

    /// Makes an instance if there is none. Retries until `init` returns ok, has failed too often, or a command comes.
    pub(super) async fn ensure_instance(&mut self) -> Result<(), StepError> {
        while self.life.instance().is_none() && !self.mailbox.is_interrupted() {
            let context = HandlerContext {
                failures: self.failures.of_init,
                ..self.transaction.context()
            };
            match self.start(self.module.clone(), context).await {
                Ok((instance, changes)) => {
                    self.failures.of_init = 0;
                    self.adopt(instance);
                    self.transaction
                        .commit(changes, None, None, false, &settled(&self.feeds))
                        .await?;
                }
                Err(Failure::Store(reason)) => {
                    self.status.metrics.failed(&Failure::Store(reason.clone()));
                    return Err(StepError::Store(reason.into()));
                }
                Err(failure) => {
                    self.failures.of_init += 1;
                    let failures = self.failures.of_init;
                    self.status.count_failed(&failure);
                    report(&self.module, Handler::Init, &failure, failures);
                    if self.is_strict {
                        self.status.refuse();
                        return Err(Dead::Refused(failure).into());
                    }
                    if failures >= self.module.restart.max_consecutive_failures {
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

    /// An instance of a module, whose `init` has returned ok, and what that changed.
    pub(super) async fn start(
        &mut self,
        module: Arc<Module>,
        context: HandlerContext,
    ) -> Result<(Instance, Changes), Failure> {
        Instance::start(
            &module,
            self.transaction.id(),
            self.transaction.store().clone(),
            context,
        )
        .await
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

    /// An instance whose event was rolled back, or reverted, is never entered again.
    pub(super) async fn discard_instance(&mut self) {
        if let Life::Live { instance } = &mut self.life
            && let Some(instance) = instance.take()
        {
            instance.discard().await;
        }
        self.status.set_memory(0);
    }

    /// Waits as long as is due after so many failures in a row, unless a command comes first. The instance is discarded.
    pub(super) async fn back_off(&mut self, failures: u32) {
        self.life = Life::Backoff;
        self.status.enter(Stage::Backoff);
        self.pause(self.module.restart.backoff(failures)).await;
    }

    /// Has the status say how many dead letters there are.
    pub(super) fn show_dead_letters(&self) {
        self.status.set_dead_letters(self.transaction.dead_letters().count);
    }

    /// Waits, unless a command comes first.
    pub(super) async fn pause(&mut self, pause: Duration) {
        let until = tokio::time::Instant::now() + pause;
        while !self.mailbox.is_interrupted() {
            let woken = self.mailbox.wake().notified();
            if tokio::time::timeout_at(until, woken).await.is_err() {
                // The pause may have swallowed a wake-up of those who wait for entries.
                self.mailbox.wake().notify_one();
                return;
            }
        }
    }

    fn log_error(&self, what: &str, error: &(dyn std::error::Error + 'static)) {
        tracing::error!(target: "nexum::event", module = self.module.meta.name.as_str(), error, "{what}");
    }
}
