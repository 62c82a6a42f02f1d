//! What is known of a module before it is compiled.

use std::collections::BTreeSet;
use std::sync::Arc;

use nexum_config::component::Summary;
use nexum_config::engine::ModuleConfig;
use nexum_config::limits::Limit;
use nexum_config::manifest::Subscription;
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
    /// Where it came from.
    pub origin: ModuleConfig,
    /// What every part of the host may know of it.
    pub meta: Arc<ModuleMeta>,
    /// What is in the component.
    pub summary: Summary,
    /// What it may call.
    pub grant: Grant,
    /// What it is told about. Every chain in it is configured.
    pub subscriptions: Vec<Subscription>,
    /// The chains that it cannot be without. Each is configured.
    pub required_chains: BTreeSet<ChainId>,
    /// What happens when it fails.
    pub restart: Restart,
    /// How many calls it takes, if it answers queries.
    pub query: Option<QueryBounds>,
    /// What the operator should know, though it keeps nothing from working.
    pub warnings: Vec<String>,
    pub(super) memory: Option<Reservation>,
    pub(super) bytes: Arc<Vec<u8>>,
}

impl Candidate {
    /// How many instances it has at a time.
    pub fn instances(&self) -> u32 {
        self.query.map_or(1, |query| query.pool_size_max)
    }

    /// Bytes of linear memory that all these may have together.
    pub fn memory_bytes(&self) -> u64 {
        self.meta.limits[Limit::Memory].saturating_mul(u64::from(self.instances()))
    }

    /// Logs the warnings.
    pub fn log_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!(module = self.meta.name.as_str(), "{warning}");
        }
    }

    /// Counts what these candidates need of an engine.
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
