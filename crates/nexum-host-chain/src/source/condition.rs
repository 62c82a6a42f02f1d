//! The state of following a chain, for reports.

use std::fmt;
use std::time::Duration;

use nexum_core::source::{Advance, Event, FollowingReport, HeadReport, Trouble};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{AtEndpoint, FollowError};
use crate::redact::printable;
use crate::rpc::endpoints::Down;
use crate::wall;

/// The time for which a chain must fail before the failure is trouble: nexum retries a lost
/// connection five times within it, so an endpoint that reconnects is no trouble, and an operator
/// learns of an outage within seconds.
const TROUBLE_AFTER: Duration = Duration::from_secs(3);

/// The most endpoints whose failures the text of a trouble names: more than most chains have.
const FAILURES_NAMED_MAX: usize = 4;

/// How following a chain goes. The readers of a chain share it.
#[derive(Debug, Default)]
pub(super) struct Condition(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    head: Option<HeadReport>,
    followed: Option<Followed>,
    /// The label of the last followed endpoint.
    last_followed: Option<String>,
    failovers: u64,
    /// The time of the last appended block.
    appended: Option<Instant>,
    /// The failures since the chain was followed, or since the last appended block.
    failing: Option<Failing>,
    /// Why the chain does not advance although an endpoint answers, and since when.
    stalled: Option<(String, Instant)>,
    /// Every head has been far below the log's.
    below: Option<Below>,
    /// An attempt has reached no endpoint. So the failure of all endpoints is trouble at once, until one works.
    is_unreachable: bool,
    /// Why nexum follows the chain no longer, and since when.
    lost: Option<(String, Instant)>,
    /// The begin of the trouble that the last look found, in milliseconds since the Unix epoch. The
    /// reason of a trouble can change, and the begin does not.
    troubled_since_ms: Option<u64>,
}

/// The endpoint over which nexum follows the chain.
#[derive(Clone, Debug)]
pub(super) struct Followed {
    pub(super) endpoint: String,
    pub(super) since: Instant,
    is_pushed: bool,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    /// The time of the next attempt to follow.
    next_try: Instant,
    last: Failed,
}

/// A failed attempt to follow.
#[derive(Debug)]
struct Failed {
    endpoint: String,
    error: String,
}

#[derive(Debug)]
struct Below {
    since: Instant,
    /// The time from which this is trouble.
    trouble_from: Instant,
    last: Failed,
}

impl Followed {
    pub(super) fn report(&self) -> FollowingReport {
        FollowingReport {
            endpoint: self.endpoint.clone(),
            since_ms: wall::ms(self.since),
            is_pushed: self.is_pushed,
        }
    }
}

impl Condition {
    pub(super) fn head(&self) -> Option<HeadReport> {
        self.0.lock().head
    }

    pub(super) fn followed(&self) -> Option<Followed> {
        self.0.lock().followed.clone()
    }

    /// The changes of the followed endpoint.
    pub(super) fn failovers(&self) -> u64 {
        self.0.lock().failovers
    }

    /// Records a block of the chain, which ends a failure.
    pub(super) fn appended(&self, block: &Advance) {
        let now = Instant::now();
        let mut state = self.0.lock();
        state.failing = None;
        state.appended = Some(now);
        let Some(Event::Block(event)) = block.block_event() else {
            return;
        };
        state.head = Some(HeadReport {
            number: block.position.number,
            hash: block.position.hash,
            timestamp_ms: event.timestamp,
            seen_ms: wall::ms(now),
        });
    }

    /// Records that the log is at the head of this endpoint. Returns whether nexum followed another
    /// endpoint before.
    pub(super) fn follows(&self, endpoint: &str, is_pushed: bool) -> bool {
        let mut state = self.0.lock();
        state.failing = None;
        state.followed = Some(Followed {
            endpoint: endpoint.to_owned(),
            since: Instant::now(),
            is_pushed,
        });
        let before = state.last_followed.replace(endpoint.to_owned());
        let is_failover = before.is_some_and(|before| before != endpoint);
        state.failovers += u64::from(is_failover);
        is_failover
    }

    /// Records that an attempt to follow, which began at `began`, has failed, and that the next one
    /// begins at `next_try`.
    pub(super) fn failed(&self, endpoint: &str, error: &FollowError, began: Instant, next_try: Instant) {
        let mut state = self.0.lock();
        let since = match (&state.failing, &state.followed) {
            (Some(failing), _) => failing.since,
            (None, Some(_)) => Instant::now(),
            // The attempt may have read blocks for hours.
            (None, None) => state.appended.map_or(began, |appended| appended.max(began)),
        };
        state.followed = None;
        if error.is_stall() {
            return;
        }
        state.failing = Some(Failing {
            since,
            next_try,
            last: Failed::new(endpoint, error),
        });
    }

    /// Records that an attempt has reached no endpoint of the chain.
    pub(super) fn unreachable(&self) {
        self.0.lock().is_unreachable = true;
    }

    /// Records that endpoints with these labels have taken the place of the earlier ones. The trouble of the chain goes
    /// on until it advances over one of them, and names no endpoint that is gone.
    pub(super) fn replaced(&self, labels: &[&str]) {
        let mut state = self.0.lock();
        state.followed = None;
        let State { failing, below, .. } = &mut *state;
        let failing = failing.iter_mut().map(|failing| &mut failing.last);
        let last = failing.chain(below.iter_mut().map(|below| &mut below.last));
        for gone in last.filter(|last| !labels.contains(&&*last.endpoint)) {
            *gone = Failed {
                endpoint: labels.join(", "),
                error: "no block since the endpoints have changed".to_owned(),
            };
        }
    }

    /// Records that the chain has not advanced for this time although an endpoint answers.
    pub(super) fn stalled(&self, error: &FollowError, time: Duration) {
        let now = Instant::now();
        let since = now.checked_sub(time).unwrap_or(now);
        let mut state = self.0.lock();
        let since = state.stalled.take().map_or(since, |(_, since)| since);
        state.stalled = Some((error.to_string(), since));
    }

    /// Records that the head of this endpoint, which works, is far below the log's. That is trouble
    /// after this time.
    pub(super) fn below(&self, endpoint: &str, error: &FollowError, after: Duration) {
        let now = Instant::now();
        let mut state = self.0.lock();
        (state.failing, state.followed) = (None, None);
        let last = Failed::new(endpoint, error);
        match &mut state.below {
            Some(below) => below.last = last,
            below => {
                *below = Some(Below {
                    since: now,
                    trouble_from: now + after,
                    last,
                });
            }
        }
    }

    /// Records that the head of an endpoint is not far below the log's.
    pub(super) fn is_not_below(&self) {
        self.0.lock().below = None;
    }

    /// Records that the log is at the head again.
    pub(super) fn advances(&self) {
        self.0.lock().stalled = None;
    }

    /// Records a failure after which nexum follows the chain no longer.
    pub(super) fn lost(&self, AtEndpoint { endpoint, error }: &AtEndpoint) {
        let mut state = self.0.lock();
        state.followed = None;
        state.lost = Some((format!("{endpoint}: {error}"), Instant::now()));
    }

    /// Looks at the chain: the reason why it does not advance.
    pub(super) fn trouble(&self, down: &Down, now: Instant) -> Option<Trouble> {
        let mut state = self.0.lock();
        state.is_unreachable &= down.is_whole();
        let found = state.trouble(down, now);
        let since_ms = found.as_ref().map(|(_, since)| wall::ms(*since));
        let since_ms = state.troubled_since_ms.filter(|_| found.is_some()).or(since_ms);
        state.troubled_since_ms = since_ms;
        let failing = state.failing.as_ref().map(|failing| failing.next_try);
        let next_try = failing.into_iter().chain(down.next_try);
        let next_try = next_try.filter(|at| *at > now && state.lost.is_none()).min();
        let (text, _) = found?;
        Some(Trouble {
            text: text.into(),
            since_ms: since_ms?,
            next_try_ms: next_try.map(wall::ms),
        })
    }
}

impl State {
    /// The reason why the chain does not advance, and the time since which it holds.
    fn trouble(&self, down: &Down, now: Instant) -> Option<(String, Instant)> {
        let is_trouble = |since: Instant| now.saturating_duration_since(since) >= TROUBLE_AFTER;
        if self.lost.is_some() {
            return self.lost.clone();
        }
        if let Some(failing) = self.failing.as_ref().filter(|failing| is_trouble(failing.since)) {
            let text = match down.is_whole() {
                true => down.to_string(),
                false => format!(
                    "cannot be followed: {} of {} endpoints down: {}",
                    down.count, down.all, failing.last
                ),
            };
            return Some((text, failing.since));
        }
        if self.stalled.is_some() {
            return self.stalled.clone();
        }
        if let Some(below) = self.below.as_ref().filter(|below| now >= below.trouble_from) {
            return Some((below.last.to_string(), below.since));
        }
        // An endpoint that is followed works, also while it rests.
        let since = down
            .since
            .filter(|since| self.followed.is_none() && (self.is_unreachable || is_trouble(*since)))?;
        Some((down.to_string(), since))
    }
}

impl Failed {
    fn new(endpoint: &str, error: &FollowError) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            error: printable(&error.to_string()),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.endpoint, self.error)
    }
}

/// For example `2 of 2 endpoints down: ws://one:8545: connection refused; ws://two:8545: no answer`.
impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count, all, failures, ..
        } = self;
        write!(f, "{count} of {all} endpoints down")?;
        for (index, (endpoint, error)) in failures.iter().take(FAILURES_NAMED_MAX).enumerate() {
            let separator = if index == 0 { ": " } else { "; " };
            write!(f, "{separator}{endpoint}: {error}")?;
        }
        match failures.len().saturating_sub(FAILURES_NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::RequestError;

    fn unreachable() -> FollowError {
        FollowError::asked("eth_getBlockByNumber")(RequestError::Unreachable {
            cause: Some(std::io::ErrorKind::ConnectionRefused),
        })
    }

    fn down(count: usize) -> Down {
        let failure = |label: &str| (format!("http://{label}:8545"), "connection refused".to_owned());
        Down {
            count,
            all: 2,
            since: None,
            failures: ["one", "two"].into_iter().take(count).map(failure).collect(),
            next_try: None,
        }
    }

    #[test]
    fn a_chain_whose_endpoints_are_down_is_in_trouble_after_seconds_and_since_the_first_failure() {
        let condition = Condition::default();
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let since_ms = wall::ms(began);
        let look = |count, seconds| {
            let trouble = condition.trouble(&down(count), after(seconds))?;
            assert!(trouble.since_ms.abs_diff(since_ms) < 1_000, "{trouble:?}");
            Some((trouble.text.to_string(), trouble.since_ms, trouble.next_try_ms))
        };
        assert_eq!(look(2, 60), None);
        condition.failed("http://one:8545", &unreachable(), began, after(1));
        condition.failed("http://two:8545", &unreachable(), after(1), after(9));
        assert_eq!(look(2, 2), None);
        let whole = "2 of 2 endpoints down: http://one:8545: connection refused; http://two:8545: connection refused";
        let (text, first_ms, next_try_ms) = look(2, 3).unwrap();
        assert_eq!(text, whole);
        assert!(next_try_ms.unwrap().abs_diff(since_ms + 9_000) < 1_000);
        // The next attempt is under way. The begin is the same moment in every answer.
        assert_eq!(look(2, 64), Some((whole.to_owned(), first_ms, None)));
        let expected = "cannot be followed: 1 of 2 endpoints down: http://two:8545: eth_getBlockByNumber: \
                        the endpoint cannot be reached: connection refused";
        assert_eq!(look(1, 64), Some((expected.to_owned(), first_ms, None)));
        assert!(!condition.follows("http://one:8545", false));
        assert_eq!(look(2, 65), None);
    }

    #[test]
    fn endpoints_that_an_attempt_has_not_reached_are_trouble_at_once_until_one_works() {
        let condition = Condition::default();
        let began = Instant::now();
        let look = |count, seconds: u64| {
            let mut down = down(count);
            down.since = (count == down.all).then_some(began);
            let trouble = condition.trouble(&down, began + Duration::from_secs(seconds))?;
            Some(trouble.text.to_string())
        };
        assert_eq!(look(2, 0), None);
        condition.unreachable();
        let whole = "2 of 2 endpoints down: http://one:8545: connection refused; http://two:8545: connection refused";
        assert_eq!(look(2, 0).as_deref(), Some(whole));
        assert_eq!(look(1, 1), None);
        assert_eq!((look(2, 2), look(2, 3).as_deref()), (None, Some(whole)));
    }

    #[test]
    fn a_trouble_goes_on_and_names_no_endpoint_that_is_gone() {
        let condition = Condition::default();
        let began = Instant::now();
        let text = |seconds| {
            let trouble = condition.trouble(&down(0), began + Duration::from_secs(seconds));
            trouble.unwrap().text.to_string()
        };
        condition.failed("http://old:8545", &unreachable(), began, began);
        assert!(
            text(3).contains(": http://old:8545: eth_getBlockByNumber: "),
            "{}",
            text(3)
        );
        condition.replaced(&["http://old:8545", "http://new:8545"]);
        assert!(
            text(4).contains(": http://old:8545: eth_getBlockByNumber: "),
            "{}",
            text(4)
        );
        condition.replaced(&["http://new:8545"]);
        let expected =
            "cannot be followed: 0 of 2 endpoints down: http://new:8545: no block since the endpoints have changed";
        assert_eq!(text(5), expected);
        assert!(!condition.follows("http://new:8545", false));
        assert_eq!(condition.trouble(&down(0), began + Duration::from_secs(6)), None);
    }

    #[test]
    fn a_trouble_names_some_endpoints_and_counts_the_others() {
        let mut down = down(2);
        let more = (0..5).map(|number| (format!("ws://{number}"), "no answer".to_owned()));
        down.failures.extend(more);
        let text = down.to_string();
        assert!(
            text.ends_with("; ws://0: no answer; ws://1: no answer; and 3 more"),
            "{text}"
        );
    }

    #[test]
    fn a_change_of_the_followed_endpoint_is_a_failover_and_a_reconnect_is_none() {
        let condition = Condition::default();
        let follows = ["one", "one", "two", "one"].map(|endpoint| condition.follows(endpoint, true));
        assert_eq!(follows, [false, false, true, true]);
        assert_eq!(condition.failovers(), 2);
    }
}
