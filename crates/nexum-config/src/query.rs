//! Bounds on the concurrent and the waiting calls of query modules.

use crate::document::{ConfigError, Defaults, NumberRange, Section};
use crate::limits::saturating_u32;
use crate::names::ModuleName;

/// How many calls each query module accepts, and how long a call waits: `[engine.query]`. A
/// manifest's `[module.query]` may request fewer instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryBounds {
    /// The most instances of a module, and so its most concurrent calls. Default 8: calls compete
    /// only for processors, and most machines have fewer.
    pub pool_size_max: u32,
    /// The most waiting calls of a module. Default 256: eight instances answer this many in a
    /// moment, or do not answer them within the wait.
    pub waiters_max: u32,
    /// The longest wait of one call, in milliseconds. Default 1,000: a caller has no use for a
    /// later answer.
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

/// The name of the table in `[engine]` and in `[module]`.
const TABLE: &str = "query";

/// The keys of `[engine.query]`, each with its range.
const KEYS: [NumberRange; 3] = [
    // The maximum is the number of modules on a large machine, because each instance needs a place
    // in the engine.
    ("pool_size_max", 1..=1_000),
    // The maximum is the number of connections that the file descriptors of a process allow.
    ("waiters_max", 0..=65_536),
    // The maximum is an hour, the longest duration of a call.
    ("wait_ms_max", 0..=3_600_000),
];

/// The keys of `[module.query]`.
const POOL_SIZE_MAX: &str = "pool_size_max";
const READS: &str = "reads";

/// A manifest's `[module.query]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryRequests {
    /// The number of instances that the module requests. `None` for as many as the operator allows.
    pub pool_size_max: Option<u32>,
    /// The module whose rows the queries read, instead of those of their own module.
    pub reads: Option<ModuleName>,
}

impl QueryBounds {
    /// The keys of `[engine.query]` with these values.
    pub(crate) fn keys(&self) -> Defaults {
        let values = [
            u64::from(self.pool_size_max),
            u64::from(self.waiters_max),
            self.wait_ms_max,
        ];
        let keys = KEYS.iter().zip(values);
        keys.map(|((key, _), value)| (*key, Some(value.to_string()))).collect()
    }

    /// Reads the table `query` of `[engine]`. Adds all faults to `errors`.
    pub(crate) fn read(engine: &Section, errors: &mut Vec<ConfigError>) -> Self {
        let bounds = Self::default();
        let [pool_size, waiters, wait_ms] = engine.numbers(TABLE, &KEYS, errors);
        Self {
            pool_size_max: pool_size.map_or(bounds.pool_size_max, saturating_u32),
            waiters_max: waiters.map_or(bounds.waiters_max, saturating_u32),
            wait_ms_max: wait_ms.unwrap_or(bounds.wait_ms_max),
        }
    }

    /// The bounds of a module whose manifest requests this many instances: the smaller number
    /// applies.
    #[must_use]
    pub fn min(self, requested_pool_size: Option<u32>) -> Self {
        let requested = requested_pool_size.unwrap_or(u32::MAX);
        Self {
            pool_size_max: self.pool_size_max.min(requested),
            ..self
        }
    }
}

impl QueryRequests {
    /// Reads the table `query` of `[module]`. Adds all faults to `errors`.
    pub(crate) fn read(module: &Section, errors: &mut Vec<ConfigError>) -> Self {
        let section = module.section(TABLE).map_err(|error| errors.push(error));
        let Ok(Some(section)) = section else {
            return Self::default();
        };
        errors.extend(section.unknown_keys(&[POOL_SIZE_MAX, READS]));
        // A request above every possible operator's limit is valid and has no effect.
        let pool_size = section.number(POOL_SIZE_MAX, &(1..=u64::MAX));
        let pool_size = pool_size.map_err(|error| errors.push(error)).ok().flatten();
        let reads = section.keys().any(|key| key == READS).then(|| name(&section, READS));
        Self {
            pool_size_max: pool_size.map(saturating_u32),
            reads: reads.and_then(|reads| reads.map_err(|error| errors.push(error)).ok()),
        }
    }
}

fn name(section: &Section, key: &str) -> Result<ModuleName, ConfigError> {
    let name = section.string(key)?;
    let parsed = name.value.parse::<ModuleName>();
    parsed.map_err(|error| name.location.error(error.to_string()))
}
