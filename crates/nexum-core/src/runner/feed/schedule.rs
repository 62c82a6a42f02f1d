//! A runner's position in a schedule.

use std::sync::Arc;

use nexum_config::manifest::{CronSubscription, Missed};
use nexum_config::topic::Topic;

use super::Next;
use crate::clock::Clock;
use crate::state::{Cursor, Progress};

/// Reads a schedule by the clock.
///
/// Each time of the schedule is one event. The events come in order, and wait until the module
/// handles them. The subscription decides about times at which the module was dead or stopped.
#[derive(Debug)]
pub(in crate::runner) struct ScheduleFeed {
    wanted: CronSubscription,
    clock: Arc<dyn Clock>,
    live_from: u64,
    /// The module was off until this time, in milliseconds since the Unix epoch.
    off_until: u64,
    /// The time of the last event, which is not a missed one.
    in_hand: Option<u64>,
    due: Option<u64>,
}

impl ScheduleFeed {
    /// Creates a feed for a module that was off until now.
    pub(super) fn new(wanted: CronSubscription, cursor: Option<Cursor>, clock: Arc<dyn Clock>) -> Self {
        let now = clock.now_ms();
        Self {
            wanted,
            live_from: cursor.map_or(now, |cursor| cursor.live_from),
            off_until: now,
            in_hand: None,
            due: None,
            clock,
        }
    }

    pub(super) fn topic(&self) -> Topic {
        Topic::Schedule(self.wanted.schedule.id())
    }

    pub(super) fn serves(&self, wanted: &CronSubscription) -> bool {
        self.wanted == *wanted
    }

    pub(super) fn live_from(&self) -> u64 {
        self.live_from
    }

    pub(super) fn was_off(&mut self) {
        self.off_until = self.clock.now_ms();
    }

    /// Makes reverted times due again, however old they are.
    pub(super) fn rewind(&mut self, cursor: Option<Cursor>) {
        let last = cursor.and_then(|cursor| cursor.last);
        let to = last.map_or(self.live_from, |last| last.position.number);
        self.off_until = self.off_until.min(to);
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        self.due
    }

    pub(super) fn next(&mut self, last: Option<Progress>) -> Next {
        let schedule = &self.wanted.schedule;
        let after = last.map_or(self.live_from, |last| last.position.number);
        let mut next = schedule.next_after(after);
        let is_missed = |time: u64| time <= self.off_until && self.in_hand != Some(time);
        if next.is_some_and(is_missed) {
            next = match self.wanted.missed {
                Missed::Skip => schedule.next_after(self.off_until),
                Missed::Once => schedule.last_until(self.off_until),
            };
        }
        self.due = next;
        match next {
            Some(time) if time <= self.clock.now_ms() => {
                self.in_hand = Some(time);
                Next::Tick(time)
            }
            _ => Next::Pending,
        }
    }
}
