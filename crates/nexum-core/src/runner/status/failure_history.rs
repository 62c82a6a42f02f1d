//! The recent failures of a module.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::event::{EventId, Handler};
use crate::module::failure::Failure;

/// The most failures with their texts, each of a little over 2 KB at most: enough to show whether
/// one event fails again and again, or all of them do.
const FAILURES_MAX: usize = 5;

/// The minutes that a count of failures covers.
const MINUTES: usize = 60;

/// A failed handler call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureRecord {
    /// The handler: `init`, or `on-event` with its event.
    pub handler: Handler,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The most attempts. `None` if the operator retried a dead letter, which has no bound.
    pub attempts_max: Option<u32>,
    /// The end of the attempt, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The failure, with the guest's text cut and made harmless. It can have several lines.
    pub text: Arc<str>,
}

impl FailureRecord {
    pub(in crate::runner) fn new(
        handler: Handler,
        failure: &Failure,
        attempt: u32,
        attempts_max: Option<u32>,
        at_ms: u64,
    ) -> Self {
        Self {
            handler,
            attempt,
            attempts_max,
            at_ms,
            text: failure.to_string().into(),
        }
    }

    /// The event. `None` for `init`.
    pub fn event(&self) -> Option<EventId> {
        self.handler.event()
    }
}

/// `attempt 3 of 5 at 31337:12:block failed: TEXT`.
impl fmt::Display for FailureRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {}", self.attempt)?;
        if let Some(most) = self.attempts_max {
            write!(f, " of {most}")?;
        }
        match self.event() {
            Some(event) => write!(f, " at {event} failed: {}", self.text),
            None => write!(f, " at `{}` failed: {}", self.handler, self.text),
        }
    }
}

/// The recent failures of a module, within bounds.
#[derive(Debug)]
pub(super) struct FailureHistory {
    /// Newest first.
    newest: VecDeque<FailureRecord>,
    /// The failures of each minute. The index is the minute modulo [`MINUTES`].
    by_minute: [u32; MINUTES],
    /// The minute of the last look, counted from the begin of the module's clock.
    minute: u64,
}

impl Default for FailureHistory {
    fn default() -> Self {
        Self {
            newest: VecDeque::new(),
            by_minute: [0; MINUTES],
            minute: 0,
        }
    }
}

impl FailureHistory {
    /// Adds a failure. `now` is the time of a clock that never steps back.
    pub(super) fn add(&mut self, record: FailureRecord, now: Duration) {
        let count = self.current(now);
        *count = count.saturating_add(1);
        self.newest.truncate(FAILURES_MAX - 1);
        self.newest.push_front(record);
    }

    /// The newest failures, newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &FailureRecord> {
        self.newest.iter()
    }

    /// The number of failures in the last hour, to the minute.
    pub(super) fn in_last_hour(&mut self, now: Duration) -> u64 {
        self.current(now);
        self.by_minute.iter().map(|count| u64::from(*count)).sum()
    }

    /// The count of the current minute. Clears the counts of the minutes since the last look.
    fn current(&mut self, now: Duration) -> &mut u32 {
        let minute = now.as_secs() / 60;
        let passed = minute.saturating_sub(self.minute).min(MINUTES as u64);
        let index = |minute: u64| (minute % MINUTES as u64) as usize;
        for cleared in 0..passed {
            self.by_minute[index(minute - cleared)] = 0;
        }
        self.minute = self.minute.max(minute);
        &mut self.by_minute[index(self.minute)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(attempt: u32) -> FailureRecord {
        let failure = Failure::Trap("unreachable".to_owned());
        FailureRecord::new(Handler::Init, &failure, attempt, Some(10), u64::from(attempt))
    }

    #[test]
    fn the_last_five_failures_are_kept_newest_first() {
        let mut history = FailureHistory::default();
        (1..=7).for_each(|attempt| history.add(record(attempt), Duration::ZERO));
        let kept: Vec<_> = history.newest().map(|record| record.attempt).collect();
        assert_eq!(kept, [7, 6, 5, 4, 3]);
        let newest = history.newest().next().expect("a failure").to_string();
        assert_eq!(
            newest,
            "attempt 7 of 10 at `init` failed: the guest trapped: unreachable"
        );
    }

    #[test]
    fn failures_count_for_an_hour() {
        let mut history = FailureHistory::default();
        let minute = |minute: u64| Duration::from_secs(minute * 60);
        for at in [0, 0, 1, 30, 59] {
            history.add(record(1), minute(at));
        }
        for (at, expected) in [
            (59, 5),
            (60, 3),
            (61, 2),
            (89, 2),
            (90, 1),
            (118, 1),
            (119, 0),
            (1_000, 0),
        ] {
            assert_eq!(history.in_last_hour(minute(at)), expected, "after {at} minutes");
        }
        history.add(record(1), minute(1_000));
        assert_eq!(history.in_last_hour(minute(1_001)), 1);
    }
}
