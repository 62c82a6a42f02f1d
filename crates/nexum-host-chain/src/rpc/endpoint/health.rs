//! Whether an endpoint works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use nexum_config::backoff::wait;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::RpcRequest;
use super::refused::Refused;
use super::rest::{REST_MAX, Rest};
use crate::error::RequestError;

/// The least rest of an endpoint that the source found at fault: what made it so, as a node that is syncing, takes longer to
/// pass than a lost connection.
const FAULT_REST_MIN: Duration = Duration::from_secs(10);

/// The rest of an endpoint that serves another chain. That is a mistake in a configuration, which somebody has to correct.
const WRONG_CHAIN_REST: Duration = Duration::from_secs(60);

/// How long an endpoint that asks for fewer requests is left alone if it does not say how long: what providers count requests
/// in. A longer pause is a reason to follow another endpoint.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

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
    /// What times are counted from.
    epoch: Instant,
    /// Of the whole endpoint.
    whole: Rest,
    /// Of the endpoint for following the chain; requests of modules still go to it.
    following: Rest,
    /// In what following failed last, for the probe.
    suspect: Mutex<Option<&'static str>>,
    /// Of the endpoint for reading history.
    history: Rest,
    /// Of the endpoint for single methods of modules' reads.
    refused: Refused,
    /// Until when it is to get no requests, in milliseconds.
    paused_until: AtomicU64,
    /// How many times in a row it has wanted fewer requests.
    pauses: AtomicU32,
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
pub(crate) struct Fitness {
    is_refused: bool,
    is_resting: bool,
    /// Whether it rests for what it is to be used for.
    is_unfit: bool,
    is_behind: bool,
}

impl Fitness {
    /// Whether nothing speaks against it.
    pub(crate) fn is_good(self) -> bool {
        self.is_usable() && !self.is_unfit
    }

    /// As [`Self::is_good`], but it may rest for what it is to be used for.
    pub(crate) fn is_usable(self) -> bool {
        !(self.is_refused || self.is_resting || self.is_behind)
    }
}

impl Health {
    pub(super) fn new(signal: Arc<Signal>) -> Self {
        Self {
            signal,
            epoch: Instant::now(),
            whole: Rest::default(),
            following: Rest::default(),
            suspect: Mutex::new(None),
            history: Rest::default(),
            refused: Refused::default(),
            paused_until: AtomicU64::new(0),
            pauses: AtomicU32::new(0),
            is_refused: AtomicBool::new(false),
            head: AtomicU64::new(NO_HEAD),
            is_behind: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            last_failure: Mutex::new(None),
        }
    }

    /// For following the chain.
    pub(crate) fn standing_to_follow(&self) -> Fitness {
        self.standing(self.goes_on(&self.following))
    }

    /// For reading history. An endpoint that refused to say something of the past may still be the only one that can be asked.
    pub(crate) fn standing_for_history(&self) -> Fitness {
        self.standing(self.history.is_on(self.now()))
    }

    /// For modules' requests.
    pub(crate) fn standing_for(&self, requests: &[RpcRequest]) -> Fitness {
        self.standing(self.refused.rests_for(requests, self.now()))
    }

    fn standing(&self, is_unfit: bool) -> Fitness {
        Fitness {
            is_refused: self.is_refused.load(Ordering::Relaxed),
            is_resting: self.goes_on(&self.whole),
            is_unfit,
            is_behind: self.is_behind.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn failures(&self) -> u32 {
        self.whole.failures()
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
        (until > self.now()).then(|| self.at(until))
    }

    /// When it is to be probed, if it rests, as a whole or for following.
    pub(crate) fn rest_over(&self) -> Option<Instant> {
        let over = self.whole.over().max(self.following.over());
        over.map(|over| self.at(over))
    }

    /// The method in which following failed last, if it has failed since it went well.
    pub(crate) fn suspect(&self) -> Option<&'static str> {
        *self.suspect.lock()
    }

    pub(crate) fn head(&self) -> Option<u64> {
        Some(self.head.load(Ordering::Relaxed)).filter(|head| *head != NO_HEAD)
    }

    /// It has given an answer, useful or not.
    pub(super) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        if self.whole.failures() == 0 {
            return;
        }
        match self.whole.over() {
            None => drop(self.whole.forget()),
            // An answer to what was asked before it was put to rest ends no rest, and where there are probes, they do.
            Some(_) if self.goes_on(&self.whole) => {}
            Some(_) => self.recovered(),
        }
    }

    /// It has given a result. Returns whether the log said that it refuses the method.
    pub(super) fn did(&self, method: &str) -> bool {
        if self.pauses.load(Ordering::Relaxed) > 0 && self.paused_until().is_none() {
            self.pauses.store(0, Ordering::Relaxed);
        }
        self.refused.did(method, self.now())
    }

    /// It refuses a method, as far as can be told: modules' requests for it go elsewhere for a while. Returns whether that is to
    /// be logged for an operator.
    pub(super) fn refused(&self, method: &str) -> bool {
        self.refused.refused(method, self.now())
    }

    /// Ends a rest. What failed before is not forgotten until a request succeeds, so that an endpoint which passes a probe and
    /// nothing else rests longer and longer.
    pub(crate) fn recovered(&self) {
        let (whole, following) = (self.whole.end(), self.following.end());
        if whole || following {
            self.signal.changed.notify_waiters();
        }
    }

    /// It has failed. Of what fails while it rests, as all that was in flight when a node went away, nothing is counted.
    /// Returns whether this is its first failure after a success.
    pub(crate) fn failed(&self, error: &RequestError) -> bool {
        self.said(error);
        let failures = self.whole.failed(self.now(), Duration::ZERO);
        self.notify_if(failures.is_some());
        failures == Some(1)
    }

    /// A probe has failed: what rests goes on resting.
    pub(crate) fn not_back(&self, error: &RequestError) {
        self.said(error);
        let rest = match self.whole.over() {
            Some(_) => &self.whole,
            None => &self.following,
        };
        rest.failed(self.now(), Duration::ZERO);
    }

    /// The source has found it at fault. Returns false if it rests already: what was asked of it together counts once.
    pub(crate) fn found_at_fault(&self) -> bool {
        let failures = self.whole.failed(self.now(), FAULT_REST_MIN);
        if failures.is_some() {
            self.head.store(NO_HEAD, Ordering::Relaxed);
        }
        self.notify_if(failures.is_some());
        failures.is_some()
    }

    /// The chain cannot be followed over it, for what came of this method, if it was one. Returns how often in a row that was
    /// so, or nothing while it rests already.
    pub(crate) fn cannot_be_followed(&self, method: Option<&'static str>) -> Option<u32> {
        self.suspects(method);
        let failures = self.following.failed(self.now(), Duration::ZERO);
        self.notify_if(failures.is_some());
        failures
    }

    /// Following failed in this method: a probe has to test it.
    pub(crate) fn suspects(&self, method: Option<&'static str>) {
        if method.is_some() {
            *self.suspect.lock() = method;
        }
    }

    /// The chain is followed over it.
    pub(crate) fn is_followed(&self) {
        if self.following.has_been_well_for(self.now(), REST_MAX) {
            self.following.forget();
            *self.suspect.lock() = None;
        }
    }

    /// It did not say something of the past that another endpoint could say: it is asked later than the others for a while.
    pub(crate) fn lacks_history(&self) {
        self.history.failed(self.now(), Duration::ZERO);
    }

    /// It has said something of the past.
    pub(crate) fn has_history(&self) {
        // What it has while it rests may have come from another.
        if !self.history.is_on(self.now()) {
            self.history.forget();
        }
    }

    /// Whether it serves the right chain. Returns whether it was taken to serve the right one before.
    pub(super) fn says_chain(&self, is_right: bool) -> bool {
        let was_refused = self.is_refused.swap(!is_right, Ordering::Relaxed);
        if !is_right {
            self.head.store(NO_HEAD, Ordering::Relaxed);
            self.whole.begin(self.now(), WRONG_CHAIN_REST);
            self.signal.changed.notify_waiters();
        } else if was_refused {
            self.recovered();
        }
        !was_refused
    }

    /// It wants fewer requests, as it says by this error, and is left alone. Where there are other endpoints, pauses in a row
    /// grow, because a used-up quota looks like a rate limit. Returns whether it is not to be followed meanwhile, and was before.
    pub(super) fn pause(&self, error: &RequestError, has_others: bool) -> bool {
        self.said(error);
        let is_paused = self.paused_until().is_some();
        let time = match error.retry_after() {
            Some(asked) => asked.min(RETRY_AFTER_MAX),
            // Requests that were in flight together are one reason for a pause.
            None if is_paused => return false,
            None if has_others => {
                let pauses = self.pauses.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                wait(PAUSE, RETRY_AFTER_MAX, pauses).max(PAUSE)
            }
            None => PAUSE,
        };
        let now = self.now();
        self.paused_until
            .fetch_max(now.saturating_add(ms(time)), Ordering::Relaxed);
        if !has_others || time <= PAUSE || self.following.over().is_some() {
            return false;
        }
        self.following.begin(now, time);
        self.signal.changed.notify_waiters();
        true
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

    /// Whether this rest, which a probe ends where there are probes, goes on.
    fn goes_on(&self, rest: &Rest) -> bool {
        rest.over()
            .is_some_and(|over| self.signal.is_tended.load(Ordering::Relaxed) || self.now() < over)
    }

    fn notify_if(&self, has_changed: bool) {
        if has_changed {
            self.signal.changed.notify_waiters();
        }
    }

    /// In milliseconds since the epoch, the first of which is 1.
    fn now(&self) -> u64 {
        ms(self.epoch.elapsed()).saturating_add(1)
    }

    fn at(&self, ms: u64) -> Instant {
        self.epoch + Duration::from_millis(ms.saturating_sub(1))
    }

    fn said(&self, error: &RequestError) {
        *self.failure() = Some(error.clone());
    }

    fn failure(&self) -> MutexGuard<'_, Option<RequestError>> {
        self.last_failure.lock()
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
