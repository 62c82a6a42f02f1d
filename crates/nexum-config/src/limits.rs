//! Limits of a module: the operator's upper limits, the manifest's requests, and the smaller of
//! both.

use std::fmt;
use std::ops::{Index, RangeInclusive};

use crate::document::{ConfigError, Defaults, NumberRange, Section};

/// A limited resource of a module. The first ones are budgets, which each handler call gets in
/// full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(usize)]
pub enum Limit {
    /// Units of fuel. A unit is about one WebAssembly instruction.
    Fuel,
    /// Milliseconds of wall-clock time, including waits in host calls.
    Deadline,
    /// Requests to chains. Each request of a batch counts.
    ChainRequests,
    /// Requests to the order book.
    OrderBookRequests,
    /// HTTP fetches.
    HttpFetches,
    /// Effects: requests that change something outside nexum.
    Effects,
    /// Signatures with the operator's accounts. Refused ones count too.
    Signatures,
    /// Calls to the local store.
    StoreOperations,
    /// Bytes of keys and values written to the local store. Every write counts, also to an existing
    /// key.
    StoreBytesWritten,
    /// Bytes of responses that the guest receives: from chains, the order book and HTTP, and the
    /// keys that the local store lists.
    ResponseBytes,
    /// Log records that pass the operator's log level.
    LogRecords,
    /// Bytes in all linear memories of an instance together.
    Memory,
    /// Elements in all tables of an instance together.
    TableElements,
    /// Core instances in one component instance.
    Instances,
    /// Bytes of keys and values in the module's local store.
    StateBytes,
    /// Keys in the module's local store.
    StateKeys,
    /// Bytes of one value in the module's local store.
    StoreValueBytes,
    /// Log records per second, across all events. nexum drops and counts the excess.
    LogRecordsPerSecond,
    /// Events per second. Further events wait.
    EventsPerSecond,
}

/// The fixed properties of a limit.
struct Spec {
    limit: Limit,
    /// The key in a manifest. The key in `engine.toml` is this without `max_`.
    manifest_key: &'static str,
    /// The value if the operator sets none.
    default: u64,
    /// The values that an operator may set.
    range: RangeInclusive<u64>,
}

const PREFIX: &str = "max_";

/// The specifications, in the order of [`Limit`].
static SPECS: [Spec; COUNT] = [
    // The default is about a second of computation. The maximum is about a day, far above any
    // deadline.
    spec(
        Limit::Fuel,
        "max_fuel_per_event",
        1_000_000_000,
        1..=100_000_000_000_000,
    ),
    // The maximum is an hour: a module that hangs for longer falls too far behind its events.
    spec(Limit::Deadline, "max_event_deadline_ms", 10_000, 1..=3_600_000),
    // A module makes some dozens of requests per event. The maximum is the number that a node
    // answers within a deadline.
    spec(
        Limit::ChainRequests,
        "max_chain_requests_per_event",
        1_000,
        1..=1_000_000,
    ),
    // The order book accepts five requests per second.
    spec(
        Limit::OrderBookRequests,
        "max_order_book_requests_per_event",
        100,
        1..=100_000,
    ),
    // One or two prices, each with a retry.
    spec(Limit::HttpFetches, "max_http_fetches_per_event", 8, 1..=10_000),
    // As many as requests to the order book: an event may post as many orders.
    spec(Limit::Effects, "max_effects_per_event", 100, 1..=100_000),
    // An order and a permit for each of eight accounts. A keystore signs the maximum in seconds.
    spec(Limit::Signatures, "max_signatures_per_event", 16, 1..=10_000),
    // The maximum takes seconds of the host's time.
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
    // The default is one response of the largest default size of a chain's endpoint.
    spec(
        Limit::ResponseBytes,
        "max_response_bytes_per_event",
        16 << 20,
        1..=1 << 30,
    ),
    // The maximum is tens of megabytes of log for one event.
    spec(Limit::LogRecords, "max_log_records_per_event", 1_000, 1..=100_000),
    // The minimum is one WebAssembly page. The maximum is 64 GiB, the size of sixteen full
    // memories.
    spec(Limit::Memory, "max_memory_bytes", 64 << 20, 65_536..=64 << 30),
    // The default is ten times the function pointers of a large component in a compiled language,
    // and under a megabyte of the host's memory. The maximum takes 80 MB.
    spec(Limit::TableElements, "max_table_elements", 100_000, 1..=10_000_000),
    // A component in Rust or C has up to four core instances. JavaScript and Python tools link a
    // few dozen from shared libraries. The maximum is more than any tool links.
    spec(Limit::Instances, "max_instances", 64, 1..=1_000),
    // The maximum is 1 TiB, a large disk.
    spec(Limit::StateBytes, "max_state_bytes", 64 << 20, 1..=1 << 40),
    // The default fills the default of `state_bytes` with 67 bytes per key. It bounds the rows that
    // an export or a check of the state reads. The maximum fills 1 TiB with a kilobyte per key.
    spec(Limit::StateKeys, "max_state_keys", 1_000_000, 1..=1_000_000_000),
    // The default is also the maximum: a value is in memory several times until it is committed, in
    // the guest, the event and the batch.
    spec(Limit::StoreValueBytes, "max_store_value_bytes", 1 << 20, 1..=1 << 20),
    // A terminal or a log collector handles the default easily. A burst may be as large as one
    // second's records.
    spec(
        Limit::LogRecordsPerSecond,
        "max_log_records_per_second",
        1_000,
        1..=100_000,
    ),
    // No module handles more. A burst may be as large as one second's events.
    spec(
        Limit::EventsPerSecond,
        "max_events_per_second",
        EVENTS_PER_SECOND_MAX,
        1..=EVENTS_PER_SECOND_MAX,
    ),
];

/// The number of limits.
const COUNT: usize = Limit::EventsPerSecond as usize + 1;

/// A rate that no module reaches, so it acts as no limit.
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
    /// Whether nexum measures the use of one event or instance. It bounds instances when it loads a module, and rates as they occur.
    pub fn is_measured(self) -> bool {
        !matches!(
            self,
            Self::Instances | Self::LogRecordsPerSecond | Self::EventsPerSecond
        )
    }

    /// All limits, the budgets of a handler call first.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        SPECS.iter().map(|spec| spec.limit)
    }

    /// The key in `[engine.limits]`, with its unit. The key in a manifest's `[module.resources]`
    /// adds the prefix `max_`.
    pub fn name(self) -> &'static str {
        &self.spec().manifest_key[PREFIX.len()..]
    }

    fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }
}

/// One value for each limit.
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

/// The limits of a module.
///
/// The operator sets upper limits in `[engine.limits]`. A manifest may request lower ones in
/// `[module.resources]`. [`Limits::min`] takes the smaller of each.
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
    /// Replaces the bound of one limit.
    #[must_use]
    pub fn with(mut self, limit: Limit, bound: u64) -> Self {
        *self.0.get_mut(limit) = bound;
        self
    }

    /// The limits that apply to a module: the smaller of the operator's limit and the module's
    /// request, for each.
    #[must_use]
    pub fn min(self, requested: &RequestedLimits) -> Self {
        let smaller = |limit| requested.get(limit).map_or(self[limit], |bound| bound.min(self[limit]));
        Self(PerLimit::from_fn(smaller))
    }

    /// The keys of the table `limits` of `[engine]`, with their default values.
    pub(crate) fn defaults() -> Defaults {
        let limits = SPECS
            .iter()
            .map(|spec| (spec.limit.name(), Some(spec.default.to_string())));
        limits.chain([(TOTAL_MEMORY, None)]).collect()
    }

    /// Reads the table `limits` of `[engine]`. Adds all faults to `errors`. Also returns the upper
    /// limit for the memory of all modules together, in bytes, if the operator sets one.
    pub(crate) fn read(engine: &Section, errors: &mut Vec<ConfigError>) -> (Self, Option<u64>) {
        let keys: [NumberRange; COUNT + 1] = std::array::from_fn(|index| match SPECS.get(index) {
            Some(spec) => (spec.limit.name(), spec.range.clone()),
            None => (TOTAL_MEMORY, TOTAL_MEMORY_RANGE),
        });
        let given = engine.numbers("limits", &keys, errors);
        let bound = |limit: Limit| given[limit as usize].unwrap_or(limit.spec().default);
        (Self(PerLimit::from_fn(bound)), given[COUNT])
    }
}

/// The limits that a manifest requests. The operator's value applies to a limit without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedLimits(PerLimit<Option<u64>>);

impl Default for RequestedLimits {
    fn default() -> Self {
        Self(PerLimit::from_fn(|_| None))
    }
}

impl RequestedLimits {
    /// The requested limit, if there is a request.
    pub fn get(&self, limit: Limit) -> Option<u64> {
        self.0[limit]
    }

    /// Replaces the request for one limit.
    #[must_use]
    pub fn with(mut self, limit: Limit, bound: u64) -> Self {
        *self.0.get_mut(limit) = Some(bound);
        self
    }

    /// Reads the table `resources` of `[module]`. Adds all faults to `errors`.
    ///
    /// A request above every possible operator's limit is valid and has no effect. A request below
    /// the minimum that a module can run with is an error.
    pub(crate) fn read(module: &Section, errors: &mut Vec<ConfigError>) -> Self {
        let keys = SPECS
            .each_ref()
            .map(|spec| (spec.manifest_key, *spec.range.start()..=u64::MAX));
        Self(PerLimit(module.numbers("resources", &keys, errors)))
    }

    /// Reads the table `resources` of a manifest that has other keys for these limits, and none for
    /// the rest. Adds all faults to `errors`.
    pub(crate) fn read_as<const N: usize>(
        table: &Section,
        keys: [(&'static str, Limit); N],
        errors: &mut Vec<ConfigError>,
    ) -> Self {
        let ranges = keys.map(|(key, limit)| (key, *limit.spec().range.start()..=u64::MAX));
        let given = table.numbers("resources", &ranges, errors);
        let requests = keys
            .iter()
            .zip(given)
            .filter_map(|((_, limit), given)| Some((*limit, given?)));
        requests.fold(Self::default(), |requested, (limit, bound)| {
            requested.with(limit, bound)
        })
    }
}

/// The key in `[engine.limits]` for the memory of all modules together.
const TOTAL_MEMORY: &str = "total_memory_bytes";

/// The minimum is one WebAssembly page, as of a module's memory. The maximum is 64 TiB, more than
/// any machine has.
const TOTAL_MEMORY_RANGE: RangeInclusive<u64> = 65_536..=64 << 40;

/// A handler's use of each limit, in the unit of the limit's name.
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
    /// Adds to the use of a limit and returns the sum.
    pub fn add(&mut self, limit: Limit, amount: u64) -> u64 {
        let used = self.0.get_mut(limit);
        *used = used.saturating_add(amount);
        *used
    }

    /// Raises the use of each limit to that of `other` if it is larger there.
    pub fn raise(&mut self, other: &Self) {
        for (most, other) in self.0.0.iter_mut().zip(&other.0.0) {
            *most = (*most).max(*other);
        }
    }

    /// Sets the use of a limit.
    pub fn set(&mut self, limit: Limit, amount: u64) {
        *self.0.get_mut(limit) = amount;
    }
}

/// Converts `number`, or returns the largest `u32`: a larger count is refused or means no bound.
pub fn saturating_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Converts `number`, or returns the largest `usize`: a bound above what the machine can address is
/// no bound.
pub fn saturating_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
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
