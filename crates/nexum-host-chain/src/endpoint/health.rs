//! Whether an endpoint works.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nexum_net::wait;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::RequestError;

/// The rest after a first failure: a request that is retried finds another endpoint meanwhile, and what was a hiccup is over.
const REST_MIN: Duration = Duration::from_secs(1);

/// The longest rest: so late at most is it noticed that the primary is back.
const REST_MAX: Duration = Duration::from_secs(60);

/// The least rest of an endpoint that the source found at fault: what made it so, as a node that is syncing, takes longer to
/// pass than a lost connection.
const FAULT_REST_MIN: Duration = Duration::from_secs(10);

/// The rest of an endpoint that serves another chain. That is a mistake in a configuration, which somebody has to correct.
const WRONG_CHAIN_REST: Duration = Duration::from_secs(60);

/// How long an endpoint that asks for fewer requests is left alone if it does not say how long: what providers count requests in.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause that an endpoint is granted. Longer ones are what is said when a day's quota is used up, and an operator
/// who buys more should not have to wait.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// No head is known.
const NO_HEAD: u64 = u64::MAX;

/// What the endpoints of a chain share: who waits to hear of a change of health, and whether rested endpoints are probed.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// Notified when an endpoint becomes better or worse.
    pub(crate) changed: Notify,
    /// Whether somebody probes rested endpoints. Without that, requests try them again when their rest is over.
    pub(crate) is_tended: AtomicBool,
}

/// What is known of an endpoint's health. On the way of a request that succeeds nothing in it is locked.
#[derive(Debug)]
pub(crate) struct Health {
    signal: Arc<Signal>,
    /// What times below are counted from.
    epoch: Instant,
    /// In a row.
    failures: AtomicU32,
    /// Until when it rests, in milliseconds; 0 if it does not.
    resting_until: AtomicU64,
    /// Until when it is to get no requests, in milliseconds.
    paused_until: AtomicU64,
    /// Whether it said another chain id when it was asked last.
    is_refused: AtomicBool,
    /// The newest block that it is known to have.
    head: AtomicU64,
    /// Whether it was too far behind the others when its head was seen last.
    is_behind: AtomicBool,
    /// How many answers it has given.
    answers: AtomicU64,
    last_failure: Mutex<Option<RequestError>>,
}

/// How good an endpoint is to use now: the least is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    is_refused: bool,
    is_resting: bool,
    is_behind: bool,
}

impl Standing {
    /// Whether nothing speaks against it.
    pub(crate) fn is_good(self) -> bool {
        !(self.is_refused || self.is_resting || self.is_behind)
    }
}

impl Health {
    pub(super) fn new(signal: Arc<Signal>) -> Self {
        Self {
            signal,
            epoch: Instant::now(),
            failures: AtomicU32::new(0),
            resting_until: AtomicU64::new(0),
            paused_until: AtomicU64::new(0),
            is_refused: AtomicBool::new(false),
            head: AtomicU64::new(NO_HEAD),
            is_behind: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            last_failure: Mutex::new(None),
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        Standing {
            is_refused: self.is_refused.load(Ordering::Relaxed),
            is_resting: self.is_resting(),
            is_behind: self.is_behind.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// The last failure that was the endpoint's fault.
    pub(crate) fn last_failure(&self) -> Option<RequestError> {
        self.failure().clone()
    }

    /// When it may be sent requests again, if it has asked to be left alone.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        let until = self.paused_until.load(Ordering::Relaxed);
        (until > 0)
            .then(|| self.epoch + Duration::from_millis(until))
            .filter(|until| *until > Instant::now())
    }

    /// When its rest is over, if it rests.
    pub(crate) fn rest_over(&self) -> Option<Instant> {
        let until = self.resting_until.load(Ordering::Relaxed);
        (until > 0).then(|| self.epoch + Duration::from_millis(until))
    }

    pub(crate) fn head(&self) -> Option<u64> {
        Some(self.head.load(Ordering::Relaxed)).filter(|head| *head != NO_HEAD)
    }

    /// It has given an answer.
    pub(super) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        if self.failures.load(Ordering::Relaxed) == 0 {
            return;
        }
        match self.rest_over() {
            None => self.failures.store(0, Ordering::Relaxed),
            // An answer to what was asked before it was put to rest ends no rest, and where there are probes, they do.
            Some(_) if self.is_resting() => {}
            Some(_) => self.recovered(),
        }
    }

    /// Ends a rest. What failed before is not forgotten until a request succeeds, so that an endpoint which passes a probe and
    /// nothing else rests longer and longer.
    pub(crate) fn recovered(&self) {
        if self.resting_until.swap(0, Ordering::Relaxed) != 0 {
            self.signal.changed.notify_waiters();
        }
    }

    /// It has failed. Of what fails while it rests, as all that was in flight when a node went away, nothing is counted.
    /// Returns whether this is its first failure after a success.
    pub(crate) fn failed(&self, error: &RequestError) -> bool {
        *self.failure() = Some(error.clone());
        if self.rest_over().is_some_and(|over| Instant::now() < over) {
            return false;
        }
        let failures = self.failures().saturating_add(1);
        self.failures.store(failures, Ordering::Relaxed);
        self.rest(wait(REST_MIN, REST_MAX, failures));
        failures == 1
    }

    /// The source has found it at fault. Returns false if it rests already: what was asked of it together counts once.
    pub(crate) fn found_at_fault(&self) -> bool {
        if self.rest_over().is_some_and(|over| Instant::now() < over) {
            return false;
        }
        let failures = self.failures().saturating_add(1);
        self.failures.store(failures, Ordering::Relaxed);
        self.head.store(NO_HEAD, Ordering::Relaxed);
        self.rest(wait(REST_MIN, REST_MAX, failures).max(FAULT_REST_MIN));
        true
    }

    /// Whether it serves the right chain. Returns whether it was taken to serve the right one before.
    pub(super) fn says_chain(&self, is_right: bool) -> bool {
        let was_refused = self.is_refused.swap(!is_right, Ordering::Relaxed);
        if !is_right {
            self.head.store(NO_HEAD, Ordering::Relaxed);
            self.rest(WRONG_CHAIN_REST);
        } else if was_refused {
            self.recovered();
        }
        !was_refused
    }

    /// It wants fewer requests.
    pub(super) fn pause(&self, retry_after: Option<Duration>) {
        let until = self.ms_after(retry_after.unwrap_or(PAUSE).min(RETRY_AFTER_MAX));
        self.paused_until.fetch_max(until, Ordering::Relaxed);
    }

    /// It has this head.
    pub(crate) fn saw_head(&self, number: u64) {
        self.head.store(number, Ordering::Relaxed);
    }

    /// How it compares with the others.
    pub(crate) fn set_behind(&self, is_behind: bool) {
        if self.is_behind.swap(is_behind, Ordering::Relaxed) != is_behind {
            self.signal.changed.notify_waiters();
        }
    }

    fn is_resting(&self) -> bool {
        self.rest_over()
            .is_some_and(|over| self.signal.is_tended.load(Ordering::Relaxed) || Instant::now() < over)
    }

    fn rest(&self, time: Duration) {
        self.resting_until.store(self.ms_after(time), Ordering::Relaxed);
        self.signal.changed.notify_waiters();
    }

    /// Never 0.
    fn ms_after(&self, time: Duration) -> u64 {
        let elapsed = self.epoch.elapsed() + time;
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX - 1).max(1)
    }

    fn failure(&self) -> std::sync::MutexGuard<'_, Option<RequestError>> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
