//! The raw form of those parts of `component.toml` that have a fixed set of keys.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{ContractAddress, EventSignature};
use crate::names::{Digest, ModuleName};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::manifest) struct Component {
    pub(in crate::manifest) name: Option<ModuleName>,
    pub(in crate::manifest) version: Option<String>,
    pub(in crate::manifest) digest: Option<Digest>,
    /// The module `limits` reads the table.
    #[serde(rename = "resources")]
    _resources: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::manifest) struct BlockTrigger {
    /// The reader takes the kind first, to choose the type.
    #[serde(rename = "on")]
    _on: Option<IgnoredAny>,
    pub(in crate::manifest) chain_id: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::manifest) struct EventTrigger {
    #[serde(rename = "on")]
    _on: Option<IgnoredAny>,
    pub(in crate::manifest) chain_id: Option<u64>,
    pub(in crate::manifest) address: Option<ContractAddress>,
    pub(in crate::manifest) event_signature: Option<EventSignature>,
    pub(in crate::manifest) start_block: Option<u64>,
    /// No effect: nexum always continues where the module was.
    #[serde(rename = "resume")]
    _resume: Option<bool>,
    /// The reader gives a notice about it.
    #[serde(rename = "max_lookback")]
    _max_lookback: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::manifest) struct ScheduleTrigger {
    #[serde(rename = "on")]
    _on: Option<IgnoredAny>,
    pub(in crate::manifest) cron: Option<String>,
}
