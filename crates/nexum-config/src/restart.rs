//! The retry policy: how often nexum retries an event, how long it waits, and when a module is
//! dead.

use std::time::Duration;

use crate::backoff::wait;
use crate::document::{ConfigError, Defaults, NumberRange, Section};
use crate::limits::saturating_u32;

/// The retry policy of a module. `[engine.restart]` applies to every module. A manifest's
/// `[module.restart]` can request fewer attempts and longer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The most attempts at an event before it becomes a dead letter. Default 5.
    pub attempts_max: u32,
    /// The wait before the second attempt, in milliseconds. Each further wait doubles. Default
    /// 1,000.
    pub backoff_ms: u64,
    /// The longest wait between two attempts, in milliseconds. Default 300,000: five minutes.
    pub backoff_max_ms: u64,
    /// A module is dead after this many consecutive events used up their attempts, or after this
    /// many consecutive failures of `init`. It stays dead until the operator restarts it. Default
    /// 10.
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

/// The keys of a `restart` table, each with its range.
const KEYS: [NumberRange; 4] = [
    // The maximum is a day of attempts, five minutes apart.
    ("attempts_max", 1..=300),
    // The maximum is an hour.
    ("backoff_ms", 1..=3_600_000),
    ("backoff_max_ms", 1..=3_600_000),
    // The maximum of a thousand takes hours of retries with backoff.
    ("max_consecutive_failures", 1..=1_000),
];

/// The keys that one `restart` table sets. An absent key keeps the value of the table that this one
/// overrides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestartKeys([Option<u64>; KEYS.len()]);

impl RestartKeys {
    /// Reads the table `restart` of a section. Adds all faults to `errors`.
    pub(crate) fn read(parent: &Section, errors: &mut Vec<ConfigError>) -> Self {
        Self(parent.numbers("restart", &KEYS, errors))
    }
}

impl Restart {
    /// This policy, overridden by `keys`.
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

    /// This policy with the requests of a manifest, each capped to this policy's value: no more attempts
    /// or failures, and no shorter waits.
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

    /// The keys of a `restart` table with the values of this policy.
    pub(crate) fn keys(&self) -> Defaults {
        let values = [
            u64::from(self.attempts_max),
            self.backoff_ms,
            self.backoff_max_ms,
            u64::from(self.max_consecutive_failures),
        ];
        let keys = KEYS.iter().zip(values);
        keys.map(|((key, _), value)| (*key, Some(value.to_string()))).collect()
    }

    /// The [`wait`] after this many consecutive failures.
    pub fn backoff(&self, failures: u32) -> Duration {
        let min = Duration::from_millis(self.backoff_ms);
        wait(min, Duration::from_millis(self.backoff_max_ms), failures)
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
