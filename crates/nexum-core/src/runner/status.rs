//! What can be seen of a module while it runs.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::event::Topic;
use crate::limits::Used;
use crate::names::ModuleName;

/// Where a module is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Its first `init` has not returned yet.
    Starting,
    /// It handles events.
    Running,
    /// It has failed, and waits before it is tried again.
    Backoff,
    /// The state store has failed: it waits for that, and then goes on.
    Stalled,
    /// It has failed too often, or cannot go on.
    Dead,
    /// It was told to stop, and did.
    Stopped,
}

impl Stage {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Backoff => "backoff",
            Self::Stalled => "stalled",
            Self::Dead => "dead",
            Self::Stopped => "stopped",
        }
    }
}

/// How far a module has come with what it missed of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaying {
    /// The topic.
    pub topic: Topic,
    /// The number of the first block that is read again.
    pub from: u64,
    /// The last block that has been read.
    pub at: u64,
    /// The last block that has to be read, as far as is known now.
    pub to: u64,
}

/// What handlers used of a module's limits, each in the unit of the limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Consumption {
    /// The last one.
    pub last: Used,
    /// The most that any used of each, since the process began.
    pub most: Used,
}

/// A module's state and counts, kept by its runner and readable from anywhere.
#[derive(Debug)]
pub struct ModuleStatus {
    name: ModuleName,
    stage: AtomicU8,
    handled: AtomicU64,
    failed: AtomicU64,
    dead_letters: AtomicU64,
    memory_bytes: AtomicU64,
    /// Whether there is something in `replaying`: most events need no look at that.
    is_replaying: AtomicBool,
    replaying: Mutex<Vec<Replaying>>,
    stopping: AtomicBool,
    /// Why it is dead, if it is.
    reason: Mutex<Option<Arc<str>>>,
    used: Mutex<Consumption>,
    revived: AtomicBool,
    /// Told when it is dead: there may be no module left.
    left: Arc<Notify>,
    pub(crate) wake: Arc<Notify>,
}

impl ModuleStatus {
    pub(crate) fn new(name: ModuleName, left: Arc<Notify>) -> Self {
        Self {
            name,
            stage: AtomicU8::new(Stage::Starting as u8),
            handled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            is_replaying: AtomicBool::new(false),
            replaying: Mutex::default(),
            stopping: AtomicBool::new(false),
            reason: Mutex::default(),
            used: Mutex::default(),
            revived: AtomicBool::new(false),
            left,
            wake: Arc::new(Notify::new()),
        }
    }

    /// The module.
    pub fn name(&self) -> &ModuleName {
        &self.name
    }

    /// Where it is in its life.
    pub fn stage(&self) -> Stage {
        let stages = [
            Stage::Starting,
            Stage::Running,
            Stage::Backoff,
            Stage::Stalled,
            Stage::Dead,
            Stage::Stopped,
        ];
        let stage = self.stage.load(Ordering::Acquire);
        stages
            .into_iter()
            .find(|known| *known as u8 == stage)
            .unwrap_or(Stage::Starting)
    }

    /// Events whose handler returned ok.
    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::Acquire)
    }

    /// Handlers, `init` included, that did not return ok.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Acquire)
    }

    /// Events that became dead letters.
    pub fn dead_letters(&self) -> u64 {
        self.dead_letters.load(Ordering::Acquire)
    }

    /// Why it is dead; none if it is not.
    pub fn reason(&self) -> Option<Arc<str>> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What its handlers used of its limits.
    pub fn consumption(&self) -> Consumption {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a dead module go on at the event at which it died. Others are not concerned.
    pub fn revive(&self) {
        if self.stage() == Stage::Dead {
            self.revived.store(true, Ordering::Release);
            self.wake.notify_one();
        }
    }

    /// Bytes in the linear memories of its instance after the last event.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Acquire)
    }

    /// What it catches up with, by topic; empty while it keeps up.
    pub fn replaying(&self) -> Vec<Replaying> {
        self.replaying.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_replaying(&self, topic: Topic, range: Option<(u64, u64, u64)>) {
        if range.is_none() && !self.is_replaying.load(Ordering::Relaxed) {
            return;
        }
        let mut replaying = self.replaying.lock().unwrap_or_else(PoisonError::into_inner);
        replaying.retain(|one| one.topic != topic);
        replaying.extend(range.map(|(from, at, to)| Replaying { topic, from, at, to }));
        self.is_replaying.store(!replaying.is_empty(), Ordering::Relaxed);
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
    }

    pub(crate) fn count_handled(&self) {
        self.handled.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn count_dead_letter(&self) {
        self.dead_letters.fetch_add(1, Ordering::Release);
    }

    /// Enters [`Stage::Dead`].
    pub(crate) fn die(&self, dead: &(dyn Error + 'static)) {
        let causes = std::iter::successors(dead.source(), |error| (*error).source());
        let reason = causes.fold(dead.to_string(), |text, cause| format!("{text}: {cause}"));
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.into());
        self.revived.store(false, Ordering::Release);
        self.enter(Stage::Dead);
        self.left.notify_one();
    }

    /// Waits until a dead module is to go on, or to end: then returns false.
    pub(crate) async fn revived(&self) -> bool {
        loop {
            if self.is_stopping() {
                return false;
            }
            if self.revived.swap(false, Ordering::AcqRel) {
                *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = None;
                return true;
            }
            self.wake.notified().await;
        }
    }

    /// Takes note of what a handler used.
    pub(crate) fn set_used(&self, used: Used) {
        let mut consumption = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        consumption.last = used;
        consumption.most = consumption.most.max(&used);
    }

    pub(crate) fn set_memory(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Ordering::Release);
    }

    pub(crate) fn clear_memory(&self) {
        self.set_memory(0);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Has the runner end after the event in hand.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}
