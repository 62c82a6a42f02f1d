//! What is known of a module before it is compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::memory::Reservation;
use crate::ambient::Clock;
use crate::component::Summary;
use crate::config::{Metering, ModuleConfig};
use crate::document::Section;
use crate::engine::Demand;
use crate::event::ChainId;
use crate::grant::Grant;
use crate::limits::{Limit, Limits};
use crate::manifest::Subscription;
use crate::names::{Digest, ModuleName};
use crate::query::QueryBounds;
use crate::recorder::Recorder;
use crate::restart::Restart;

/// What every part of the host may know of a module.
#[derive(Clone, Debug)]
pub struct ModuleMeta {
    /// Unique in the process.
    pub name: ModuleName,
    /// The author's version, if the manifest gives one.
    pub version: Option<String>,
    /// The component's SHA-256.
    pub digest: Digest,
    /// The manifest file's SHA-256; none where there is no manifest.
    pub manifest: Option<Digest>,
    /// What ends it when it computes without end.
    pub metering: Metering,
    /// What it may use: where the operator's ceiling and the manifest's wish meet.
    pub limits: Limits,
    /// What `init` is called with.
    pub config: Vec<(String, String)>,
    /// The manifest's own settings for a capability, by the capability's name.
    pub settings: BTreeMap<String, Section>,
    /// Where its log records go.
    pub recorder: Arc<Recorder>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl ModuleMeta {
    /// The same for an instance that runs at the same time as others of its module.
    pub(crate) fn beside(&self) -> Self {
        Self {
            recorder: Arc::new(self.recorder.beside()),
            ..self.clone()
        }
    }
}

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
