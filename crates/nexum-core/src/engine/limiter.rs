//! Enforces a module's limits inside its store, and records the exceeded one.

use std::fmt;

use nexum_config::limits::{Limit, LimitUsage, Limits, saturating_usize};
use nexum_config::names::ModuleName;
use wasmtime::ResourceLimiter;

use crate::event::Handler;

/// The most linear memories, and the most tables, of one store. Components of the common toolchains
/// have up to ten of each.
const ITEMS_PER_STORE_MAX: usize = 64;

/// The record of an exceeded limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    /// The exceeded limit.
    pub limit: Limit,
    /// The value of the limit, in the unit of the limit's name.
    pub bound: u64,
    /// The use at the moment of the record, including the request that exceeded the limit.
    pub used: u64,
    /// The module that exceeded the limit.
    pub module: ModuleName,
    /// The running handler and its event.
    pub handler: Handler,
    /// The number of the attempt, from 1.
    pub attempt: u32,
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "limit {} = {} exceeded in {}: used {}",
            self.limit.name(),
            self.bound,
            self.handler,
            self.used
        )
    }
}

/// Counts the memory and tables of one store. The sums cover all memories and tables of a
/// component, because a component could evade a bound on each with many of them.
#[derive(Debug)]
pub struct Limiter {
    limits: Limits,
    used: LimitUsage,
    /// The size of the last growth, to subtract if the growth fails.
    asked: u64,
    /// The first refused limit, and the use that the refused growth would have reached.
    refused: Option<(Limit, u64)>,
}

impl Limiter {
    /// A limiter for an empty store.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            used: LimitUsage::default(),
            asked: 0,
            refused: None,
        }
    }

    /// The store's current use of a limit.
    pub fn used(&self, limit: Limit) -> u64 {
        self.used[limit]
    }

    /// The first limit that refused a growth since the last call of this function, and the use that
    /// the growth would have reached.
    pub fn take_refused(&mut self) -> Option<(Limit, u64)> {
        self.refused.take()
    }

    /// Adds a growth to a sum, unless the sum would exceed the limit. A refusal is a normal result
    /// of `memory.grow`, which a guest can handle. The limit is the reason of a failure only if the
    /// guest then fails.
    fn grow(&mut self, limit: Limit, current: usize, desired: usize) -> bool {
        let asked = desired.saturating_sub(current) as u64;
        let sum = self.used[limit].saturating_add(asked);
        let fits = sum <= self.limits[limit];
        if fits {
            self.used.set(limit, sum);
        } else {
            self.refused.get_or_insert((limit, sum));
        }
        self.asked = if fits { asked } else { 0 };
        fits
    }

    /// Subtracts the last growth.
    fn shrink(&mut self, limit: Limit) {
        let used = self.used[limit].saturating_sub(std::mem::take(&mut self.asked));
        self.used.set(limit, used);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(Limit::Memory, current, desired))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.shrink(Limit::Memory);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(Limit::TableElements, current, desired))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.shrink(Limit::TableElements);
        Ok(())
    }

    fn instances(&self) -> usize {
        saturating_usize(self.limits[Limit::Instances])
    }

    fn tables(&self) -> usize {
        ITEMS_PER_STORE_MAX
    }

    fn memories(&self) -> usize {
        ITEMS_PER_STORE_MAX
    }
}
