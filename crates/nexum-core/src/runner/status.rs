//! The status of a running module, readable from any task.

mod condition;
mod failure_history;
mod look;
mod matches;
mod report;

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nexum_config::causes::Causes;
use nexum_config::limits::LimitUsage;
use nexum_config::names::ModuleName;
use nexum_config::topic::{ChainId, ChainTopic, Topic};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::mailbox::{Mailbox, MailboxSender, TargetState, mailbox};
use super::metrics::ModuleMetrics;
use super::place::Place;
use super::stage::Stage;
use crate::bus::source::SourceError;
use crate::event::{EventId, Log, Position};
use crate::ledger::Ledger;
use crate::module::consumption::Consumption;
use crate::module::failure::Failure;
use crate::module::instance::Instance;
use crate::module::loader::Module;
use crate::outage::Outage;
use crate::reason::Reason;

use condition::{Shown, words};
use failure_history::FailureHistory;
use matches::Matches;

pub use condition::{Condition, Replaying};
pub use failure_history::FailureRecord;
pub use matches::{EventMatch, SubscriptionMatch};
pub use report::{ModuleReport, Success};

/// A module's stage and counts, and the commands to its runner. The runner writes the status, and
/// any task can read it.
#[derive(Debug)]
pub struct ModuleStatus {
    name: ModuleName,
    module: Mutex<Arc<Module>>,
    shown: watch::Sender<Shown>,
    handled: AtomicU64,
    failed: AtomicU64,
    dead_letters: AtomicU64,
    effects_in_doubt: AtomicU64,
    memory_bytes: AtomicU64,
    used: Mutex<Consumption>,
    places: Mutex<Vec<Place>>,
    failures: Mutex<FailureHistory>,
    matches: Mutex<Matches>,
    success: Mutex<Option<Success>>,
    /// The reports that the module is behind.
    behind: Mutex<Outage>,
    /// Whether the module's first `init` failed, in a run that requires its success.
    refused: AtomicBool,
    /// Notified when the module dies, because no other module may be alive.
    left: Arc<Notify>,
    /// The ledger of the module's stages.
    ledger: OnceLock<Ledger>,
    pub(super) mailbox: MailboxSender,
    pub(crate) metrics: ModuleMetrics,
}

impl ModuleStatus {
    /// Creates the status of a module that has not started, and the mailbox of its runner. The
    /// module's death notifies `left`.
    pub(crate) fn new(module: Arc<Module>, left: Arc<Notify>) -> (Arc<Self>, Mailbox) {
        let metrics = ModuleMetrics::new(&module.meta.name);
        metrics.stage(Stage::Starting);
        let shown = Shown::new(module.meta.clock.now_ms());
        let (sender, mailbox) = mailbox();
        let status = Self {
            metrics,
            name: module.meta.name.clone(),
            matches: Mutex::new(Matches::new(&module.subscriptions)),
            module: Mutex::new(module),
            shown: watch::Sender::new(shown),
            handled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            effects_in_doubt: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            used: Mutex::default(),
            places: Mutex::default(),
            failures: Mutex::default(),
            success: Mutex::default(),
            behind: Mutex::default(),
            refused: AtomicBool::new(false),
            left,
            ledger: OnceLock::new(),
            mailbox: sender,
        };
        (Arc::new(status), mailbox)
    }

    /// The module that currently runs.
    pub fn module(&self) -> Arc<Module> {
        self.module.lock().clone()
    }

    /// The module's name.
    pub fn name(&self) -> &ModuleName {
        &self.name
    }

    /// The module's stage.
    pub fn stage(&self) -> Stage {
        self.shown.borrow().stage()
    }

    /// The number of events whose handler returned ok.
    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::Acquire)
    }

    /// The number of failed handler calls, including `init`.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Acquire)
    }

    /// The number of dead letters: events that failed all attempts, and that the operator has
    /// neither retried successfully nor skipped.
    pub fn dead_letters(&self) -> u64 {
        self.dead_letters.load(Ordering::Acquire)
    }

    /// The module's stage with its reason.
    pub fn condition(&self) -> Condition {
        self.shown.borrow().condition()
    }

    /// The reason of the module's stage.
    pub fn reason(&self) -> Reason {
        self.condition().reason
    }

    /// The handlers' use of the module's limits.
    pub fn consumption(&self) -> Consumption {
        *self.used.lock()
    }

    /// The size of the linear memories of the module's instance after the last event, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Acquire)
    }

    /// The progress of each topic that the module catches up with. Empty while the module keeps up.
    pub fn replaying(&self) -> Vec<Replaying> {
        self.shown.borrow().replaying().to_vec()
    }

    /// Waits for the next change of the stage, of its reason, of the replay, or of a count: handled
    /// events, failures, dead letters. Changes count from this call on, not from the first poll. So
    /// call it before you read the status, and await it afterwards.
    ///
    /// ```no_run
    /// # async fn example(status: &nexum_core::ModuleStatus) {
    /// loop {
    ///     let changed = status.changed();
    ///     if status.handled() >= 10 {
    ///         break;
    ///     }
    ///     changed.await;
    /// }
    /// # }
    /// ```
    pub fn changed(&self) -> impl Future<Output = ()> + use<> {
        let mut shown = self.shown.subscribe();
        // This fence pairs with the one in `count`.
        fence(Ordering::SeqCst);
        async move {
            // An error means that the status is dropped, so no change follows.
            let _ = shown.changed().await;
        }
    }

    /// Forgets how the module reads all topics except these.
    pub(super) fn retain_topics(&self, topics: &BTreeSet<ChainTopic>) {
        self.show(|shown, _| shown.retain_topics(topics));
    }

    /// Replaces the positions.
    pub(super) fn set_places(&self, places: Vec<Place>) {
        *self.places.lock() = places;
    }

    /// Shows how the module reads a topic: the range of its replay, and the failure of its source.
    pub(super) fn set_reading(&self, topic: ChainTopic, range: Option<(u64, u64, u64)>, failed: Option<&SourceError>) {
        if range.is_none() && failed.is_none() && self.shown.borrow().is_live() {
            return;
        }
        self.show(|shown, now_ms| shown.set_reading(topic, range, failed, now_ms));
    }

    /// Enters a stage that needs no further reason.
    pub(super) fn enter(&self, stage: Stage) {
        self.enter_for(stage, words(stage));
    }

    /// Enters a stage for this reason.
    pub(super) fn enter_for(&self, stage: Stage, reason: &str) {
        self.show(|shown, now_ms| shown.enter(stage, reason, now_ms));
    }

    /// Enters [`Stage::WaitingForChain`] before the first `init`, unless the module waits for this chain
    /// already.
    pub(super) fn waits_for(&self, chain_id: ChainId) {
        let chain = format!("chain {chain_id}: ");
        let Condition { stage, reason, .. } = self.condition();
        if stage != Stage::WaitingForChain || !reason.text.starts_with(&chain) {
            self.enter_for(Stage::WaitingForChain, &format!("{chain}no answer so far"));
        }
    }

    /// Shows that a module which has not started waits for a chain in trouble.
    pub(crate) fn waits_in(&self, chain_id: ChainId, trouble: &str) {
        self.enter_for(Stage::WaitingForChain, &format!("chain {chain_id}: {trouble}"));
    }

    /// Shows why the chain cannot be read that the module waits for. A later reason of one wait keeps
    /// the time of the first one.
    pub(super) fn waits(&self, error: &(dyn Error + 'static)) {
        self.enter_for(Stage::WaitingForChain, &Causes(error).to_string());
    }

    /// Enters [`Stage::Backoff`] after the last failure, until this time in milliseconds since the
    /// Unix epoch.
    pub(super) fn back_off(&self, next_try_ms: u64) {
        let last = self.failures.lock().newest().next().map(ToString::to_string);
        let last = last.unwrap_or_default();
        self.show(|shown, now_ms| shown.back_off(&last, now_ms, next_try_ms));
    }

    /// Enters [`Stage::Stalled`]. The store has failed since this time, in milliseconds since the
    /// Unix epoch.
    pub(super) fn stall(&self, error: &(dyn Error + 'static), since_ms: u64) {
        self.show(|shown, _| shown.enter_since(Stage::Stalled, error, since_ms));
    }

    /// Enters [`Stage::Dead`].
    pub(crate) fn die(&self, dead: &(dyn Error + 'static)) {
        self.show(|shown, now_ms| shown.enter_since(Stage::Dead, dead, now_ms));
        self.left.notify_one();
    }

    /// Enters [`Stage::Standby`] for this reason. A stage that continues keeps its begin.
    pub(crate) fn stand_by(&self, reason: &str) {
        let condition = self.condition();
        if condition.stage != Stage::Standby || *condition.reason.text != *reason {
            self.enter_for(Stage::Standby, reason);
        }
    }

    /// Enters [`Stage::Starting`], when this process begins to own the module.
    pub(crate) fn take_over(&self) {
        self.enter(Stage::Starting);
    }

    /// Leaves [`Stage::Dead`].
    pub(super) fn revive(&self) {
        self.enter(Stage::Starting);
    }

    fn now_ms(&self) -> u64 {
        self.module.lock().meta.clock.now_ms()
    }

    /// The time of the module's clock, which never steps back.
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.module.lock().meta.clock.monotonic_ns())
    }

    fn show(&self, change: impl FnOnce(&mut Shown, u64)) {
        self.show_if(|shown, now_ms| {
            change(shown, now_ms);
            true
        });
    }

    /// Changes the shown fields. `change` returns whether it has changed any.
    fn show_if(&self, change: impl FnOnce(&mut Shown, u64) -> bool) {
        let now_ms = self.now_ms();
        self.shown.send_if_modified(|shown| {
            let before = shown.stage();
            let has_changed = change(shown, now_ms);
            let now = shown.stage();
            if before != now && now == Stage::Running {
                shown.begin_to_run(now_ms);
            }
            // Under the lock, so that the metric has the last of two concurrent changes.
            if before != now {
                self.metrics.stage(now);
                self.log_stage(&shown.condition());
            }
            has_changed
        });
    }

    /// Records the parts of a block that the module gets: its logs, and whether it gets the block event. Returns a
    /// bit for each subscription that matches.
    pub(super) fn block_matched(&self, topic: ChainTopic, at: Position, parts: (&[Log], bool), live_from: u64) -> u64 {
        let mut matches = self.matches.lock();
        matches.block(topic, at, parts, live_from, || self.now_ms())
    }

    /// Records a tick that the module gets.
    pub(super) fn tick_matched(&self, topic: Topic, position: Position) {
        self.matches.lock().tick(topic, position, || self.now_ms());
    }

    pub(super) fn count_handled(&self, event: EventId) {
        let at_ms = self.now_ms();
        *self.success.lock() = Some(Success { event, at_ms });
        self.count(&self.handled, |count| count + 1);
        self.metrics.handled(event.kind, at_ms);
    }

    pub(super) fn count_failed(&self, failure: &Failure, record: FailureRecord) {
        self.failures.lock().add(record, self.monotonic());
        self.count(&self.failed, |count| count + 1);
        self.metrics.failed(failure);
    }

    pub(super) fn set_dead_letters(&self, now: u64) {
        self.metrics.dead_letters(now);
        if self.dead_letters() != now {
            self.count(&self.dead_letters, |_| now);
        }
    }

    pub(super) fn set_effects_in_doubt(&self, now: u64) {
        self.metrics.effects_in_doubt(now);
        if self.effects_in_doubt() != now {
            self.count(&self.effects_in_doubt, |_| now);
        }
    }

    /// Changes a count. Only the runner writes it.
    fn count(&self, count: &AtomicU64, change: impl FnOnce(u64) -> u64) {
        count.store(change(count.load(Ordering::Relaxed)), Ordering::Release);
        // An event costs microseconds, and a notification a fraction of one, so only present
        // waiters get one. Without the fence, a waiter could subscribe after this check and read
        // the count from before the store.
        fence(Ordering::SeqCst);
        if self.shown.receiver_count() > 0 {
            self.shown.send_modify(|_| {});
        }
    }

    pub(super) fn set_module(&self, module: Arc<Module>) {
        self.matches.lock().replace(&module.subscriptions);
        *self.module.lock() = module;
    }

    /// Records an instance's memory, and the use of limits by its last handler call, which it returns.
    pub(super) fn ran(&self, instance: &Instance) -> LimitUsage {
        self.set_memory(instance.memory_bytes());
        let (used, took) = (instance.used(), instance.took());
        self.metrics.ran(took, &used);
        self.used.lock().note(&used, instance.began() + took);
        used
    }

    pub(super) fn set_memory(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Ordering::Release);
        self.metrics.memory(bytes);
    }

    pub(super) fn refuse(&self) {
        self.refused.store(true, Ordering::Release);
    }

    /// Whether the module's first `init` failed, in a run that requires its success.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    /// Ends the runner after its current event. It never starts again.
    pub(crate) fn end(&self) {
        self.mailbox.set_target(TargetState::Ended);
    }
}
