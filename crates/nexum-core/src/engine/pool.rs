//! The size of an instance pool.
//!
//! Invariant: no module uses up the places of another. The pool has as many places as all modules
//! together can fill, because the compilation refuses a component that needs more than the counted
//! maximum.

use wasmtime::PoolingAllocationConfig;

use nexum_config::component::Summary;
use nexum_config::limits::{Limit, Limits, saturating_u32, saturating_usize};

/// The needs of a run's modules, counted before the first compilation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The most concurrent instances. A module has one for events, and as many for queries as its
    /// pool allows.
    pub instances: u32,
    /// The most concurrent instances of one module.
    pub module_instances_max: u32,
    /// The number of different components.
    pub components: u32,
    /// The number of linear memories of all these instances together.
    pub memories: u32,
    /// The most core instances of one module.
    pub core_instances_max: u32,
    /// The most linear memories of one module.
    pub memories_max: u32,
    /// The most tables of one module.
    pub tables_max: u32,
    /// The largest memory limit of one module, in bytes.
    pub memory_bytes_max: u64,
    /// The largest limit on table elements of one module.
    pub table_elements_max: u64,
}

impl Default for Demand {
    /// No module, with room for the components of the common Rust and C toolchains.
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            instances: 0,
            module_instances_max: 1,
            components: 0,
            memories: 0,
            core_instances_max: saturating_u32(limits[Limit::Instances]),
            memories_max: 1,
            tables_max: 4,
            memory_bytes_max: limits[Limit::Memory],
            table_elements_max: limits[Limit::TableElements],
        }
    }
}

/// The least number of extra places in the pool: for modules that the operator adds to the running
/// daemon, and for the new instances of a reloaded module while the old ones still exist. A module
/// with more instances raises the number, so that its reload has room.
const SPARE_INSTANCES_MIN: u32 = 16;

/// The largest internal data of an instance that fits a place, in bytes. It is ten times that of a
/// component with an interpreter inside.
const INSTANCE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The largest size of one linear memory, in bytes, for any limit on a module's sum.
const MEMORY_BYTES_MAX: u64 = 1 << 32;

impl Demand {
    /// Adds a module with this many concurrent instances. The caller counts the different
    /// components.
    pub fn add(&mut self, summary: &Summary, limits: &Limits, instances: u32) {
        self.instances = self.instances.saturating_add(instances);
        self.module_instances_max = self.module_instances_max.max(instances);
        let memories = summary.memories.saturating_mul(instances);
        self.memories = self.memories.saturating_add(memories);
        self.core_instances_max = self.core_instances_max.max(summary.core_instances);
        self.memories_max = self.memories_max.max(summary.memories);
        self.tables_max = self.tables_max.max(summary.tables);
        self.memory_bytes_max = self.memory_bytes_max.max(limits[Limit::Memory]);
        self.table_elements_max = self.table_elements_max.max(limits[Limit::TableElements]);
    }

    /// The number of places for instances.
    pub(super) fn places(&self) -> u32 {
        let spare = self.module_instances_max.max(SPARE_INSTANCES_MIN);
        self.instances.saturating_add(spare)
    }

    pub(super) fn pool(&self) -> PoolingAllocationConfig {
        let instances = self.places();
        let memory_bytes = self.memory_bytes_max.min(MEMORY_BYTES_MAX);
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_stacks(instances)
            .total_core_instances(instances.saturating_mul(self.core_instances_max))
            .total_memories(instances.saturating_mul(self.memories_max))
            .total_tables(instances.saturating_mul(self.tables_max))
            .max_core_instances_per_component(self.core_instances_max)
            .max_memories_per_component(self.memories_max)
            .max_memories_per_module(self.memories_max)
            .max_tables_per_component(self.tables_max)
            .max_tables_per_module(self.tables_max)
            .max_memory_size(saturating_usize(memory_bytes))
            .table_elements(saturating_usize(self.table_elements_max))
            .max_component_instance_size(INSTANCE_BYTES_MAX)
            .max_core_instance_size(INSTANCE_BYTES_MAX);
        pool
    }
}
