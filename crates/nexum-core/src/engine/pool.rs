//! How large a pool of instances has to be.

use wasmtime::PoolingAllocationConfig;

use crate::component::Summary;
use crate::limits::Limits;

/// What the modules of a run need, counted before anything is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Modules, each with one instance at a time.
    pub modules: u32,
    /// Core instances of all modules together.
    pub core_instances: u32,
    /// Linear memories of all modules together.
    pub memories: u32,
    /// The largest memory bound of any module, in bytes.
    pub memory_bytes_max: u64,
    /// The largest bound on table elements of any module.
    pub table_elements_max: u64,
}

impl Default for Demand {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            modules: 0,
            core_instances: 0,
            memories: 0,
            memory_bytes_max: limits.memory_bytes,
            table_elements_max: limits.table_elements,
        }
    }
}

/// Room in the pool beyond the modules that are known: for those that are added while the process runs.
const SPARE_MODULES: u32 = 16;
/// What a module outside the count may need; components of the common toolchains stay below.
const SPARE_CORE_INSTANCES: u32 = 16;
const SPARE_MEMORIES: u32 = 16;

/// The largest component's own bookkeeping that fits a slot: ten times that of a component with an interpreter inside.
const INSTANCE_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Demand {
    /// Adds a module.
    pub fn add(&mut self, summary: &Summary, limits: &Limits) {
        self.modules = self.modules.saturating_add(1);
        self.core_instances = self.core_instances.saturating_add(summary.core_instances);
        self.memories = self.memories.saturating_add(summary.memories);
        self.memory_bytes_max = self.memory_bytes_max.max(limits.memory_bytes);
        self.table_elements_max = self.table_elements_max.max(limits.table_elements);
    }

    pub(super) fn pool(&self) -> PoolingAllocationConfig {
        let modules = self.modules.saturating_add(SPARE_MODULES);
        let core_instances = self.core_instances.saturating_add(SPARE_CORE_INSTANCES);
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(modules)
            .total_stacks(modules)
            .total_core_instances(core_instances)
            .total_memories(self.memories.saturating_add(SPARE_MEMORIES))
            .total_tables(core_instances.saturating_mul(2))
            .max_memory_size(usize::try_from(self.memory_bytes_max).unwrap_or(usize::MAX))
            .table_elements(usize::try_from(self.table_elements_max).unwrap_or(usize::MAX))
            .max_component_instance_size(INSTANCE_BYTES_MAX)
            .max_core_instance_size(INSTANCE_BYTES_MAX);
        pool
    }
}
