//! The recent past of a module, as this command has seen it. The daemon keeps no series for its readers.

use std::collections::VecDeque;

use crate::protocol::events::{EventKind, EventRecord};

/// The rates of a module: ten minutes of looks.
const RATES_MAX: usize = 300;

/// A rate is that of so many looks, half a minute: longer than the time between two blocks of most chains.
const COUNTS_MAX: usize = 16;

/// The last events of a module, for its median and for its list.
const EVENTS_MAX: usize = 64;

/// The recent past of a module.
#[derive(Default)]
pub(super) struct Past {
    /// Events per second, oldest first.
    pub(super) rates: VecDeque<f64>,
    /// The last handled and failed events, oldest first.
    pub(super) events: VecDeque<EventRecord>,
    /// The times of looks, in milliseconds, and the handled events so far.
    counts: VecDeque<(u64, u64)>,
}

impl Past {
    pub(super) fn sample(&mut self, handled: u64, at_ms: u64) {
        // The count of a daemon that restarted begins at 0.
        if self.counts.back().is_some_and(|(_, before)| handled < *before) {
            self.counts.clear();
        }
        self.counts.push_back((at_ms, handled));
        if self.counts.len() > COUNTS_MAX {
            self.counts.pop_front();
        }
        let Some((first_ms, first)) = self.counts.front() else {
            return;
        };
        let passed_ms = at_ms.saturating_sub(*first_ms);
        if passed_ms > 0 {
            self.rates
                .push_back((handled - first) as f64 * 1_000.0 / passed_ms as f64);
        }
        if self.rates.len() > RATES_MAX {
            self.rates.pop_front();
        }
    }

    pub(super) fn add(&mut self, event: EventRecord) {
        self.events.push_back(event);
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
    }

    /// Half of the last handlers took at most this time, in microseconds.
    pub(super) fn took_us(&self) -> Option<u64> {
        let mut took: Vec<_> = self.events.iter().filter_map(|event| event.took_us).collect();
        took.sort_unstable();
        took.get(took.len() / 2).copied()
    }

    /// The fuel of the last handler.
    pub(super) fn fuel(&self) -> Option<u64> {
        let handled = |event: &&EventRecord| event.kind == EventKind::Handled;
        self.events.iter().rev().find(handled).and_then(|event| event.fuel)
    }
}
