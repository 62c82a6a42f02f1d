//! The raw form of those parts of `nexum.toml` that have a fixed set of keys. Only
//! [`super::Manifest`] uses these types.

pub(super) mod component_toml;
mod log;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::files::FilesName;
use crate::manifest::{CatchUp, Missed};
use crate::names::{Digest, ModuleName};

pub use log::event_signature;
pub(super) use log::{AnyOf, ContractAddress, EventSignature};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Module {
    pub(super) name: Option<ModuleName>,
    pub(super) version: Option<String>,
    pub(super) description: Option<String>,
    pub(super) authors: Vec<String>,
    pub(super) component: Option<Digest>,
    pub(super) files: Option<FilesName>,
    /// The modules `limits`, `restart` and `query` read their own tables.
    #[serde(rename = "resources")]
    _resources: Option<IgnoredAny>,
    #[serde(rename = "restart")]
    _restart: Option<IgnoredAny>,
    #[serde(rename = "query")]
    _query: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Chains {
    pub(super) required: Vec<u64>,
    pub(super) optional: Vec<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BlockSubscription {
    /// The reader takes the kind first, to choose the type.
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    pub(super) chain_id: Option<u64>,
    pub(super) confirmations: Option<u64>,
    pub(super) finality: Option<Finality>,
    pub(super) from_block: Option<u64>,
    pub(super) catch_up: CatchUp,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogSubscription {
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    pub(super) chain_id: Option<u64>,
    pub(super) confirmations: Option<u64>,
    pub(super) finality: Option<Finality>,
    pub(super) from_block: Option<u64>,
    pub(super) address: Option<ContractAddress>,
    pub(super) addresses: Option<Vec<ContractAddress>>,
    pub(super) event_signature: Option<EventSignature>,
    pub(super) topics: Vec<AnyOf>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CronSubscription {
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    pub(super) schedule: Option<String>,
    pub(super) missed: Missed,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Finality {
    Latest,
    Safe,
    Finalized,
}
