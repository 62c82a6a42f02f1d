//! What can be seen of a module while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::event::Topic;
use crate::names::ModuleName;

/// Where a module is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Its first `init` has not returned yet.
    Starting,
    /// It handles events.
    Running,
    /// The state store has failed: it waits for that, and then goes on.
    Stalled,
    /// It has failed too often, or cannot go on.
    Dead,
    /// It was told to stop, and did.
    Stopped,
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

/// A module's state and counts, kept by its runner and readable from anywhere.
#[derive(Debug)]
pub struct ModuleStatus {
    name: ModuleName,
    stage: AtomicU8,
    handled: AtomicU64,
    failed: AtomicU64,
    memory_bytes: AtomicU64,
    /// Whether there is something in `replaying`: most events need no look at that.
    is_replaying: AtomicBool,
    replaying: Mutex<Vec<Replaying>>,
    stopping: AtomicBool,
    pub(crate) wake: Arc<Notify>,
}

impl ModuleStatus {
    pub(crate) fn new(name: ModuleName) -> Self {
        Self {
            name,
            stage: AtomicU8::new(Stage::Starting as u8),
            handled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            is_replaying: AtomicBool::new(false),
            replaying: Mutex::default(),
            stopping: AtomicBool::new(false),
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
