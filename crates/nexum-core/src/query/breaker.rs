//! The breaker of a query module: it suspends a module that fails in every call.
//!
//! A breaker opens after as many failed calls in a row as the module's retry policy allows. While it
//! is open, nexum refuses the module's calls, for pauses that grow as the waits between the attempts
//! at an event do. After a pause it lets one call through. The breaker closes if the module answers
//! that call, and otherwise begins the next pause.

use std::time::Duration;

use nexum_config::restart::Restart;

use super::{QueryError, Suspension};
use crate::clock::Clock;
use crate::module::failure::Failure;

/// Decides which calls of a module reach an instance. It holds no lock and reads no clock by itself.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    policy: Restart,
    /// The number of pauses so far. A call that began before the current pause decides nothing.
    round: u64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Closed {
        failures: u32,
    },
    Open(Open),
    /// The module is removed or replaced: its last calls decide nothing.
    Retired,
}

#[derive(Debug)]
struct Open {
    suspension: Suspension,
    failures: u32,
    /// The pauses since the breaker opened, including the current one.
    pauses: u32,
    /// The end of the pause, in the clock's monotonic nanoseconds.
    until_ns: u64,
    /// Whether the call that decides has begun.
    is_trying: bool,
}

/// The permission for one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    round: u64,
    /// Whether the breaker waits for the end of this call.
    pub(super) is_trial: bool,
}

impl Default for Phase {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// The finding about a module from the end of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The module answered, perhaps with an error of its own.
    Works,
    /// The module trapped, exceeded a limit or the size of an answer, or did not start.
    Fails,
    /// The caller left, or the host failed.
    Unknown,
}

/// A change that the operator wants to know about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened(Suspension),
    Closed(Suspension),
}

impl Verdict {
    pub(super) fn of(error: &QueryError) -> Self {
        match error {
            QueryError::Returned(_) => Self::Works,
            QueryError::Start { failure } => match **failure {
                Failure::Store(_) | Failure::Prepare { .. } => Self::Unknown,
                Failure::Returned(_) | Failure::Limit(_) | Failure::Trap(_) | Failure::Effect(_) => Self::Fails,
            },
            QueryError::Limit(_)
            | QueryError::Trapped { .. }
            | QueryError::OutputTooLarge { .. }
            | QueryError::Result { .. } => Self::Fails,
            QueryError::InputTooLarge { .. }
            | QueryError::Overloaded { .. }
            | QueryError::TimedOut { .. }
            | QueryError::Suspended { .. }
            | QueryError::NoEvaluate
            | QueryError::NoFunctions
            | QueryError::NoFunction { .. }
            | QueryError::Arguments(_)
            | QueryError::ReadOnly { .. }
            | QueryError::NotRunning { .. }
            | QueryError::NotBegun { .. }
            | QueryError::Reloaded
            | QueryError::Gone
            | QueryError::Failed { .. } => Self::Unknown,
        }
    }
}

impl Breaker {
    /// A closed breaker. It opens after `max_consecutive_failures` of the policy.
    pub(super) fn new(policy: Restart) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// Lets a call through, or refuses it as [`QueryError::Suspended`]. The caller
    /// [ends](Self::end) each call that it lets through.
    pub(super) fn admit(&mut self, clock: &dyn Clock) -> Result<Pass, QueryError> {
        let is_trial = match &mut self.phase {
            Phase::Closed { .. } | Phase::Retired => false,
            Phase::Open(open) => {
                let left_ns = open.until_ns.saturating_sub(clock.monotonic_ns());
                if left_ns > 0 || open.is_trying {
                    return Err(QueryError::Suspended {
                        suspension: open.suspension.clone(),
                        left: Duration::from_nanos(left_ns),
                    });
                }
                open.is_trying = true;
                true
            }
        };
        Ok(Pass {
            round: self.round,
            is_trial,
        })
    }

    /// Takes the end of a call into account. Calls `last` for the reason of the failure if it is
    /// needed.
    pub(super) fn end(
        &mut self,
        pass: Pass,
        verdict: Verdict,
        clock: &dyn Clock,
        last: impl FnOnce() -> String,
    ) -> Option<Change> {
        if pass.round != self.round {
            return None;
        }
        match (&mut self.phase, verdict) {
            (Phase::Closed { failures }, Verdict::Works) => {
                *failures = 0;
                None
            }
            (Phase::Closed { failures }, Verdict::Fails) => {
                *failures += 1;
                let failures = *failures;
                (failures >= self.policy.max_consecutive_failures).then(|| {
                    let suspension = self.pause(failures, 1, None, clock, &last());
                    Change::Opened(suspension)
                })
            }
            (Phase::Open(open), Verdict::Works) => {
                let suspension = open.suspension.clone();
                self.phase = Phase::Closed { failures: 0 };
                Some(Change::Closed(suspension))
            }
            (Phase::Open(open), Verdict::Fails) => {
                let (failures, pauses) = (open.failures.saturating_add(1), open.pauses.saturating_add(1));
                let since_ms = open.suspension.since_ms;
                self.pause(failures, pauses, Some(since_ms), clock, &last());
                None
            }
            (Phase::Open(open), Verdict::Unknown) => {
                open.is_trying = false;
                None
            }
            (Phase::Closed { .. }, Verdict::Unknown) | (Phase::Retired, _) => None,
        }
    }

    /// Why and until when the module is suspended, if it is.
    pub(super) fn suspension(&self) -> Option<&Suspension> {
        match &self.phase {
            Phase::Open(open) => Some(&open.suspension),
            Phase::Closed { .. } | Phase::Retired => None,
        }
    }

    /// Closes the breaker for good.
    pub(super) fn retire(&mut self) {
        self.phase = Phase::Retired;
    }

    /// Begins a pause.
    fn pause(
        &mut self,
        failures: u32,
        pauses: u32,
        since_ms: Option<u64>,
        clock: &dyn Clock,
        last: &str,
    ) -> Suspension {
        let pause = self.policy.backoff(pauses);
        let (now_ms, now_ns) = (clock.now_ms(), clock.monotonic_ns());
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let pause_ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        let suspension = Suspension {
            reason: format!("{failures} failures in a row; the last: {last}"),
            since_ms: since_ms.unwrap_or(now_ms),
            until_ms: now_ms.saturating_add(pause_ms),
        };
        self.round += 1;
        self.phase = Phase::Open(Open {
            suspension: suspension.clone(),
            failures,
            pauses,
            until_ns: now_ns.saturating_add(pause_ns),
            is_trying: false,
        });
        suspension
    }
}

#[cfg(test)]
mod tests;
