//! How large a pool of instances has to be.
//!
//! Invariant: no module can use up another's place. The pool has as many places as all modules together can fill, because
//! a component that needs more than the most that was counted is refused when it is compiled.

use wasmtime::PoolingAllocationConfig;

use nexum_config::component::Summary;
use nexum_config::limits::{Limit, Limits, saturating_u32};

/// What the modules of a run need, counted before anything is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Instances that there can be at a time: one of a module that reacts to events, as many of one that answers queries as its
    /// pool may have.
    pub instances: u32,
    /// Different components among them.
    pub components: u32,
    /// Linear memories of all these instances together.
    pub memories: u32,
    /// The most core instances of any module.
    pub core_instances_max: u32,
    /// The most linear memories of any module.
    pub memories_max: u32,
    /// The most tables of any module.
    pub tables_max: u32,
    /// The largest memory bound of any module, in bytes.
    pub memory_bytes_max: u64,
    /// The largest bound on table elements of any module.
    pub table_elements_max: u64,
}

impl Default for Demand {
    /// No module, and room for what the common toolchains make of Rust or C.
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            instances: 0,
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

/// Room in the pool beyond the modules that are known: for those that are added while the process runs, and for the new one of a
/// module that is reloaded while the old one is still there.
pub(super) const SPARE_INSTANCES: u32 = 16;

/// The largest component's own bookkeeping that fits a slot: ten times that of a component with an interpreter inside.
const INSTANCE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How large a linear memory can become, whatever the bound on a module's sum.
const MEMORY_BYTES_MAX: u64 = 1 << 32;

impl Demand {
    /// Adds a module that has so many instances at a time. Whether its component is another than those before is for the caller
    /// to count.
    pub fn add(&mut self, summary: &Summary, limits: &Limits, instances: u32) {
        self.instances = self.instances.saturating_add(instances);
        let memories = summary.memories.saturating_mul(instances);
        self.memories = self.memories.saturating_add(memories);
        self.core_instances_max = self.core_instances_max.max(summary.core_instances);
        self.memories_max = self.memories_max.max(summary.memories);
        self.tables_max = self.tables_max.max(summary.tables);
        self.memory_bytes_max = self.memory_bytes_max.max(limits[Limit::Memory]);
        self.table_elements_max = self.table_elements_max.max(limits[Limit::TableElements]);
    }

    /// How many instances there is room for.
    pub(super) fn places(&self) -> usize {
        usize::try_from(self.instances.saturating_add(SPARE_INSTANCES)).unwrap_or(usize::MAX)
    }

    pub(super) fn pool(&self) -> PoolingAllocationConfig {
        let instances = self.instances.saturating_add(SPARE_INSTANCES);
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
            .max_memory_size(usize::try_from(memory_bytes).unwrap_or(usize::MAX))
            .table_elements(usize::try_from(self.table_elements_max).unwrap_or(usize::MAX))
            .max_component_instance_size(INSTANCE_BYTES_MAX)
            .max_core_instance_size(INSTANCE_BYTES_MAX);
        pool
    }
}
