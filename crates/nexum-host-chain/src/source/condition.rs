//! The state of following a chain, for reports.

use std::time::Duration;

use nexum_core::source::{Advance, Event, FollowingReport, HeadReport};
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
    /// Why nexum follows the chain no longer, and since when.
    lost: Option<(String, Instant)>,
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
    endpoint: String,
    error: String,
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

    /// Records that an attempt to follow, which began at this time, has failed.
    pub(super) fn failed(&self, endpoint: &str, error: &FollowError, began: Instant) {
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
            endpoint: endpoint.to_owned(),
            error: printable(&error.to_string()),
        });
    }

    /// Records that other endpoints may have taken the place of the followed one.
    pub(super) fn unfollowed(&self) {
        self.0.lock().followed = None;
    }

    /// Records that the chain has not advanced for this time although an endpoint answers.
    pub(super) fn stalled(&self, error: &FollowError, time: Duration) {
        let now = Instant::now();
        let since = now.checked_sub(time).unwrap_or(now);
        let mut state = self.0.lock();
        let since = state.stalled.take().map_or(since, |(_, since)| since);
        state.stalled = Some((error.to_string(), since));
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

    /// The reason why the chain does not advance, and the time since which it does not.
    pub(super) fn trouble(&self, down: &Down, now: Instant) -> Option<(String, Instant)> {
        let is_trouble = |since: Instant| now.saturating_duration_since(since) >= TROUBLE_AFTER;
        let seconds = |since: Instant| now.saturating_duration_since(since).as_secs();
        let state = self.0.lock();
        if state.lost.is_some() {
            return state.lost.clone();
        }
        let Down { count, all, .. } = down;
        if let Some(failing) = state.failing.as_ref().filter(|failing| is_trouble(failing.since)) {
            let Failing { since, endpoint, error } = failing;
            let seconds = seconds(*since);
            let text = match &down.last_error {
                Some((endpoint, error)) if down.is_whole() => {
                    format!("{count} of {all} endpoints down, {seconds} s: {endpoint}: {error}")
                }
                _ => format!("cannot be followed, {seconds} s: {count} of {all} endpoints down: {endpoint}: {error}"),
            };
            return Some((text, *since));
        }
        if state.stalled.is_some() {
            return state.stalled.clone();
        }
        // An endpoint that is followed works, also while it rests.
        let since = down
            .since
            .filter(|since| state.followed.is_none() && is_trouble(*since))?;
        let seconds = seconds(since);
        let (endpoint, error) = down.last_error.clone()?;
        let text = format!("{count} of {all} endpoints down, {seconds} s: {endpoint}: {error}");
        Some((text, since))
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
        Down {
            count,
            all: 2,
            since: None,
            last_error: Some(("http://two:8545".to_owned(), "connection refused".to_owned())),
        }
    }

    #[test]
    fn a_chain_whose_endpoints_are_down_is_in_trouble_after_seconds_and_since_the_first_failure() {
        let condition = Condition::default();
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let text = |count, seconds| {
            let trouble = condition.trouble(&down(count), after(seconds));
            trouble.map(|(text, since)| {
                assert_eq!(since, began);
                text
            })
        };
        assert_eq!(text(2, 60), None);
        condition.failed("http://one:8545", &unreachable(), began);
        condition.failed("http://two:8545", &unreachable(), after(1));
        assert_eq!(text(2, 2), None);
        for seconds in [3, 64] {
            let expected = format!("2 of 2 endpoints down, {seconds} s: http://two:8545: connection refused");
            assert_eq!(text(2, seconds), Some(expected));
        }
        let expected = "cannot be followed, 64 s: 1 of 2 endpoints down: http://two:8545: eth_getBlockByNumber: \
                        the endpoint cannot be reached: connection refused";
        assert_eq!(text(1, 64).as_deref(), Some(expected));
        assert!(!condition.follows("http://one:8545", false));
        assert_eq!(text(2, 65), None);
    }

    #[test]
    fn a_change_of_the_followed_endpoint_is_a_failover_and_a_reconnect_is_none() {
        let condition = Condition::default();
        let follows = ["one", "one", "two", "one"].map(|endpoint| condition.follows(endpoint, true));
        assert_eq!(follows, [false, false, true, true]);
        assert_eq!(condition.failovers(), 2);
    }
}
