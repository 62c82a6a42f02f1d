//! What a module may use: the operator's ceiling, the module's wish, and the smaller of both.

use std::ops::RangeInclusive;

/// The bounds that a module runs under.
///
/// The operator sets a ceiling in `[engine.limits]`, a manifest may wish for less in `[module.resources]`, and
/// [`Limits::meet`] takes the smaller of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units of fuel for one call of a handler. A unit is about one WebAssembly instruction. Default 1,000,000,000,
    /// which is about a second of computation.
    pub fuel_per_event: u64,
    /// Bytes of all linear memories of an instance together. Default 67,108,864 (64 MiB).
    pub memory_bytes: u64,
    /// Milliseconds of wall-clock time for one call of a handler, waiting in host calls included. Default 10,000.
    pub event_deadline_ms: u64,
    /// Elements of all tables of an instance together. Default 100,000: ten times what a large component of a
    /// compiled language needs for its function pointers, and under a megabyte of the host's memory.
    pub table_elements: u64,
    /// Core instances that make up one component instance. Default 64: a component of Rust or C has up to four, one
    /// that a JavaScript or Python tool links from shared libraries has a few dozen.
    pub instances: u32,
    /// Log records that one call of a handler may write; further ones are counted and dropped. Default 256.
    pub log_records_per_event: u32,
    /// Calls of the local store in one call of a handler. Default 10,000.
    pub store_operations_per_event: u64,
    /// Bytes of keys and values that one call of a handler may write, overwritten ones included. Default 1,048,576 (1 MiB).
    pub store_bytes_written_per_event: u64,
    /// Bytes of keys and values that a module may keep in the local store, which enforces it. Default 67,108,864
    /// (64 MiB).
    pub state_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel_per_event: 1_000_000_000,
            memory_bytes: 64 << 20,
            event_deadline_ms: 10_000,
            table_elements: 100_000,
            instances: 64,
            log_records_per_event: 256,
            store_operations_per_event: 10_000,
            store_bytes_written_per_event: 1 << 20,
            state_bytes: 64 << 20,
        }
    }
}

/// What a manifest asks for; what it leaves out is left to the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Wished [`Limits::fuel_per_event`].
    pub fuel_per_event: Option<u64>,
    /// Wished [`Limits::memory_bytes`].
    pub memory_bytes: Option<u64>,
    /// Wished [`Limits::event_deadline_ms`].
    pub event_deadline_ms: Option<u64>,
    /// Wished [`Limits::table_elements`].
    pub table_elements: Option<u64>,
    /// Wished [`Limits::instances`].
    pub instances: Option<u32>,
    /// Wished [`Limits::log_records_per_event`].
    pub log_records_per_event: Option<u32>,
    /// Wished [`Limits::store_operations_per_event`].
    pub store_operations_per_event: Option<u64>,
    /// Wished [`Limits::store_bytes_written_per_event`].
    pub store_bytes_written_per_event: Option<u64>,
    /// Wished [`Limits::state_bytes`].
    pub state_bytes: Option<u64>,
}

impl Limits {
    /// What an operator may set for each, by its key.
    pub const RANGES: [(&str, RangeInclusive<u64>); 9] = [
        // Up to about a day of computation, far over any deadline.
        ("fuel_per_event", 1..=100_000_000_000_000),
        // From one WebAssembly page to 64 GiB, which is sixteen full memories.
        ("memory_bytes", 65_536..=64 << 30),
        // Up to an hour: a module that hangs for longer is lost to its events.
        ("event_deadline_ms", 1..=3_600_000),
        // Up to 80 MB of the host's memory.
        ("table_elements", 1..=10_000_000),
        // More than any tool links.
        ("instances", 1..=1_000),
        // Tens of megabytes of log for one event.
        ("log_records_per_event", 1..=100_000),
        // Seconds of the host's time.
        ("store_operations_per_event", 1..=10_000_000),
        // An event's writes are in memory twice until they are committed.
        ("store_bytes_written_per_event", 1..=256 << 20),
        // Up to 1 TiB, a large disk.
        ("state_bytes", 1..=1 << 40),
    ];

    /// The limits a module gets: for each, the smaller of this ceiling and the module's wish.
    #[must_use]
    pub fn meet(self, wishes: &Wishes) -> Self {
        fn smaller<T: Ord>(ceiling: T, wish: Option<T>) -> T {
            match wish {
                Some(wish) => wish.min(ceiling),
                None => ceiling,
            }
        }
        Self {
            fuel_per_event: smaller(self.fuel_per_event, wishes.fuel_per_event),
            memory_bytes: smaller(self.memory_bytes, wishes.memory_bytes),
            event_deadline_ms: smaller(self.event_deadline_ms, wishes.event_deadline_ms),
            table_elements: smaller(self.table_elements, wishes.table_elements),
            instances: smaller(self.instances, wishes.instances),
            log_records_per_event: smaller(self.log_records_per_event, wishes.log_records_per_event),
            store_operations_per_event: smaller(self.store_operations_per_event, wishes.store_operations_per_event),
            store_bytes_written_per_event: smaller(
                self.store_bytes_written_per_event,
                wishes.store_bytes_written_per_event,
            ),
            state_bytes: smaller(self.state_bytes, wishes.state_bytes),
        }
    }
}

/// `number`, or the largest there is: a count that large is refused or means "no bound".
pub(crate) fn saturating_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
