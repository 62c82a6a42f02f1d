//! The state of an endpoint, for reports.

use nexum_core::Reason;
use nexum_core::source::EndpointState;
use tokio::time::Instant;

use super::{Health, Ordering, Rest};
use crate::wall;

/// The reasons of an endpoint's states, in words. Only failures write them.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    pub(super) whole: String,
    pub(super) following: String,
    pub(super) paused: String,
    pub(super) behind: String,
}

impl Health {
    /// The endpoint's use. `in_use_since` is the time since which the endpoint is in use.
    pub(crate) fn state(&self, in_use_since: Option<Instant>) -> EndpointState {
        if self.is_refused.load(Ordering::Relaxed) {
            return EndpointState::WrongChain {
                until_ms: self.wall(self.whole.over().unwrap_or_default()),
                reason: self.reason(self.whole.since(), |reasons| &reasons.whole),
            };
        }
        if self.is_down() {
            return self.rested(&self.whole, |reasons| &reasons.whole);
        }
        if let Some(until) = self.paused_until() {
            return EndpointState::Paused {
                until_ms: wall::ms(until),
                reason: self.reason(load(&self.paused_since), |reasons| &reasons.paused),
            };
        }
        if self.goes_on(&self.following) {
            return self.rested(&self.following, |reasons| &reasons.following);
        }
        if self.is_behind.load(Ordering::Relaxed) {
            return EndpointState::Behind {
                reason: self.reason(load(&self.behind_since), |reasons| &reasons.behind),
            };
        }
        match (load(&self.works_since), in_use_since) {
            (None, _) => EndpointState::Untested,
            (Some(_), Some(since)) => EndpointState::InUse {
                since_ms: wall::ms(since),
            },
            (Some(since), None) => EndpointState::Standby {
                since_ms: self.wall(since),
            },
        }
    }

    /// Whether the endpoint cannot be used: it serves another chain, or it failed and has not
    /// answered since.
    pub(crate) fn is_down(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
            || self.goes_on(&self.whole)
            || (self.whole.failures() > 0 && load(&self.works_since).is_none())
    }

    /// The time since which the endpoint cannot be used.
    pub(crate) fn down_since(&self) -> Option<Instant> {
        let since = self.whole.since().map(|since| self.at(since));
        since.filter(|_| self.is_down())
    }

    /// Why the endpoint cannot be used.
    pub(crate) fn down_because(&self) -> String {
        self.reasons.lock().whole.clone()
    }

    /// The time since which the endpoint works. None if it does not, or was never used.
    pub(crate) fn works_since(&self) -> Option<Instant> {
        load(&self.works_since).map(|since| self.at(since))
    }

    fn rested(&self, rest: &Rest, reason: fn(&Reasons) -> &String) -> EndpointState {
        EndpointState::Rested {
            until_ms: self.wall(rest.over().unwrap_or_default()),
            reason: self.reason(rest.since(), reason),
        }
    }

    fn reason(&self, since: Option<u64>, text: fn(&Reasons) -> &String) -> Reason {
        Reason {
            text: text(&self.reasons.lock()).as_str().into(),
            since_ms: self.wall(since.unwrap_or_else(|| self.now())),
        }
    }

    fn wall(&self, ms: u64) -> u64 {
        wall::ms(self.at(ms))
    }
}

fn load(time: &super::AtomicU64) -> Option<u64> {
    Some(time.load(Ordering::Relaxed)).filter(|time| *time > 0)
}
