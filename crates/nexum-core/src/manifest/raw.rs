//! The parts of `nexum.toml` with a fixed set of keys, as they are written. Nothing but [`super::Manifest`] sees them.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::names::{Digest, ModuleName};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Module {
    pub(super) name: Option<ModuleName>,
    pub(super) version: Option<String>,
    pub(super) component: Option<Digest>,
    pub(super) resources: Resources,
    pub(super) restart: Restart,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Resources {
    pub(super) max_fuel_per_event: Option<u64>,
    pub(super) max_memory_bytes: Option<u64>,
    pub(super) max_event_deadline_ms: Option<u64>,
    pub(super) max_table_elements: Option<u64>,
    pub(super) max_instances: Option<u64>,
    pub(super) max_log_records_per_event: Option<u64>,
    pub(super) max_state_bytes: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Restart {
    pub(super) max_consecutive_failures: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Chains {
    pub(super) required: Vec<u64>,
    pub(super) optional: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockSubscription {
    /// Read before, to know which subscription it is.
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    pub(super) chain_id: u64,
}
