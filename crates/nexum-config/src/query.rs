//! How many calls query modules take at a time, and how many more may wait.

use std::ops::RangeInclusive;

use crate::document::{ConfigError, Section};
use crate::limits::saturating_u32;

/// How many calls a query module takes, and how long these wait: `[engine.query]`. A manifest's `[module.query]` may ask for fewer
/// instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryBounds {
    /// How many instances a module has at the most, and so how many calls are in flight. Default 8: more than most machines have
    /// processors, and calls do not wait for anything but these.
    pub pool_size_max: u32,
    /// How many more calls of a module may wait. Default 256: what eight instances answer in a moment, or not within the wait.
    pub waiters_max: u32,
    /// How long one waits, in milliseconds. Default 1,000: who asks for an answer now has no use for it later.
    pub wait_ms_max: u64,
}

impl Default for QueryBounds {
    fn default() -> Self {
        Self {
            pool_size_max: 8,
            waiters_max: 256,
            wait_ms_max: 1_000,
        }
    }
}

/// The table of `[engine]`, and of `[module]`.
const TABLE: &str = "query";
const POOL_SIZE_MAX: &str = "pool_size_max";
const WAITERS_MAX: &str = "waiters_max";
const WAIT_MS_MAX: &str = "wait_ms_max";

/// Up to as many as there may be modules on a large machine: each instance has its place in the engine.
const POOL_SIZE_RANGE: RangeInclusive<u64> = 1..=1_000;
/// From none to as many connections as a process has file descriptors.
const WAITERS_RANGE: RangeInclusive<u64> = 0..=65_536;
/// Up to an hour, as long as a call may take.
const WAIT_MS_RANGE: RangeInclusive<u64> = 0..=3_600_000;

impl QueryBounds {
    /// Reads the table `query` of `[engine]`. Adds to `errors` everything that is wrong with it.
    pub(crate) fn read(engine: &Section, errors: &mut Vec<ConfigError>) -> Self {
        let bounds = Self::default();
        let Some(section) = table(engine, &[POOL_SIZE_MAX, WAITERS_MAX, WAIT_MS_MAX], errors) else {
            return bounds;
        };
        let mut number = |key, range| {
            let number = section.number(key, &range);
            number.map_err(|error| errors.push(error)).ok().flatten()
        };
        Self {
            pool_size_max: number(POOL_SIZE_MAX, POOL_SIZE_RANGE).map_or(bounds.pool_size_max, saturating_u32),
            waiters_max: number(WAITERS_MAX, WAITERS_RANGE).map_or(bounds.waiters_max, saturating_u32),
            wait_ms_max: number(WAIT_MS_MAX, WAIT_MS_RANGE).unwrap_or(bounds.wait_ms_max),
        }
    }

    /// These bounds for a module whose manifest asks for so many instances: the smaller number holds.
    #[must_use]
    pub fn meet(self, pool_size_wish: Option<u32>) -> Self {
        let wish = pool_size_wish.unwrap_or(u32::MAX);
        Self {
            pool_size_max: self.pool_size_max.min(wish),
            ..self
        }
    }
}

/// Reads the table `query` of `[module]`: how many instances the module asks for. Adds to `errors` everything that is wrong with it.
pub(crate) fn pool_size_wish(module: &Section, errors: &mut Vec<ConfigError>) -> Option<u32> {
    let section = table(module, &[POOL_SIZE_MAX], errors)?;
    // A wish for more than any operator may allow is as good as none.
    let wish = section.number(POOL_SIZE_MAX, &(*POOL_SIZE_RANGE.start()..=u64::MAX));
    let wish = wish.map_err(|error| errors.push(error)).ok().flatten();
    wish.map(saturating_u32)
}

fn table(parent: &Section, keys: &[&'static str], errors: &mut Vec<ConfigError>) -> Option<Section> {
    match parent.section(TABLE) {
        Ok(section) => {
            let section = section?;
            errors.extend(section.unknown_keys(keys));
            Some(section)
        }
        Err(error) => {
            errors.push(error);
            None
        }
    }
}
