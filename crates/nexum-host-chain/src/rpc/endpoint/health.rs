//! The health of an endpoint.

mod state;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use nexum_config::backoff::wait;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use self::state::Reasons;
use super::RpcRequest;
use super::refused::Refused;
use super::rest::{REST_MAX, Rest};
use crate::error::RequestError;
use crate::redact::printable;
use crate::wall::millis as ms;

/// The least rest of an endpoint that the source found at fault: the usual cause, such as a node
/// that is syncing, lasts longer than a lost connection.
const FAULT_REST_MIN: Duration = Duration::from_secs(10);

/// The rest of an endpoint that serves another chain: the operator must correct the configuration.
const WRONG_CHAIN_REST: Duration = Duration::from_secs(60);

/// The pause of an endpoint that requests a lower rate without a time: providers count requests per
/// second. A longer pause is a reason to follow another endpoint.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause of an endpoint. Endpoints request longer ones when a day's quota is used up,
/// but an operator that buys more should not have to wait.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// No head is known.
const NO_HEAD: u64 = u64::MAX;

/// The state that the endpoints of a chain share: the notification of changes in health, and
/// whether rested endpoints are probed.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// Notified when an endpoint becomes better or worse.
    pub(crate) changed: Notify,
    /// Whether a task probes rested endpoints. Without it, requests try an endpoint again after its
    /// rest.
    pub(crate) is_tended: AtomicBool,
}

/// The health of an endpoint. A successful request locks nothing in it.
#[derive(Debug)]
pub(crate) struct Health {
    signal: Arc<Signal>,
    /// The time to which all times are relative.
    epoch: Instant,
    /// The rest of the whole endpoint.
    whole: Rest,
    /// The rest from following the chain. Modules' requests still go to the endpoint.
    following: Rest,
    /// The method in which following failed last, for the probe.
    suspect: Mutex<Option<&'static str>>,
    /// The rest from reading history.
    history: Rest,
    /// The rests from single methods of modules' reads.
    refused: Refused,
    /// The end of the pause in which the endpoint receives no requests, in milliseconds.
    paused_until: AtomicU64,
    /// The pauses in a row.
    pauses: AtomicU32,
    /// Whether the endpoint's last chain id was wrong.
    is_refused: AtomicBool,
    /// The newest block that the endpoint is known to have.
    head: AtomicU64,
    /// Whether the endpoint's last known head was too far behind the others.
    is_behind: AtomicBool,
    /// The number of the endpoint's answers.
    answers: AtomicU64,
    last_failure: Mutex<Option<RequestError>>,
    /// The time of the first answer, or of the first one after a failure. 0 while the endpoint does
    /// not work.
    works_since: AtomicU64,
    /// The beginnings of the last pauses in a row, and of the time for which the endpoint is behind.
    paused_since: AtomicU64,
    behind_since: AtomicU64,
    reasons: Mutex<Reasons>,
}

/// How well an endpoint suits a use. The least value is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fitness {
    is_refused: bool,
    is_resting: bool,
    /// Whether the endpoint rests from this use.
    is_unfit: bool,
    is_behind: bool,
}

impl Fitness {
    /// Whether the endpoint is unrestricted.
    pub(crate) fn is_good(self) -> bool {
        self.is_usable() && !self.is_unfit
    }

    /// As [`Self::is_good`], but the endpoint may rest from this use.
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
            works_since: AtomicU64::new(0),
            paused_since: AtomicU64::new(0),
            behind_since: AtomicU64::new(0),
            reasons: Mutex::default(),
        }
    }

    /// The fitness for following the chain.
    pub(crate) fn standing_to_follow(&self) -> Fitness {
        self.standing(self.goes_on(&self.following))
    }

    /// The fitness for reading history. An endpoint that refused may still be the only one that can
    /// answer.
    pub(crate) fn standing_for_history(&self) -> Fitness {
        self.standing(self.history.is_on(self.now()))
    }

    /// The fitness for modules' requests.
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

    /// The last failure for which the endpoint was at fault.
    pub(crate) fn last_failure(&self) -> Option<RequestError> {
        self.failure().clone()
    }

    /// The end of the pause that the endpoint requested, if it is paused.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        let until = self.paused_until.load(Ordering::Relaxed);
        (until > self.now()).then(|| self.at(until))
    }

    /// Shortens the rests to this time from now at most. A pause that the endpoint requested goes on.
    pub(crate) fn rest_at_most(&self, time: Duration) {
        if self.paused_until().is_none() {
            let until = self.now().saturating_add(ms(time));
            self.whole.end_by(until);
            self.following.end_by(until);
        }
    }

    /// The time of the next probe, if the endpoint rests, as a whole or from following.
    pub(crate) fn rest_over(&self) -> Option<Instant> {
        let over = self.whole.over().max(self.following.over());
        over.map(|over| self.at(over))
    }

    /// The method in which following failed last, unless following has worked for long enough
    /// since.
    pub(crate) fn suspect(&self) -> Option<&'static str> {
        *self.suspect.lock()
    }

    pub(crate) fn head(&self) -> Option<u64> {
        Some(self.head.load(Ordering::Relaxed)).filter(|head| *head != NO_HEAD)
    }

    /// Records any answer.
    pub(super) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        if self.whole.failures() == 0 {
            return self.works();
        }
        match self.whole.over() {
            None => {
                self.whole.forget();
                self.works();
            }
            // An answer to an earlier request does not end a rest. If a task probes, only the probe
            // ends it.
            Some(_) if self.goes_on(&self.whole) => {}
            Some(_) => self.recovered(),
        }
    }

    /// Records a result. Returns whether the log must report that the endpoint answers the method
    /// again.
    pub(super) fn did(&self, method: &str) -> bool {
        if self.pauses.load(Ordering::Relaxed) > 0 && self.paused_until().is_none() {
            self.pauses.store(0, Ordering::Relaxed);
        }
        self.refused.did(method, self.now())
    }

    /// Records that the endpoint appears to refuse a method: modules' requests for it go elsewhere
    /// for a while. Returns whether to log a warning.
    pub(super) fn refused(&self, method: &str) -> bool {
        self.refused.refused(method, self.now())
    }

    /// Ends the rests. Failures stay counted until a request succeeds, so that an endpoint that
    /// only passes probes rests longer each time.
    pub(crate) fn recovered(&self) {
        self.works();
        let (whole, following) = (self.whole.end(), self.following.end());
        if whole || following {
            self.signal.changed.notify_waiters();
        }
    }

    /// Records a failure. Failures during a rest do not count, such as all requests in flight when
    /// a node stopped. Returns whether this is the first failure after a success.
    pub(crate) fn failed(&self, error: &RequestError) -> bool {
        self.said(error);
        let failures = self.whole.failed(self.now(), Duration::ZERO);
        if failures.is_some() {
            self.is_down_because(error);
        }
        self.notify_if(failures.is_some());
        failures == Some(1)
    }

    /// Records a failed probe, which extends the rest.
    pub(crate) fn not_back(&self, error: &RequestError) {
        self.said(error);
        let rest = match self.whole.over() {
            Some(_) => {
                self.is_down_because(error);
                &self.whole
            }
            None => {
                self.reasons.lock().following = printable(&error.to_string());
                &self.following
            }
        };
        rest.failed(self.now(), Duration::ZERO);
    }

    /// Records that the source found the endpoint at fault. Returns false during a rest: several
    /// requests that were sent together count once.
    pub(crate) fn found_at_fault(&self, why: &str) -> bool {
        let failures = self.whole.failed(self.now(), FAULT_REST_MIN);
        if failures.is_some() {
            self.is_down_because(&why);
            self.head.store(NO_HEAD, Ordering::Relaxed);
        }
        self.notify_if(failures.is_some());
        failures.is_some()
    }

    /// Records that the chain cannot be followed over the endpoint, because of this method if one
    /// failed. Returns the number of such failures in a row. None during a rest.
    pub(crate) fn cannot_be_followed(&self, method: Option<&'static str>, error: &dyn fmt::Display) -> Option<u32> {
        self.suspects(method);
        let failures = self.following.failed(self.now(), Duration::ZERO);
        if failures.is_some() {
            self.reasons.lock().following = printable(&error.to_string());
        }
        self.notify_if(failures.is_some());
        failures
    }

    /// Records the method in which following failed, for the probe.
    pub(crate) fn suspects(&self, method: Option<&'static str>) {
        if method.is_some() {
            *self.suspect.lock() = method;
        }
    }

    /// Records that following over the endpoint works.
    pub(crate) fn is_followed(&self) {
        if self.following.has_been_well_for(self.now(), REST_MAX) {
            self.following.forget();
            *self.suspect.lock() = None;
        }
    }

    /// Records that the endpoint lacks history that another endpoint has: it is asked after the
    /// others for a while.
    pub(crate) fn lacks_history(&self) {
        self.history.failed(self.now(), Duration::ZERO);
    }

    /// Records that the endpoint answered a request for history.
    pub(crate) fn has_history(&self) {
        // During the rest, another endpoint may have answered.
        if !self.history.is_on(self.now()) {
            self.history.forget();
        }
    }

    /// Records whether the endpoint serves the right chain: `wrong` is the error if it does not.
    /// Returns whether it counted as right before.
    pub(super) fn says_chain(&self, wrong: Option<&RequestError>) -> bool {
        let was_refused = self.is_refused.swap(wrong.is_some(), Ordering::Relaxed);
        match wrong {
            Some(error) => {
                self.head.store(NO_HEAD, Ordering::Relaxed);
                self.whole.begin(self.now(), WRONG_CHAIN_REST);
                self.is_down_because(error);
                self.signal.changed.notify_waiters();
            }
            None if was_refused => self.recovered(),
            None if self.whole.failures() == 0 => self.works(),
            None => {}
        }
        !was_refused
    }

    /// Pauses the endpoint, because this error requests a lower rate. If there are other endpoints,
    /// pauses in a row grow, because a used-up quota looks like a rate limit. Returns whether the
    /// pause newly prevents following.
    pub(super) fn pause(&self, error: &RequestError, has_others: bool) -> bool {
        self.said(error);
        let is_paused = self.paused_until().is_some();
        let time = match error.retry_after() {
            Some(asked) => asked.min(RETRY_AFTER_MAX),
            // Requests that were in flight together cause one pause.
            None if is_paused => return false,
            None if has_others => {
                let pauses = self.pauses.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                wait(PAUSE, RETRY_AFTER_MAX, pauses).max(PAUSE)
            }
            None => PAUSE,
        };
        let now = self.now();
        let text = printable(&error.to_string());
        self.reasons.lock().paused.clone_from(&text);
        if !is_paused {
            self.paused_since.store(now, Ordering::Relaxed);
        }
        self.paused_until
            .fetch_max(now.saturating_add(ms(time)), Ordering::Relaxed);
        if !has_others || time <= PAUSE || self.following.over().is_some() {
            return false;
        }
        self.following.begin(now, time);
        self.reasons.lock().following = text;
        self.signal.changed.notify_waiters();
        true
    }

    /// Records the endpoint's head.
    pub(crate) fn saw_head(&self, number: u64) {
        self.head.store(number, Ordering::Relaxed);
    }

    /// Records whether the endpoint is too far behind the others, with the reason.
    pub(crate) fn set_behind(&self, reason: Option<String>) {
        let is_behind = reason.is_some();
        self.reasons.lock().behind = reason.unwrap_or_default();
        if self.is_behind.swap(is_behind, Ordering::Relaxed) != is_behind {
            self.behind_since.store(self.now(), Ordering::Relaxed);
            self.signal.changed.notify_waiters();
        }
    }

    /// Records that the endpoint works.
    fn works(&self) {
        if self.works_since.load(Ordering::Relaxed) == 0 {
            self.works_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Records why the endpoint does not work.
    fn is_down_because(&self, why: &dyn fmt::Display) {
        self.works_since.store(0, Ordering::Relaxed);
        self.reasons.lock().whole = printable(&why.to_string());
    }

    /// Whether this rest continues. If a task probes, only the probe ends it.
    fn goes_on(&self, rest: &Rest) -> bool {
        rest.over()
            .is_some_and(|over| self.signal.is_tended.load(Ordering::Relaxed) || self.now() < over)
    }

    fn notify_if(&self, has_changed: bool) {
        if has_changed {
            self.signal.changed.notify_waiters();
        }
    }

    /// Milliseconds since the epoch. The first is 1.
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
