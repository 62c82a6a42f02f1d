//! `[cluster]` of `engine.toml`: this process as a node of an installation of several processes.

use std::fs;

use nexum_config::document::ConfigError;
use nexum_config::engine::Config;
use nexum_store::cluster::ClusterConfig;
use nexum_store::{Backend, StoreConfig};

use crate::contract::CLUSTER_SECTION;

/// The file in which Linux has the name of the machine.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Reads the `[cluster]` section, if there is one. `store` is the valid `[store]` section, or `None` if it
/// has errors. Adds all errors to `errors`.
pub(crate) fn cluster(
    config: &Config,
    store: Option<&StoreConfig>,
    errors: &mut Vec<ConfigError>,
) -> Option<ClusterConfig> {
    let section = config.sections.get(CLUSTER_SECTION)?;
    if store.is_some_and(|store| store.backend != Backend::Postgres) {
        let error = section
            .location("")
            .error("only nodes with the back-end postgres share one state");
        errors.push(error.with_hint("set `[store] backend = \"postgres\"`, or remove [cluster] to run alone"));
    }
    let machine = fs::read_to_string(HOST_NAME).unwrap_or_default();
    let read = ClusterConfig::from_section(section, machine.trim_end());
    read.map_err(|found| errors.extend(found)).ok()
}
