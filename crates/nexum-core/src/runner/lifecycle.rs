//! A runner's life: from its first instance over failures, stops and reloads to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::limits::{EVENTS_PER_SECOND_MAX, Limit};
use nexum_config::topic::ChainTopic;

use super::feed::{Feed, topics};
use super::handle::report;
use super::status::Wanted;
use super::{
    Dead, Failures, Halt, Ledger, ModuleStatus, PASSED_MAX, RETRY_DELAY_MS, RETRY_DELAY_MS_MAX, Runner, Stage, settled,
};
use crate::BoxError;
use crate::bus::source::Followed;
use crate::event::Handler;
use crate::module::instance::{Before, Failure, Instance};
use crate::module::loader::Module;
use crate::rate::Bucket;
use crate::state::Changes;

impl Runner {
    /// A runner for a module each of whose topics is in `followed`. `strict`: its first `init` is not tried again.
    pub(crate) fn new(
        status: Arc<ModuleStatus>,
        ledger: Ledger,
        followed: &BTreeMap<ChainTopic, Followed>,
        strict: bool,
    ) -> Self {
        let mut runner = Self {
            module: status.module(),
            ledger,
            feeds: Vec::new(),
            instance: None,
            failures: Failures::default(),
            status,
            is_ready: true,
            is_dead: false,
            was_off: false,
            rate: None,
            is_strict: strict,
        };
        runner.follow(followed);
        runner
    }

    /// Reads what its module wants, as fast as it may.
    pub(super) fn follow(&mut self, followed: &BTreeMap<ChainTopic, Followed>) {
        let old = std::mem::take(&mut self.feeds);
        self.feeds = Feed::of(&self.module, old, &self.ledger, followed, &self.status);
        self.status.retain_replaying(&topics(&self.module));
        let rate = self.module.meta.limits[Limit::EventsPerSecond];
        self.rate = (rate < EVENTS_PER_SECOND_MAX).then(|| Bucket::per_second(rate));
    }

    /// Runs until the module is not wanted any more; then the event in hand has been finished and its cursor handed in. A module
    /// that is dead or stopped waits for the operator.
    pub(crate) async fn run(mut self) {
        self.show_dead_letters();
        loop {
            for order in self.status.take_orders() {
                self.obey(order).await;
            }
            match self.status.wanted() {
                Wanted::Ended => break,
                Wanted::Stopped => {
                    self.rest().await;
                    self.status.interrupted().await;
                }
                Wanted::Running if self.is_dead => self.status.interrupted().await,
                Wanted::Running => {
                    if !self.is_ready {
                        self.status.enter(Stage::Starting);
                        self.make_ready().await;
                    }
                    if let Err(dead) = self.work().await {
                        self.die(&dead).await;
                    }
                }
            }
        }
        if !self.is_dead {
            self.rest().await;
        }
        self.status.dismiss();
    }

    /// Handles events until it is interrupted.
    async fn work(&mut self) -> Result<(), Dead> {
        let mut passed = 0;
        while self.is_ready && !self.status.is_interrupted() {
            let step = match self.ensure_instance().await {
                Ok(()) => self.step().await,
                Err(halt) => Err(halt),
            };
            match step {
                Ok(true) => {
                    passed += 1;
                    if passed % PASSED_MAX == 0 {
                        self.ledger.note();
                    }
                    // A long backlog of events that never wait would otherwise keep this thread from other modules.
                    tokio::task::coop::consume_budget().await;
                }
                Ok(false) => self.wait().await,
                Err(Halt::Dead(dead)) => return Err(dead),
                Err(Halt::Store(error)) => self.stall(error).await,
            }
        }
        Ok(())
    }

    /// Waits until one of the feeds may have something, or an order comes.
    async fn wait(&mut self) {
        let woken = self.status.wake.notified();
        match self.feeds.iter().filter_map(Feed::due_ms).min() {
            None => woken.await,
            Some(due) => tokio::select! {
                () = woken => {}
                () = self.module.meta.clock.sleep_until(due) => {}
            },
        }
    }

    /// Hands in what there is, and forgets the rest.
    pub(super) async fn rest(&mut self) {
        self.discard_instance().await;
        if self.is_ready
            && let Err(error) = self.ledger.settle(&settled(&self.feeds)).await
        {
            self.say("its last cursors could not be committed", &error);
        }
        self.is_ready = false;
        self.was_off = true;
        if std::mem::take(&mut self.is_dead) {
            self.status.live();
        }
        self.status.enter(Stage::Stopped);
    }

    async fn die(&mut self, dead: &Dead) {
        self.discard_instance().await;
        if let Err(error) = self.ledger.settle(&settled(&self.feeds)).await {
            self.say("its last cursors could not be committed", &error);
        }
        self.is_ready = false;
        self.was_off = true;
        self.is_dead = true;
        self.say("the module is dead", dead);
        self.status.die(dead);
    }

    /// Goes on from what the store has, as soon as that can be read.
    async fn make_ready(&mut self) {
        match self.ledger.reload().await {
            Ok(()) => self.begin_again(),
            Err(error) => self.stall(error.into()).await,
        }
    }

    /// Waits until the store can be used again, or an order comes, and goes on from what it has.
    pub(super) async fn stall(&mut self, mut error: BoxError) {
        self.discard_instance().await;
        self.is_ready = false;
        self.status.enter(Stage::Stalled);
        let mut delay = RETRY_DELAY_MS;
        while !self.status.is_interrupted() {
            self.say(
                "the module waits for the state store, and will go on from what that has",
                &*error,
            );
            self.pause(Duration::from_millis(delay)).await;
            match self.ledger.reload().await {
                Ok(()) => return self.begin_again(),
                Err(again) => error = again.into(),
            }
            delay = delay.saturating_mul(2).min(RETRY_DELAY_MS_MAX);
        }
    }

    /// Goes on after what the store has, as if nothing had been tried yet: what failed meanwhile may have been the store's fault.
    pub(super) fn begin_again(&mut self) {
        self.is_ready = true;
        self.failures = Failures::default();
        self.feeds.iter_mut().for_each(Feed::resume);
        if std::mem::take(&mut self.was_off) {
            self.feeds.iter_mut().for_each(Feed::was_off);
        }
        self.show_dead_letters();
    }

    /// Makes an instance if there is none, trying again until that goes well, has failed too often, or an order comes.
    pub(super) async fn ensure_instance(&mut self) -> Result<(), Halt> {
        while self.instance.is_none() && !self.status.is_interrupted() {
            let before = Before {
                failures: self.failures.of_init,
                ..self.ledger.before()
            };
            match self.start(self.module.clone(), before).await {
                Ok((instance, changes)) => {
                    self.failures.of_init = 0;
                    self.adopt(instance);
                    self.ledger
                        .keep(changes, None, None, false, &settled(&self.feeds))
                        .await?;
                }
                Err(Failure::Store(reason)) => {
                    self.status.metrics.failed(&Failure::Store(reason.clone()));
                    return Err(Halt::Store(reason.into()));
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
    pub(super) async fn start(&mut self, module: Arc<Module>, before: Before) -> Result<(Instance, Changes), Failure> {
        Instance::start(&module, self.ledger.id(), self.ledger.store().clone(), before).await
    }

    pub(super) fn adopt(&mut self, instance: Instance) {
        self.is_strict = false;
        self.status.set_memory(instance.memory_bytes());
        self.instance = Some(instance);
        self.status.metrics.started();
        self.status.enter(Stage::Running);
    }

    /// An instance whose event was rolled back, or reverted, is never entered again.
    pub(super) async fn discard_instance(&mut self) {
        if let Some(instance) = self.instance.take() {
            instance.discard().await;
        }
        self.status.clear_memory();
    }

    /// Waits as long as is due after so many failures in a row, unless an order comes first.
    pub(super) async fn back_off(&mut self, failures: u32) {
        self.status.enter(Stage::Backoff);
        self.pause(self.module.restart.backoff(failures)).await;
    }

    /// Has the status say how many dead letters there are.
    pub(super) fn show_dead_letters(&self) {
        self.status.set_dead_letters(self.ledger.dead_letters());
    }

    /// Writes where the operator sees it.
    fn say(&self, what: &str, error: &(dyn std::error::Error + 'static)) {
        tracing::error!(target: "nexum::event", module = self.module.meta.name.as_str(), error, "{what}");
    }
}
