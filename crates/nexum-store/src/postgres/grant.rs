//! The right of this process to act as a node, which the membership gives and the writer uses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nexum_core::store::StoreError;
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;
use tokio::time::sleep;

/// How often a sleeping task reads the clock. The timers of the runtime stand still while the machine is suspended.
const CLOCK_LOOK_EVERY: Duration = Duration::from_millis(100);

/// The right of this process to act as a node. It ends by itself, unless the membership extends it.
#[derive(Debug)]
pub(super) struct Grant {
    node: String,
    held: Mutex<Held>,
    /// The time of [`now_ns`] at which the right ends. 0 without a right.
    until_ns: AtomicU64,
    fenced: Notify,
}

#[derive(Debug, Default)]
struct Held {
    incarnation: Option<Incarnation>,
    last_epoch: i64,
}

/// One membership of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Incarnation {
    /// Distinguishes this membership from all others.
    pub(super) holder: String,
    /// The epoch with which it began. A new connection of the writer begins a later one.
    pub(super) epoch: i64,
}

impl Grant {
    pub(super) fn new(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            held: Mutex::default(),
            until_ns: AtomicU64::new(0),
            fenced: Notify::new(),
        }
    }

    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// The membership in which the process may write.
    ///
    /// # Errors
    ///
    /// The last epoch of the process, if it may not write.
    pub(super) fn incarnation(&self) -> Result<Incarnation, u64> {
        let held = self.held.lock();
        held.incarnation.clone().ok_or(held.last_epoch.unsigned_abs())
    }

    /// Ends the right, because the database has refused a write of this holder, and wakes the membership.
    pub(super) fn fence(&self, holder: &str) {
        let mut held = self.held.lock();
        if held
            .incarnation
            .take_if(|incarnation| incarnation.holder == holder)
            .is_some()
        {
            self.until_ns.store(0, Ordering::Release);
            self.fenced.notify_one();
        }
    }

    /// Begins the right of a membership.
    pub(super) fn begin(&self, incarnation: Incarnation, until_ns: u64) {
        let mut held = self.held.lock();
        held.last_epoch = incarnation.epoch;
        held.incarnation = Some(incarnation);
        self.until_ns.store(until_ns, Ordering::Release);
    }

    /// Extends the right, unless it has ended.
    pub(super) fn extend(&self, until_ns: u64) {
        let held = self.held.lock();
        if held.incarnation.is_some() {
            self.until_ns.fetch_max(until_ns, Ordering::AcqRel);
        }
    }

    /// Ends the right.
    pub(super) fn end(&self) {
        let mut held = self.held.lock();
        held.incarnation = None;
        self.until_ns.store(0, Ordering::Release);
    }

    /// Whether the process may act for its modules.
    pub(super) fn may_act(&self) -> bool {
        now_ns() < self.until_ns()
    }

    /// Fails if the process may not act for its modules.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.may_act() {
            true => Ok(()),
            false => Err(StoreError::Fenced {
                epoch: self.held.lock().last_epoch.unsigned_abs(),
            }),
        }
    }

    /// The time of [`now_ns`] at which the right ends.
    pub(super) fn until_ns(&self) -> u64 {
        self.until_ns.load(Ordering::Acquire)
    }

    /// Waits until the right ends. Calls `look` now and then.
    pub(super) async fn ended(&self, mut look: impl FnMut()) -> Ended {
        loop {
            look();
            if self.incarnation().is_err() {
                return Ended::Fenced;
            }
            if !self.may_act() {
                return Ended::Expired;
            }
            tokio::select! {
                () = sleep(CLOCK_LOOK_EVERY) => {}
                () = self.fenced.notified() => {}
            }
        }
    }
}

/// The end of a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The database has refused a write.
    Fenced,
    /// The database has not confirmed the membership in time.
    Expired,
}

/// Nanoseconds since the start of the machine, including the time in which it was suspended.
pub(super) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
