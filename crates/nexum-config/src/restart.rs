//! What becomes of a module that fails: how often an event is tried, how long is waited, and when the module is given up.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::document::{ConfigError, Section};
use crate::limits::saturating_u32;

/// The retry policy. The operator sets it in `[engine.restart]` for every module. A manifest's `[module.restart]` can request fewer
/// attempts and longer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// How often an event is tried before it becomes a dead letter. Default 5.
    pub attempts_max: u32,
    /// Milliseconds before the second attempt; each further wait is twice as long. Default 1,000.
    pub backoff_ms: u64,
    /// The longest such wait, in milliseconds. Default 300,000: five minutes.
    pub backoff_max_ms: u64,
    /// So many events in a row that could not be handled, or so many failures of `init`, and the module is dead until the
    /// operator restarts it. Default 10.
    pub max_consecutive_failures: u32,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            attempts_max: 5,
            backoff_ms: 1_000,
            backoff_max_ms: 300_000,
            max_consecutive_failures: 10,
        }
    }
}

/// The keys of a table of restarts, each with what it may be.
const KEYS: [(&str, RangeInclusive<u64>); 4] = [
    // Up to a day of attempts, five minutes apart.
    ("attempts_max", 1..=300),
    // Up to an hour.
    ("backoff_ms", 1..=3_600_000),
    ("backoff_max_ms", 1..=3_600_000),
    // Up to a thousand, hours of retries with backoff.
    ("max_consecutive_failures", 1..=1_000),
];

/// What one table says of restarts; what it leaves out is left to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestartKeys([Option<u64>; KEYS.len()]);

impl RestartKeys {
    /// Reads the table `restart` of a section. Adds to `errors` everything that is wrong with it.
    pub(crate) fn read(parent: &Section, errors: &mut Vec<ConfigError>) -> Self {
        let section = match parent.section("restart") {
            Ok(Some(section)) => section,
            Ok(None) => return Self::default(),
            Err(error) => {
                errors.push(error);
                return Self::default();
            }
        };
        errors.extend(section.unknown_keys(&KEYS.map(|(key, _)| key)));
        Self(KEYS.map(|(key, range)| {
            let number = section.number(key, &range);
            number.map_err(|error| errors.push(error)).ok().flatten()
        }))
    }
}

impl Restart {
    /// These, with what `keys` say in place of their own.
    #[must_use]
    pub fn with(self, keys: RestartKeys) -> Self {
        let [attempts, backoff, backoff_max, failures] = keys.0;
        Self {
            attempts_max: attempts.map_or(self.attempts_max, saturating_u32),
            backoff_ms: backoff.unwrap_or(self.backoff_ms),
            backoff_max_ms: backoff_max.unwrap_or(self.backoff_max_ms),
            max_consecutive_failures: failures.map_or(self.max_consecutive_failures, saturating_u32),
        }
    }

    /// This policy with the requests of a manifest, each capped to this policy's value: no more attempts or failures, and no shorter
    /// waits.
    #[must_use]
    pub fn capped(self, requested: RestartKeys) -> Self {
        let requested = self.with(requested);
        Self {
            attempts_max: requested.attempts_max.min(self.attempts_max),
            backoff_ms: requested.backoff_ms.max(self.backoff_ms),
            backoff_max_ms: requested.backoff_max_ms.max(self.backoff_max_ms),
            max_consecutive_failures: requested.max_consecutive_failures.min(self.max_consecutive_failures),
        }
    }

    /// How long to wait after so many failures in a row: twice as long each time, and between half of that and all of it, so
    /// that modules which failed together do not come back together.
    pub fn backoff(&self, failures: u32) -> Duration {
        let doubled = self.backoff_ms.saturating_mul(1 << failures.saturating_sub(1).min(32));
        let whole_us = doubled.min(self.backoff_max_ms).saturating_mul(1_000);
        // Chance enough: a map's hasher is seeded by the system.
        let chance = RandomState::new().hash_one(failures);
        Duration::from_micros(whole_us / 2 + chance % (whole_us / 2 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_never_more_eager_than_the_operator() {
        let operator = Restart::default();
        let eager = RestartKeys([Some(300), Some(1), Some(1), Some(1_000)]);
        assert_eq!(operator.capped(eager), operator);
        let patient = RestartKeys([Some(2), Some(5_000), Some(600_000), Some(3)]);
        let expected = Restart {
            attempts_max: 2,
            backoff_ms: 5_000,
            backoff_max_ms: 600_000,
            max_consecutive_failures: 3,
        };
        assert_eq!(operator.capped(patient), expected);
        assert_eq!(operator.capped(RestartKeys::default()), operator);
    }

    #[test]
    fn waits_grow_up_to_their_bound() {
        let restart = Restart::default();
        for (failures, whole_ms) in [
            (1, 1_000),
            (2, 2_000),
            (5, 16_000),
            (9, 256_000),
            (10, 300_000),
            (u32::MAX, 300_000),
        ] {
            for _ in 0..100 {
                let wait = restart.backoff(failures);
                assert!(wait <= Duration::from_millis(whole_ms) && wait >= Duration::from_millis(whole_ms / 2));
            }
        }
    }
}
