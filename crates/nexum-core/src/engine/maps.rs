//! The kernel's bound on memory maps, which thousands of instances run into before any other.

use nexum_config::hint::Hint;

use super::pool::SPARE_INSTANCES;
use super::{Demand, Pooling};

/// Where Linux says how many memory maps a process may have.
const MAX_MAP_COUNT: &str = "/proc/sys/vm/max_map_count";

/// Maps of a fiber's stack: itself, and the page that guards its end.
const MAPS_PER_STACK: u64 = 2;
/// Maps of a linear memory: what is in use, and what is reserved behind it; a memory outside a pool also has its own guard
/// before it.
const MAPS_PER_MEMORY_POOLED: u64 = 2;
const MAPS_PER_MEMORY_ON_DEMAND: u64 = 3;
/// Maps of a compiled component: its code, and the data around it.
const MAPS_PER_COMPONENT: u64 = 2;

/// Maps that the process needs for everything else: its own code, libraries, threads, the allocator's arenas.
const MAPS_RESERVED: u64 = 2_048;

/// The modules need more memory maps than the kernel gives a process.
#[derive(Debug, thiserror::Error)]
#[error(
    "{instances} instances of modules need about {needed} memory maps, and this machine allows a process {allowed}"
)]
pub struct MapsError {
    /// Instances of the modules to be loaded.
    pub instances: u32,
    /// Maps that they need.
    pub needed: u64,
    /// Maps that the kernel gives.
    pub allowed: u64,
    /// Whether a pool, which needs fewer, could still be tried.
    pool_is_off: bool,
}

impl Hint for MapsError {
    fn hint(&self) -> Option<String> {
        let pooling = if self.pool_is_off {
            "set `pooling = \"auto\"` under [engine], or "
        } else {
            ""
        };
        Some(format!(
            "{pooling}raise the bound with `sysctl vm.max_map_count={}`, or run fewer modules",
            self.needed.saturating_mul(2)
        ))
    }
}

/// Refuses a demand that the kernel's bound cannot hold, so that nobody meets it as a failed instance.
pub(super) fn check(demand: &Demand, pooled: bool, pooling: Pooling) -> Result<(), MapsError> {
    let Some(allowed) = allowed() else {
        return Ok(());
    };
    let needed = needed(demand, pooled);
    if needed > allowed {
        return Err(MapsError {
            instances: demand.instances,
            needed,
            allowed,
            pool_is_off: pooling == Pooling::Off,
        });
    }
    Ok(())
}

/// The kernel's bound, where it has one.
fn allowed() -> Option<u64> {
    let text = std::fs::read_to_string(MAX_MAP_COUNT).ok()?;
    text.trim().parse().ok()
}

fn needed(demand: &Demand, pooled: bool) -> u64 {
    let (stacks, per_memory) = if pooled {
        // A pool lays out all of its stacks at once.
        (demand.instances.saturating_add(SPARE_INSTANCES), MAPS_PER_MEMORY_POOLED)
    } else {
        (demand.instances, MAPS_PER_MEMORY_ON_DEMAND)
    };
    u64::from(stacks) * MAPS_PER_STACK
        + u64::from(demand.memories) * per_memory
        + u64::from(demand.components) * MAPS_PER_COMPONENT
        + MAPS_RESERVED
}
