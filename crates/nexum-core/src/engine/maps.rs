//! The kernel's limit on memory maps, the first limit that thousands of instances reach.

use nexum_config::hint::Hint;

use super::{Demand, Pooling};

/// The file in which Linux reports the most memory maps of a process.
const MAX_MAP_COUNT: &str = "/proc/sys/vm/max_map_count";

/// Maps per stack of a fiber: the stack, and the guard page at its end.
const MAPS_PER_STACK: u64 = 2;
/// Maps per linear memory: the used part, and the reserved part behind it. A memory outside a pool
/// also has its own guard before it.
const MAPS_PER_MEMORY_POOLED: u64 = 2;
const MAPS_PER_MEMORY_ON_DEMAND: u64 = 3;
/// Maps per compiled component: the code, and the data around it.
const MAPS_PER_COMPONENT: u64 = 2;

/// Maps for the rest of the process: code, libraries, threads, and the allocator's arenas.
const MAPS_RESERVED: u64 = 2_048;

/// The modules need more memory maps than the kernel allows a process.
#[derive(Debug, thiserror::Error)]
#[error(
    "{instances} module instances need about {needed} memory maps, but this machine allows a process only {allowed}"
)]
pub struct MapsError {
    /// The number of instances of the modules to load.
    pub instances: u32,
    /// The number of maps that these instances need.
    pub needed: u64,
    /// The number of maps that the kernel allows.
    pub allowed: u64,
    /// Whether the configuration turns the pool off. A pool needs fewer maps.
    pool_is_off: bool,
}

impl Hint for MapsError {
    fn hint(&self) -> Option<String> {
        let pooling = if self.pool_is_off {
            "set `pooling = \"auto\"` in [engine], or "
        } else {
            ""
        };
        Some(format!(
            "{pooling}raise the limit with `sysctl vm.max_map_count={}`, or run fewer modules",
            self.needed.saturating_mul(2)
        ))
    }
}

/// Refuses a demand above the kernel's limit, so that the operator sees the reason at the start
/// instead of a failed instance later.
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

/// The kernel's limit. `None` on a system without one.
fn allowed() -> Option<u64> {
    let text = std::fs::read_to_string(MAX_MAP_COUNT).ok()?;
    text.trim().parse().ok()
}

fn needed(demand: &Demand, pooled: bool) -> u64 {
    let (stacks, per_memory) = if pooled {
        // A pool maps all of its stacks at once.
        (demand.places(), MAPS_PER_MEMORY_POOLED)
    } else {
        (demand.instances, MAPS_PER_MEMORY_ON_DEMAND)
    };
    u64::from(stacks) * MAPS_PER_STACK
        + u64::from(demand.memories) * per_memory
        + u64::from(demand.components) * MAPS_PER_COMPONENT
        + MAPS_RESERVED
}
