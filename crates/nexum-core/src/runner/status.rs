//! The status of a running module, readable from any task.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use nexum_config::limits::LimitUsage;
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainTopic;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::mailbox::{Mailbox, MailboxSender, TargetState, mailbox};
use super::metrics::ModuleMetrics;
use super::stage::Stage;
use crate::event::EventKind;
use crate::module::consumption::Consumption;
use crate::module::failure::Failure;
use crate::module::instance::Instance;
use crate::module::loader::Module;
use crate::reason::Reason;

/// The progress of a module that catches up with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaying {
    /// The topic.
    pub topic: ChainTopic,
    /// The number of the first replayed block.
    pub from: u64,
    /// The number of the last block that the module has read.
    pub at: u64,
    /// The number of the last block to read, as far as nexum knows now.
    pub to: u64,
}

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
    memory_bytes: AtomicU64,
    used: Mutex<Consumption>,
    /// Whether the module's first `init` failed, in a run that requires its success.
    refused: AtomicBool,
    /// Notified when the module dies, because no other module may be alive.
    left: Arc<Notify>,
    pub(super) mailbox: MailboxSender,
    pub(crate) metrics: ModuleMetrics,
}

/// The fields that change together.
#[derive(Debug)]
struct Shown {
    /// The stage, which is never [`Stage::Replaying`].
    stage: Stage,
    replaying: Vec<Replaying>,
    /// The reason of the module's death, if it is dead, or of its wait for a chain or the store.
    reason: Option<Reason>,
}

impl Shown {
    fn stage(&self) -> Stage {
        match self.stage {
            Stage::Running if !self.replaying.is_empty() => Stage::Replaying,
            stage => stage,
        }
    }
}

impl ModuleStatus {
    /// Creates the status of a module that has not started, and the mailbox of its runner. The
    /// module's death notifies `left`.
    pub(crate) fn new(module: Arc<Module>, left: Arc<Notify>) -> (Arc<Self>, Mailbox) {
        let metrics = ModuleMetrics::new(&module.meta.name);
        metrics.stage(Stage::Starting);
        let shown = Shown {
            stage: Stage::Starting,
            replaying: Vec::new(),
            reason: None,
        };
        let (sender, mailbox) = mailbox();
        let status = Self {
            metrics,
            name: module.meta.name.clone(),
            module: Mutex::new(module),
            shown: watch::Sender::new(shown),
            handled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            used: Mutex::default(),
            refused: AtomicBool::new(false),
            left,
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

    /// The reason of the module's death, the chain that it waits for before its first `init`, or the
    /// failure of the store that it waits for. Otherwise `None`.
    pub fn reason(&self) -> Option<Reason> {
        self.shown.borrow().reason.clone()
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
        self.shown.borrow().replaying.clone()
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

    /// Removes the progress of all topics except these.
    pub(super) fn retain_replaying(&self, topics: &BTreeSet<ChainTopic>) {
        let gone: Vec<_> = self.replaying().iter().map(|one| one.topic).collect();
        let gone = gone.into_iter().filter(|topic| !topics.contains(topic));
        gone.for_each(|topic| self.set_replaying(topic, None));
    }

    pub(super) fn set_replaying(&self, topic: ChainTopic, range: Option<(u64, u64, u64)>) {
        if range.is_none() && self.shown.borrow().replaying.is_empty() {
            return;
        }
        self.show(|shown| {
            shown.replaying.retain(|one| one.topic != topic);
            shown
                .replaying
                .extend(range.map(|(from, at, to)| Replaying { topic, from, at, to }));
        });
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.show(|shown| {
            shown.stage = stage;
            shown.reason = None;
        });
    }

    /// Shows what the module waits for before its first `init`. A later reason of one wait keeps the
    /// time of the first one.
    pub(super) fn waits(&self, reason: &(dyn Error + 'static)) {
        let now_ms = self.now_ms();
        self.show(|shown| {
            let since_ms = shown.reason.take().map_or(now_ms, |earlier| earlier.since_ms);
            shown.reason = Some(Reason::new(reason, since_ms));
        });
    }

    /// Enters [`Stage::Stalled`]. The store has failed since this time, in milliseconds since the
    /// Unix epoch.
    pub(super) fn stall(&self, error: &(dyn Error + 'static), since_ms: u64) {
        self.show(|shown| {
            shown.stage = Stage::Stalled;
            shown.reason = Some(Reason::new(error, since_ms));
        });
    }

    /// Enters [`Stage::Dead`].
    pub(crate) fn die(&self, dead: &(dyn Error + 'static)) {
        let reason = Reason::new(dead, self.now_ms());
        self.show(|shown| {
            shown.stage = Stage::Dead;
            shown.reason = Some(reason);
        });
        self.left.notify_one();
    }

    /// Leaves [`Stage::Dead`].
    pub(super) fn revive(&self) {
        self.show(|shown| {
            shown.stage = Stage::Starting;
            shown.reason = None;
        });
    }

    fn now_ms(&self) -> u64 {
        self.module.lock().meta.clock.now_ms()
    }

    fn show(&self, change: impl FnOnce(&mut Shown)) {
        let mut stages = None;
        self.shown.send_modify(|shown| {
            let before = shown.stage();
            change(shown);
            stages = Some((before, shown.stage()));
        });
        if let Some((before, now)) = stages
            && before != now
        {
            self.metrics.stage(now);
        }
    }

    pub(super) fn count_handled(&self, kind: EventKind) {
        self.count(&self.handled, |count| count + 1);
        self.metrics.handled(kind);
    }

    pub(super) fn count_failed(&self, failure: &Failure) {
        self.count(&self.failed, |count| count + 1);
        self.metrics.failed(failure);
    }

    pub(super) fn set_dead_letters(&self, now: u64) {
        self.metrics.dead_letters(now);
        if self.dead_letters() != now {
            self.count(&self.dead_letters, |_| now);
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
