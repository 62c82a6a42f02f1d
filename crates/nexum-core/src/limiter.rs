//! Enforces a module's limits inside its store, and records the one that trips.

use std::fmt;

use wasmtime::ResourceLimiter;

use crate::event::Handler;
use crate::limits::Limits;
use crate::names::ModuleName;

/// How many linear memories, and how many tables, a store may hold: components of the common toolchains have up to ten
/// of each.
const ITEMS_PER_STORE_MAX: usize = 64;

/// What a module can use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Units of computation in one event.
    Fuel,
    /// Bytes in all linear memories together.
    Memory,
    /// Elements in all tables together.
    TableElements,
    /// Milliseconds of wall clock in one event, time in host calls included.
    Deadline,
    /// Calls of the local store in one event.
    StoreOperations,
    /// Bytes of keys and values written in one event.
    StoreBytesWritten,
}

impl Limit {
    /// The manifest's and config's word for it, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fuel => "fuel_per_event",
            Self::Memory => "memory_bytes",
            Self::TableElements => "table_elements",
            Self::Deadline => "event_deadline_ms",
            Self::StoreOperations => "store_operations_per_event",
            Self::StoreBytesWritten => "store_bytes_written_per_event",
        }
    }
}

/// The record of a limit that tripped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    /// Which limit.
    pub limit: Limit,
    /// Its value, in the unit that its name says.
    pub bound: u64,
    /// Whose.
    pub module: ModuleName,
    /// What was running, with its event.
    pub handler: Handler,
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "limit {} = {} tripped in {}",
            self.limit.name(),
            self.bound,
            self.handler
        )
    }
}

/// Counts what one store holds. The sums are over all memories and tables of a component: a bound for each alone could be
/// got around with many.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: Limits,
    memory_bytes: u64,
    table_elements: u64,
    /// What the last growth asked for, to be given back if it fails after all.
    asked: u64,
    tripped: Option<Limit>,
}

impl Limiter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            memory_bytes: 0,
            table_elements: 0,
            asked: 0,
            tripped: None,
        }
    }

    /// Bytes in all linear memories now.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// The first limit that has refused something since the last call.
    pub(crate) fn take_tripped(&mut self) -> Option<Limit> {
        self.tripped.take()
    }

    /// The value of a limit, in the unit that its name says.
    pub(crate) fn bound(&self, limit: Limit) -> u64 {
        match limit {
            Limit::Fuel => self.limits.fuel_per_event,
            Limit::Memory => self.limits.memory_bytes,
            Limit::TableElements => self.limits.table_elements,
            Limit::Deadline => self.limits.event_deadline_ms,
            Limit::StoreOperations => self.limits.store_operations_per_event,
            Limit::StoreBytesWritten => self.limits.store_bytes_written_per_event,
        }
    }

    /// Adds a growth to a sum unless that would pass the bound. A refusal is an ordinary answer to `memory.grow`, which a
    /// guest may get over; only if it then fails is the limit the reason.
    fn grow(&mut self, limit: Limit, used: u64, current: usize, desired: usize) -> Option<u64> {
        let asked = desired.saturating_sub(current) as u64;
        match used.checked_add(asked).filter(|sum| *sum <= self.bound(limit)) {
            Some(sum) => {
                self.asked = asked;
                Some(sum)
            }
            None => {
                self.asked = 0;
                self.tripped.get_or_insert(limit);
                None
            }
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let sum = self.grow(Limit::Memory, self.memory_bytes, current, desired);
        sum.inspect(|sum| self.memory_bytes = *sum);
        Ok(sum.is_some())
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes = self.memory_bytes.saturating_sub(std::mem::take(&mut self.asked));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let sum = self.grow(Limit::TableElements, self.table_elements, current, desired);
        sum.inspect(|sum| self.table_elements = *sum);
        Ok(sum.is_some())
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements = self.table_elements.saturating_sub(std::mem::take(&mut self.asked));
        Ok(())
    }

    fn instances(&self) -> usize {
        self.limits.instances as usize
    }

    fn tables(&self) -> usize {
        ITEMS_PER_STORE_MAX
    }

    fn memories(&self) -> usize {
        ITEMS_PER_STORE_MAX
    }
}
