//! What can be seen of a module while it runs.

use std::collections::{BTreeSet, VecDeque};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nexum_config::names::ModuleName;
use nexum_config::topic::ChainTopic;
use tokio::sync::Notify;

use super::commands::Order;
use super::metrics::ModuleMetrics;
use super::stage::Stage;
use crate::event::EventKind;
use crate::module::consumption::Consumption;
use crate::module::instance::{Failure, Instance};
use crate::module::loader::Module;

/// How far a module has come with what it missed of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaying {
    /// The topic.
    pub topic: ChainTopic,
    /// The number of the first block that is read again.
    pub from: u64,
    /// The last block that has been read.
    pub at: u64,
    /// The last block that has to be read, as far as is known now.
    pub to: u64,
}

/// What a module is meant to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Wanted {
    Running,
    /// The operator stopped it, and may start it again.
    Stopped,
    /// Its runner ends, for good.
    Ended,
}

/// A module's state and counts, kept by its runner and readable from anywhere; and what its runner is told to do.
#[derive(Debug)]
pub struct ModuleStatus {
    name: ModuleName,
    module: Mutex<Arc<Module>>,
    stage: AtomicU8,
    handled: AtomicU64,
    failed: AtomicU64,
    dead_letters: AtomicU64,
    memory_bytes: AtomicU64,
    /// Whether there is something in `replaying`: most events need no look at that.
    is_replaying: AtomicBool,
    replaying: Mutex<Vec<Replaying>>,
    /// Why it is dead, if it is.
    reason: Mutex<Option<Arc<str>>>,
    used: Mutex<Consumption>,
    wanted: AtomicU8,
    orders: Mutex<VecDeque<Order>>,
    /// Whether there are orders, or something else is wanted, that the runner has not seen.
    interrupted: AtomicBool,
    /// Whether its first `init` had to go well, and did not.
    refused: AtomicBool,
    /// Told when it is dead: there may be no module left.
    left: Arc<Notify>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) metrics: ModuleMetrics,
}

impl ModuleStatus {
    pub(crate) fn new(module: Arc<Module>, left: Arc<Notify>) -> Self {
        let metrics = ModuleMetrics::new(&module.meta.name);
        metrics.stage(Stage::Starting);
        Self {
            metrics,
            name: module.meta.name.clone(),
            module: Mutex::new(module),
            stage: AtomicU8::new(Stage::Starting as u8),
            handled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            is_replaying: AtomicBool::new(false),
            replaying: Mutex::default(),
            reason: Mutex::default(),
            used: Mutex::default(),
            wanted: AtomicU8::new(Wanted::Running as u8),
            orders: Mutex::default(),
            interrupted: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            left,
            wake: Arc::new(Notify::new()),
        }
    }

    /// The module as it runs now.
    pub fn module(&self) -> Arc<Module> {
        lock(&self.module).clone()
    }

    /// The module's name.
    pub fn name(&self) -> &ModuleName {
        &self.name
    }

    /// Where it is in its life.
    pub fn stage(&self) -> Stage {
        let stage = self.stage.load(Ordering::Acquire);
        let stage = Stage::ALL.into_iter().find(|known| *known as u8 == stage);
        match stage.unwrap_or(Stage::Starting) {
            Stage::Running if self.is_replaying.load(Ordering::Relaxed) => Stage::Replaying,
            stage => stage,
        }
    }

    /// Events whose handler returned ok.
    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::Acquire)
    }

    /// Handlers, `init` included, that did not return ok.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Acquire)
    }

    /// Events that it could not handle, and that the operator has not decided about.
    pub fn dead_letters(&self) -> u64 {
        self.dead_letters.load(Ordering::Acquire)
    }

    /// Why it is dead; none if it is not.
    pub fn reason(&self) -> Option<Arc<str>> {
        lock(&self.reason).clone()
    }

    /// What its handlers used of its limits.
    pub fn consumption(&self) -> Consumption {
        *lock(&self.used)
    }

    /// Bytes in the linear memories of its instance after the last event.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Acquire)
    }

    /// What it catches up with, by topic; empty while it keeps up.
    pub fn replaying(&self) -> Vec<Replaying> {
        lock(&self.replaying).clone()
    }

    /// Forgets what it caught up with in other topics than these.
    pub(super) fn retain_replaying(&self, topics: &BTreeSet<ChainTopic>) {
        let gone: Vec<_> = lock(&self.replaying).iter().map(|one| one.topic).collect();
        let gone = gone.into_iter().filter(|topic| !topics.contains(topic));
        gone.for_each(|topic| self.set_replaying(topic, None));
    }

    pub(crate) fn set_replaying(&self, topic: ChainTopic, range: Option<(u64, u64, u64)>) {
        if range.is_none() && !self.is_replaying.load(Ordering::Relaxed) {
            return;
        }
        let mut replaying = lock(&self.replaying);
        replaying.retain(|one| one.topic != topic);
        replaying.extend(range.map(|(from, at, to)| Replaying { topic, from, at, to }));
        let is_replaying = !replaying.is_empty();
        if self.is_replaying.swap(is_replaying, Ordering::Relaxed) != is_replaying {
            self.metrics.stage(self.stage());
        }
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
        self.metrics.stage(self.stage());
    }

    pub(crate) fn count_handled(&self, kind: EventKind) {
        self.handled.fetch_add(1, Ordering::Release);
        self.metrics.handled(kind);
    }

    pub(crate) fn count_failed(&self, failure: &Failure) {
        self.failed.fetch_add(1, Ordering::Release);
        self.metrics.failed(failure);
    }

    pub(crate) fn set_dead_letters(&self, count: u64) {
        self.metrics.dead_letters(count);
        self.dead_letters.store(count, Ordering::Release);
    }

    pub(crate) fn set_module(&self, module: Arc<Module>) {
        *lock(&self.module) = module;
    }

    /// Enters [`Stage::Dead`].
    pub(crate) fn die(&self, dead: &(dyn Error + 'static)) {
        let causes = std::iter::successors(dead.source(), |error| (*error).source());
        let reason = causes.fold(dead.to_string(), |text, cause| format!("{text}: {cause}"));
        *lock(&self.reason) = Some(reason.into());
        self.enter(Stage::Dead);
        self.left.notify_one();
    }

    /// Leaves [`Stage::Dead`].
    pub(crate) fn live(&self) {
        *lock(&self.reason) = None;
        self.enter(Stage::Starting);
    }

    /// Takes note of what an instance has, and of what its last handler used.
    pub(crate) fn ran(&self, instance: &Instance) {
        self.set_memory(instance.memory_bytes());
        let (used, took) = (instance.used(), instance.took());
        self.metrics.ran(took, &used);
        lock(&self.used).note(&used, instance.began() + took);
    }

    pub(crate) fn set_memory(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Ordering::Release);
        self.metrics.memory(bytes);
    }

    pub(crate) fn clear_memory(&self) {
        self.set_memory(0);
    }

    pub(super) fn refuse(&self) {
        self.refused.store(true, Ordering::Release);
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    pub(crate) fn wanted(&self) -> Wanted {
        let wanted = self.wanted.load(Ordering::Acquire);
        let known = [Wanted::Running, Wanted::Stopped, Wanted::Ended];
        known
            .into_iter()
            .find(|known| *known as u8 == wanted)
            .unwrap_or(Wanted::Ended)
    }

    /// Has the runner do this after the event in hand; nothing follows [`Wanted::Ended`].
    pub(crate) fn want(&self, wanted: Wanted) {
        self.wanted
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now != Wanted::Ended as u8).then_some(wanted as u8)
            })
            .ok();
        self.interrupt();
    }

    /// Has the runner do this after the event in hand.
    pub(super) fn order(&self, order: Order) {
        lock(&self.orders).push_back(order);
        if self.wanted() == Wanted::Ended {
            self.dismiss();
        }
        self.interrupt();
    }

    fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Waits until there is something to be done that has nothing to do with events.
    pub(super) async fn interrupted(&self) {
        while !self.is_interrupted() {
            self.wake.notified().await;
        }
    }

    /// The orders that have come since. Whatever is wanted after this call interrupts again.
    pub(super) fn take_orders(&self) -> VecDeque<Order> {
        self.interrupted.store(false, Ordering::Release);
        std::mem::take(&mut *lock(&self.orders))
    }

    /// Takes no order any more: those who gave one learn that nobody obeys.
    pub(crate) fn dismiss(&self) {
        drop(self.take_orders());
    }
}

/// Locks without minding a panic elsewhere: nothing here is left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
