//! From the command line to a host: the code that `run` and `check` share.

use nexum_config::engine::Config;
use nexum_core::HostBuilder;
use nexum_store::StoreConfig;

use crate::args::{Load, config_path};
use crate::compiler::compiler;
use crate::compose::{Composition, compose};
use crate::configure::wanted;
use crate::report::Refusals;

/// The directory of compiled components, in the state directory.
const CACHE_DIR: &str = "cache";

/// The parts that exist before nexum reads a module.
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) store: StoreConfig,
    /// The host, with every part except the store.
    pub(crate) host: HostBuilder,
}

impl Plan {
    /// Puts the build's capabilities and the configuration together.
    pub(crate) fn new(config: Config, load: &Load) -> Result<Self, Refusals> {
        let Composition { host, store } = compose(&config)?;
        let host = host
            .limits(config.limits)
            .restart(config.restart)
            .query_bounds(config.query)
            .total_memory_bytes(config.total_memory_bytes)
            .pooling(config.pooling)
            .cache_dir(config.state_dir.join(CACHE_DIR))
            .private(config.state_dir.clone())
            .private(config_path(load.config.as_deref()).0)
            .compiler(compiler());
        let host = wanted(&config, load)?.into_iter().fold(host, HostBuilder::module);
        Ok(Self { config, store, host })
    }
}
