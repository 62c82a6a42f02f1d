//! The messages about the limits of a module.

use nexum_config::limits::Limit;
use nexum_core::capability::ModuleMeta;
use nexum_core::module::{Consumption, is_measured};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A limit of a module, and the use of it by its handlers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Usage {
    /// The key of the limit in engine.toml, with its unit.
    pub(crate) limit: String,
    /// The most that a handler may use.
    pub(crate) bound: u64,
    /// The use by the last handler. None for a limit whose use is not measured.
    pub(crate) last: Option<u64>,
    /// The highest use in the ten to twenty minutes up to the last handler. None for a limit whose use is not measured.
    pub(crate) most: Option<u64>,
}

/// Every limit of a module, with its use.
pub(crate) fn usages(meta: &ModuleMeta, consumption: &Consumption) -> Vec<Usage> {
    let most = consumption.most();
    let usage = |limit: Limit| {
        let is_measured = is_measured(limit, meta.metering);
        Usage {
            limit: limit.name().to_owned(),
            bound: meta.limits[limit],
            last: is_measured.then(|| consumption.last()[limit]),
            most: is_measured.then(|| most[limit]),
        }
    };
    Limit::all().map(usage).collect()
}
