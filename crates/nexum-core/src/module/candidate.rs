//! A module before its compilation.

use std::collections::BTreeSet;
use std::sync::Arc;

use nexum_config::component::{ModuleKind, Summary};
use nexum_config::engine::ModuleConfig;
use nexum_config::limits::Limit;
use nexum_config::manifest::Subscription;
use nexum_config::names::ModuleName;
use nexum_config::query::QueryBounds;
use nexum_config::restart::Restart;
use nexum_config::topic::ChainId;

use super::memory::Reservation;
use crate::capability::grant::Grant;
use crate::capability::module_meta::ModuleMeta;
use crate::engine::Demand;

/// A module that has passed every check that needs no compiler.
#[derive(Debug)]
pub struct Candidate {
    /// The operator's entry for the module.
    pub origin: ModuleConfig,
    /// The module's properties that every part of the host may use.
    pub meta: Arc<ModuleMeta>,
    /// The interface and needs of the component.
    pub summary: Summary,
    /// The capabilities and imports that the module may use.
    pub grant: Grant,
    /// The module's subscriptions. Every chain in them is configured.
    pub subscriptions: Vec<Subscription>,
    /// The chains that the module needs. Each of them is configured.
    pub required_chains: BTreeSet<ChainId>,
    /// The module's retry policy.
    pub restart: Restart,
    /// The parts of the module.
    pub kind: ModuleKind,
    /// The bounds on the module's queries. They apply only if it answers queries.
    pub query: QueryBounds,
    /// The module whose rows the queries read. `None` for their own module.
    pub reads: Option<ModuleName>,
    /// Warnings for the operator. None of them keeps the module from running.
    pub warnings: Vec<String>,
    pub(super) memory: Option<Reservation>,
    pub(super) bytes: Arc<Vec<u8>>,
}

/// The most concurrent instances of a module with these parts.
pub(super) fn instances(kind: ModuleKind, query: QueryBounds) -> u32 {
    let pool = if kind.has_pool() { query.pool_size_max } else { 0 };
    // Before the compilation, nexum does not know whether a function writes.
    let has_runner = kind.handles_events || kind.has_functions;
    u32::from(has_runner).saturating_add(pool)
}

impl Candidate {
    /// The most concurrent instances of the module: one for events and writeable functions, and those
    /// of its pool.
    pub fn instances(&self) -> u32 {
        instances(self.kind, self.query)
    }

    /// The upper limit for the linear memory of all these instances together, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.meta.limits[Limit::Memory].saturating_mul(u64::from(self.instances()))
    }

    /// The size of the component, in bytes.
    pub fn component_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Logs the warnings.
    pub fn log_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!(module = self.meta.name.as_str(), "{warning}");
        }
    }

    /// Counts the needs of these candidates.
    pub fn demand<'a>(candidates: impl IntoIterator<Item = &'a Self>) -> Demand {
        let mut demand = Demand::default();
        let mut components = BTreeSet::new();
        for candidate in candidates {
            demand.add(&candidate.summary, &candidate.meta.limits, candidate.instances());
            components.insert(candidate.meta.digest.as_bytes());
        }
        demand.components = u32::try_from(components.len()).unwrap_or(u32::MAX);
        demand
    }
}
