//! The recent use of a module's limits.

use std::time::Duration;

use tokio::time::Instant;

use nexum_config::engine::Metering;
use nexum_config::limits::{Limit, LimitUsage};

use crate::capability::module_meta::ModuleMeta;
use crate::windows::Windows;

/// The length of a window. The reported use covers the current window and the previous one. That is
/// long enough to cover the blocks of a busy period, and short enough to drop a single unusual
/// call.
const WINDOW: Duration = Duration::from_secs(10 * 60);

/// The recent use of a module's limits, each in the unit of the limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Consumption {
    last: LimitUsage,
    /// The end of the last call.
    ended: Option<Instant>,
    /// The largest use of each limit.
    most: Windows<LimitUsage>,
}

/// A limit of a module, and the largest recent use of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitUse {
    /// The limit.
    pub limit: Limit,
    /// The limit's value.
    pub bound: u64,
    /// The largest use by one call: [`Consumption::most`].
    pub most: u64,
}

impl Consumption {
    /// The use of the last call.
    pub fn last(&self) -> &LimitUsage {
        &self.last
    }

    /// The largest use of each limit by one call, in the ten to twenty minutes up to the last call.
    pub fn most(&self) -> LimitUsage {
        let [mut most, now] = self.most.both();
        most.raise(&now);
        most
    }

    /// The limits of which one call has used more than half, by their order in `engine.toml`.
    /// `meta` is the module's. Limits whose use nexum does not measure are absent.
    pub fn over_half(&self, meta: &ModuleMeta) -> Vec<LimitUse> {
        let most = self.most();
        let used = |limit: Limit| LimitUse {
            limit,
            bound: meta.limits[limit],
            most: most[limit],
        };
        let measured = Limit::all().filter(|limit| is_measured(*limit, meta.metering));
        let is_over = |used: &LimitUse| used.most > used.bound / 2;
        measured.map(used).filter(is_over).collect()
    }

    /// The use by two parts of one module. The last call is the later one of both.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        let (later, earlier) = match self.ended >= other.ended {
            true => (self, other),
            false => (other, self),
        };
        let mut joined = later;
        joined.most.before_mut().raise(&earlier.most());
        // A query does not measure the size of the state, and does not change it.
        for limit in [Limit::StateBytes, Limit::StateKeys] {
            joined.last.set(limit, later.last[limit].max(earlier.last[limit]));
        }
        joined
    }

    /// Adds the use of a call that ended at `ended`.
    pub(crate) fn note(&mut self, used: &LimitUsage, ended: Instant) {
        self.last = *used;
        self.ended = Some(ended);
        self.most.at(ended, WINDOW).raise(used);
    }
}

/// Whether nexum measures the use of a limit by a module with this metering.
pub fn is_measured(limit: Limit, metering: Metering) -> bool {
    match limit {
        Limit::Fuel => metering == Metering::Fuel,
        limit => limit.is_measured(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_forgotten_after_a_while() {
        let start = Instant::now();
        let mut consumption = Consumption::default();
        for (minutes, fuel, most) in [(0, 7, 7), (9, 5, 7), (11, 1, 7), (20, 3, 7), (21, 2, 3), (60, 1, 1)] {
            let mut used = LimitUsage::default();
            used.set(Limit::Fuel, fuel);
            consumption.note(&used, start + Duration::from_secs(minutes * 60));
            assert_eq!(
                (consumption.last()[Limit::Fuel], consumption.most()[Limit::Fuel]),
                (fuel, most),
                "after {minutes} minutes"
            );
        }
    }

    #[test]
    fn the_parts_of_a_module_are_joined() {
        let start = Instant::now();
        let of = |fuel, state_bytes, seconds| {
            let (mut used, mut consumption) = (LimitUsage::default(), Consumption::default());
            used.set(Limit::Fuel, fuel);
            used.set(Limit::StateBytes, state_bytes);
            consumption.note(&used, start + Duration::from_secs(seconds));
            consumption
        };
        for (events, queries, last, most) in [
            (of(7, 9, 1), of(5, 0, 2), 5, 7),
            (of(7, 9, 2), of(5, 0, 1), 7, 7),
            (of(3, 9, 1), of(5, 0, 2), 5, 5),
            (of(3, 9, 1), Consumption::default(), 3, 3),
        ] {
            let joined = events.joined(queries);
            assert_eq!((joined.last()[Limit::Fuel], joined.most()[Limit::Fuel]), (last, most));
            assert_eq!(joined.last()[Limit::StateBytes], 9);
        }
    }
}
