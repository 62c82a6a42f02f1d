//! Enforces a module's limits inside its store, and records the one that trips.

use std::fmt;

use nexum_config::limits::{Limit, LimitUsage, Limits};
use nexum_config::names::ModuleName;
use wasmtime::ResourceLimiter;

use crate::event::Handler;

/// How many linear memories, and how many tables, a store may hold: components of the common toolchains have up to ten
/// of each.
const ITEMS_PER_STORE_MAX: usize = 64;

/// The record of a limit that was exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    /// Which limit.
    pub limit: Limit,
    /// Its value, in the unit that its name says.
    pub bound: u64,
    /// How much was used, with what was asked for in the call that exceeded it.
    pub used: u64,
    /// Whose.
    pub module: ModuleName,
    /// What was running, with its event.
    pub handler: Handler,
    /// Which attempt at it this was; the first is 1.
    pub attempt: u32,
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "limit {} = {} exceeded in {} at {}",
            self.limit.name(),
            self.bound,
            self.handler,
            self.used
        )
    }
}

/// Counts what one store holds. The sums are over all memories and tables of a component: a bound for each alone could be
/// got around with many.
#[derive(Debug)]
pub struct Limiter {
    limits: Limits,
    used: LimitUsage,
    /// What the last growth asked for, to be given back if it fails after all.
    asked: u64,
    /// What was refused first, and how much would have been used with it.
    refused: Option<(Limit, u64)>,
}

impl Limiter {
    /// Nothing held yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            used: LimitUsage::default(),
            asked: 0,
            refused: None,
        }
    }

    /// What the store holds now of a limit.
    pub fn used(&self, limit: Limit) -> u64 {
        self.used[limit]
    }

    /// The first limit that has refused something since the last call, and how much would have been used.
    pub fn take_refused(&mut self) -> Option<(Limit, u64)> {
        self.refused.take()
    }

    /// Adds a growth to a sum unless that would pass the bound. A refusal is an ordinary answer to `memory.grow`, which a
    /// guest may get over; only if it then fails is the limit the reason.
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

    /// Gives the last growth back.
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
        usize::try_from(self.limits[Limit::Instances]).unwrap_or(usize::MAX)
    }

    fn tables(&self) -> usize {
        ITEMS_PER_STORE_MAX
    }

    fn memories(&self) -> usize {
        ITEMS_PER_STORE_MAX
    }
}
