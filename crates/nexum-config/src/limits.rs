//! What a module may use: the operator's limits, and what the module requests of them.

use std::fmt;
use std::ops::{Index, RangeInclusive};

use crate::document::{ConfigError, Section};

/// What a module can use up. The first ones are budgets: each call of a handler has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(usize)]
pub enum Limit {
    /// Units of fuel. A unit is about one WebAssembly instruction.
    Fuel,
    /// Milliseconds of wall clock, waiting in host calls included.
    Deadline,
    /// Requests to chains, each of a batch counted.
    ChainRequests,
    /// Requests to the order book.
    OrderBookRequests,
    /// Fetches over HTTP.
    HttpFetches,
    /// Calls of the local store.
    StoreOperations,
    /// Bytes of keys and values written to the local store, overwritten ones included.
    StoreBytesWritten,
    /// Bytes of answers that come into the guest: of chains, the order book and HTTP, and the keys that the local store lists.
    ResponseBytes,
    /// Log records that somebody listens for.
    LogRecords,
    /// Bytes of all linear memories of an instance together.
    Memory,
    /// Elements of all tables of an instance together.
    TableElements,
    /// Core instances that make up one component instance.
    Instances,
    /// Bytes of keys and values that the module keeps in the local store.
    StateBytes,
    /// Log records in a second, over all events. Further ones are counted and cut.
    LogRecordsPerSecond,
    /// Events in a second. Further ones wait.
    EventsPerSecond,
}

/// What is fixed about a limit.
struct Spec {
    limit: Limit,
    /// Its key in a manifest. In `engine.toml` it is the same without `max_`.
    manifest_key: &'static str,
    /// What holds unless the operator says otherwise.
    default: u64,
    /// What an operator may set.
    range: RangeInclusive<u64>,
}

const PREFIX: &str = "max_";

/// In the order of [`Limit`].
static SPECS: [Spec; COUNT] = [
    // About a second of computation. Up to about a day, far over any deadline.
    spec(
        Limit::Fuel,
        "max_fuel_per_event",
        1_000_000_000,
        1..=100_000_000_000_000,
    ),
    // Up to an hour: a module that hangs for longer is lost to its events.
    spec(Limit::Deadline, "max_event_deadline_ms", 10_000, 1..=3_600_000),
    // What a module asks for in one event is some dozens. Up to what a node answers in a deadline.
    spec(
        Limit::ChainRequests,
        "max_chain_requests_per_event",
        1_000,
        1..=1_000_000,
    ),
    // The order book takes five a second.
    spec(
        Limit::OrderBookRequests,
        "max_order_book_requests_per_event",
        100,
        1..=100_000,
    ),
    // A price or two, with their second tries.
    spec(Limit::HttpFetches, "max_http_fetches_per_event", 8, 1..=10_000),
    // Up to seconds of the host's time.
    spec(
        Limit::StoreOperations,
        "max_store_operations_per_event",
        10_000,
        1..=10_000_000,
    ),
    // An event's writes are in memory twice until they are committed.
    spec(
        Limit::StoreBytesWritten,
        "max_store_bytes_written_per_event",
        1 << 20,
        1..=256 << 20,
    ),
    // One answer of the largest size that a chain's endpoint may give by default.
    spec(
        Limit::ResponseBytes,
        "max_response_bytes_per_event",
        16 << 20,
        1..=1 << 30,
    ),
    // Up to tens of megabytes of log for one event.
    spec(Limit::LogRecords, "max_log_records_per_event", 1_000, 1..=100_000),
    // From one WebAssembly page to 64 GiB, which is sixteen full memories.
    spec(Limit::Memory, "max_memory_bytes", 64 << 20, 65_536..=64 << 30),
    // Ten times what a large component of a compiled language needs for its function pointers, and under a megabyte of the
    // host's memory; up to 80 MB of it.
    spec(Limit::TableElements, "max_table_elements", 100_000, 1..=10_000_000),
    // A component of Rust or C has up to four, one that a JavaScript or Python tool links from shared libraries a few
    // dozen. Up to more than any tool links.
    spec(Limit::Instances, "max_instances", 64, 1..=1_000),
    // Up to 1 TiB, a large disk.
    spec(Limit::StateBytes, "max_state_bytes", 64 << 20, 1..=1 << 40),
    // What a terminal or a log collector takes without trouble. A burst may be as large.
    spec(
        Limit::LogRecordsPerSecond,
        "max_log_records_per_second",
        1_000,
        1..=100_000,
    ),
    // More than any module handles. A burst may be as large.
    spec(
        Limit::EventsPerSecond,
        "max_events_per_second",
        EVENTS_PER_SECOND_MAX,
        1..=EVENTS_PER_SECOND_MAX,
    ),
];

/// How many limits there are.
const COUNT: usize = Limit::EventsPerSecond as usize + 1;

/// So many events a second are as good as no bound.
pub const EVENTS_PER_SECOND_MAX: u64 = 1_000_000;

const fn spec(limit: Limit, manifest_key: &'static str, default: u64, range: RangeInclusive<u64>) -> Spec {
    Spec {
        limit,
        manifest_key,
        default,
        range,
    }
}

impl Limit {
    /// Every limit, the budgets of a handler first.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        SPECS.iter().map(|spec| spec.limit)
    }

    /// Its key in `[engine.limits]`, with its unit. In a manifest's `[module.resources]` the key is the same after `max_`.
    pub fn name(self) -> &'static str {
        &self.spec().manifest_key[PREFIX.len()..]
    }

    fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }
}

/// A number for each limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PerLimit<T>([T; COUNT]);

impl<T> PerLimit<T> {
    pub(crate) fn from_fn(of: impl FnMut(Limit) -> T) -> Self {
        let mut of = of;
        Self(std::array::from_fn(|index| of(SPECS[index].limit)))
    }

    pub(crate) fn get_mut(&mut self, limit: Limit) -> &mut T {
        &mut self.0[limit as usize]
    }
}

impl<T> Index<Limit> for PerLimit<T> {
    type Output = T;

    fn index(&self, limit: Limit) -> &T {
        &self.0[limit as usize]
    }
}

impl<T: fmt::Debug> fmt::Debug for PerLimit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(Limit::all().map(|limit| (limit.name(), &self[limit])))
            .finish()
    }
}

/// The bounds that a module runs under, by limit.
///
/// The operator sets limits in `[engine.limits]`, and a manifest may request less in `[module.resources]`. [`Limits::min`] caps each
/// request to the operator's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits(PerLimit<u64>);

impl Default for Limits {
    fn default() -> Self {
        Self(PerLimit::from_fn(|limit| limit.spec().default))
    }
}

impl Index<Limit> for Limits {
    type Output = u64;

    fn index(&self, limit: Limit) -> &u64 {
        &self.0[limit]
    }
}

impl Limits {
    /// These limits with another bound.
    #[must_use]
    pub fn with(mut self, limit: Limit, bound: u64) -> Self {
        *self.0.get_mut(limit) = bound;
        self
    }

    /// The limits a module gets: what it requests, capped to these.
    #[must_use]
    pub fn min(self, requested: &RequestedLimits) -> Self {
        let smaller = |limit| requested.get(limit).map_or(self[limit], |bound| bound.min(self[limit]));
        Self(PerLimit::from_fn(smaller))
    }

    /// Reads the table `limits` of `[engine]`. Adds to `errors` everything that is wrong with it.
    pub(crate) fn read(engine: &Section, errors: &mut Vec<ConfigError>) -> Self {
        let range = |limit: Limit| limit.spec().range.clone();
        let given = read(engine, "limits", Limit::name, &[TOTAL_MEMORY], range, errors);
        Self(PerLimit::from_fn(|limit| given[limit].unwrap_or(limit.spec().default)))
    }
}

/// The limits that a manifest requests. The operator's limit applies where it requests none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedLimits(PerLimit<Option<u64>>);

impl Default for RequestedLimits {
    fn default() -> Self {
        Self(PerLimit::from_fn(|_| None))
    }
}

impl RequestedLimits {
    /// The bound that is requested, if one is.
    pub fn get(&self, limit: Limit) -> Option<u64> {
        self.0[limit]
    }

    /// These requests with another one.
    #[must_use]
    pub fn with(mut self, limit: Limit, bound: u64) -> Self {
        *self.0.get_mut(limit) = Some(bound);
        self
    }

    /// Reads the table `resources` of `[module]`. Adds to `errors` everything that is wrong with it. A request above what any operator
    /// may set is accepted and capped later; one below what a module can run with is an error.
    pub(crate) fn read(module: &Section, errors: &mut Vec<ConfigError>) -> Self {
        let range = |limit: Limit| *limit.spec().range.start()..=u64::MAX;
        Self(read(
            module,
            "resources",
            |limit| limit.spec().manifest_key,
            &[],
            range,
            errors,
        ))
    }
}

/// The key in `[engine.limits]` that bounds the memory of all modules together.
const TOTAL_MEMORY: &str = "total_memory_bytes";

/// Reads how much memory all modules may have together: none, if the operator does not say. Up to 64 TiB.
pub(crate) fn read_total_memory(engine: &Section, errors: &mut Vec<ConfigError>) -> Option<u64> {
    // What is wrong with the table itself has been said.
    let section = engine.section("limits").ok().flatten()?;
    let bound = section.number(TOTAL_MEMORY, &(65_536..=64 << 40));
    bound.map_err(|error| errors.push(error)).ok().flatten()
}

/// Reads a table with a key for each limit, and for `others`, none of which has to be there.
fn read(
    parent: &Section,
    table: &str,
    key: impl Fn(Limit) -> &'static str,
    others: &[&'static str],
    range: impl Fn(Limit) -> RangeInclusive<u64>,
    errors: &mut Vec<ConfigError>,
) -> PerLimit<Option<u64>> {
    let none = PerLimit::from_fn(|_| None);
    let section = match parent.section(table) {
        Ok(Some(section)) => section,
        Ok(None) => return none,
        Err(error) => {
            errors.push(error);
            return none;
        }
    };
    let keys: Vec<&'static str> = Limit::all().map(&key).chain(others.iter().copied()).collect();
    errors.extend(section.unknown_keys(&keys));
    PerLimit::from_fn(|limit| {
        let number = section.number(key(limit), &range(limit));
        number.map_err(|error| errors.push(error)).ok().flatten()
    })
}

/// What a handler has used of each limit, in the unit that the limit's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitUsage(PerLimit<u64>);

impl Default for LimitUsage {
    fn default() -> Self {
        Self(PerLimit::from_fn(|_| 0))
    }
}

impl Index<Limit> for LimitUsage {
    type Output = u64;

    fn index(&self, limit: Limit) -> &u64 {
        &self.0[limit]
    }
}

impl LimitUsage {
    /// Adds to what was used of a limit, and returns the sum.
    pub fn add(&mut self, limit: Limit, amount: u64) -> u64 {
        let used = self.0.get_mut(limit);
        *used = used.saturating_add(amount);
        *used
    }

    /// Becomes the larger of both for each limit.
    pub fn raise(&mut self, other: &Self) {
        for (most, other) in self.0.0.iter_mut().zip(&other.0.0) {
            *most = (*most).max(*other);
        }
    }

    /// Says what was used of a limit.
    pub fn set(&mut self, limit: Limit, amount: u64) {
        *self.0.get_mut(limit) = amount;
    }
}

/// `number`, or the largest there is: a count that large is refused or means "no bound".
pub fn saturating_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_its_row() {
        for (index, spec) in SPECS.iter().enumerate() {
            assert_eq!(spec.limit as usize, index);
            assert!(spec.range.contains(&spec.default), "{:?}", spec.limit);
            assert_eq!(spec.manifest_key.strip_prefix(PREFIX), Some(spec.limit.name()));
        }
    }
}
