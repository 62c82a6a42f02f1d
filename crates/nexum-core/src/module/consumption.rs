//! What handlers used of a module's limits, lately.

use std::time::Duration;

use tokio::time::Instant;

use nexum_config::limits::Used;

/// How long a window is. What is told is of this one and the one before: long enough to see what a busy hour's blocks do, and short
/// enough that one that was unlike all others is forgotten.
const WINDOW: Duration = Duration::from_secs(10 * 60);

/// What handlers used of a module's limits, each in the unit of the limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Consumption {
    last: Used,
    /// When the window began, and the most that any used of each in it.
    window: Option<(Instant, Used)>,
    /// The same of the window before.
    before: Used,
}

impl Consumption {
    /// What the last one used.
    pub fn last(&self) -> &Used {
        &self.last
    }

    /// The most that any used of each in the ten to twenty minutes up to the last one.
    pub fn most(&self) -> Used {
        let mut most = self.before;
        if let Some((_, now)) = &self.window {
            most.raise(now);
        }
        most
    }

    /// Adds what one used that ended then.
    pub(crate) fn note(&mut self, used: &Used, ended: Instant) {
        self.last = *used;
        match &mut self.window {
            Some((began, most)) if ended < *began + WINDOW => most.raise(used),
            window => {
                let most = window.filter(|(began, _)| ended < *began + 2 * WINDOW);
                self.before = most.map(|(_, most)| most).unwrap_or_default();
                *window = Some((ended, *used));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexum_config::limits::Limit;

    #[test]
    fn the_most_is_forgotten_after_a_while() {
        let start = Instant::now();
        let mut consumption = Consumption::default();
        for (minutes, fuel, most) in [(0, 7, 7), (9, 5, 7), (11, 1, 7), (20, 3, 7), (21, 2, 3), (60, 1, 1)] {
            let mut used = Used::default();
            used.set(Limit::Fuel, fuel);
            consumption.note(&used, start + Duration::from_secs(minutes * 60));
            assert_eq!(
                (consumption.last()[Limit::Fuel], consumption.most()[Limit::Fuel]),
                (fuel, most),
                "after {minutes} minutes"
            );
        }
    }
}
