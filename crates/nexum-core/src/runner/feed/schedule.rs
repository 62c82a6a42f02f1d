//! A runner's position in a schedule.

use std::sync::Arc;

use nexum_config::manifest::{CronSubscription, Missed};
use nexum_config::topic::Topic;

use super::Next;
use crate::clock::Clock;
use crate::runner::place::SchedulePlace;
use crate::state::{Cursor, Progress};

/// How far the clock may differ from the time that has passed before it counts as set, in milliseconds. Time servers step it by less.
/// Up to this step no time comes twice, and none is missed.
const CLOCK_STEP_MS: u64 = 600_000;

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
    /// The clock and the monotonic time at the last look, both in milliseconds.
    looked: (u64, u64),
    /// The time to which the clock was set back: times after it come again.
    set_back_to: Option<u64>,
    place: Arc<SchedulePlace>,
}

impl ScheduleFeed {
    /// Creates a feed for a module that was off until now.
    pub(super) fn new(wanted: CronSubscription, cursor: Option<Cursor>, clock: Arc<dyn Clock>) -> Self {
        let now = clock.now_ms();
        let place = SchedulePlace::new(wanted.schedule.id(), &wanted.schedule.to_string());
        Self {
            wanted,
            live_from: cursor.map_or(now, |cursor| cursor.live_from),
            off_until: now,
            in_hand: None,
            due: None,
            looked: (now, monotonic_ms(&*clock)),
            set_back_to: None,
            place: Arc::new(place),
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

    /// Updates the module's position.
    pub(super) fn reach(&self, last: Option<Progress>) {
        self.place.reach(last.map(|last| last.position.number), self.due);
    }

    /// The module's position, for the status.
    pub(super) fn place(&self) -> &Arc<SchedulePlace> {
        &self.place
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        self.due
    }

    /// Notices that the clock was set. Times that it skipped count as those at which the module was off. After it was set back, the
    /// schedule goes on from there.
    fn look(&mut self, handled: u64) {
        let (now, monotonic) = (self.clock.now_ms(), monotonic_ms(&*self.clock));
        let expected = self.looked.0.saturating_add(monotonic.saturating_sub(self.looked.1));
        self.looked = (now, monotonic);
        if now > expected.saturating_add(CLOCK_STEP_MS) {
            self.off_until = now;
        }
        if handled <= now.saturating_add(CLOCK_STEP_MS) {
            self.set_back_to = None;
        } else if self.set_back_to.is_none_or(|to| to > now.saturating_add(CLOCK_STEP_MS)) {
            self.set_back_to = Some(now);
            self.off_until = self.off_until.min(now);
        }
    }

    pub(super) fn next(&mut self, last: Option<Progress>) -> Next {
        let handled = last.map_or(self.live_from, |last| last.position.number);
        self.look(handled);
        let schedule = &self.wanted.schedule;
        let after = self.set_back_to.map_or(handled, |to| to.min(handled));
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

fn monotonic_ms(clock: &dyn Clock) -> u64 {
    clock.monotonic_ns() / 1_000_000
}
