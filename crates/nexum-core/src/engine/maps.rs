//! The kernel's bound on memory maps, which thousands of instances run into before any other.

use super::Demand;

/// Where Linux says how many memory maps a process may have.
const MAX_MAP_COUNT: &str = "/proc/sys/vm/max_map_count";

/// Memory maps of one module's instance, as measured with its stack after a first call.
const MAPS_PER_MODULE_ON_DEMAND: u64 = 7;
const MAPS_PER_MODULE_POOLED: u64 = 5;

/// Maps that the process needs for everything else: code, libraries, threads, compiled components.
const MAPS_RESERVED: u64 = 2_048;

/// The modules need more memory maps than the kernel gives a process.
#[derive(Debug, thiserror::Error)]
#[error("{modules} modules need about {needed} memory maps, and this machine allows a process {allowed}")]
pub struct MapsError {
    /// Modules to be loaded.
    pub modules: u32,
    /// Maps that they need.
    pub needed: u64,
    /// Maps that the kernel gives.
    pub allowed: u64,
    pooled: bool,
}

impl MapsError {
    /// What the operator can do about it.
    pub fn hint(&self) -> String {
        let pooling = if self.pooled {
            ""
        } else {
            "set `pooling = \"auto\"` under [engine], or "
        };
        format!(
            "{pooling}raise the bound with `sysctl vm.max_map_count={}`, or run fewer modules",
            self.needed * 2
        )
    }
}

/// Refuses a demand that the kernel's bound cannot hold, so that nobody meets it as a failed instance.
pub(super) fn check(demand: &Demand, pooled: bool) -> Result<(), MapsError> {
    let Some(allowed) = std::fs::read_to_string(MAX_MAP_COUNT)
        .ok()
        .and_then(|text| text.trim().parse().ok())
    else {
        return Ok(());
    };
    let per_module = if pooled {
        MAPS_PER_MODULE_POOLED
    } else {
        MAPS_PER_MODULE_ON_DEMAND
    };
    let needed = u64::from(demand.modules) * per_module + MAPS_RESERVED;
    if needed > allowed {
        return Err(MapsError {
            modules: demand.modules,
            needed,
            allowed,
            pooled,
        });
    }
    Ok(())
}
