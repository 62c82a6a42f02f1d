//! Puts this build's capabilities together. No other file names capabilities.

use nexum_config::document::{ConfigError, ConfigErrors};
use nexum_config::engine::Config;
use nexum_core::capability::Capabilities;
use nexum_core::{Extension, Host, HostBuilder};
use nexum_store::StoreConfig;

use crate::contract::{CONTRACT, METRICS_SECTION, QUERY_SECTION, STORE_SECTION, Served};

/// The parts of this build, with a configuration.
pub(crate) struct Composition {
    /// A host with the capabilities and the sources.
    pub(crate) host: HostBuilder,
    /// The `[store]` section. Every build has durable cursors, even without the capability `store`.
    pub(crate) store: StoreConfig,
}

impl Composition {
    fn add(&mut self, extension: impl Extension) {
        self.host = std::mem::take(&mut self.host).with(extension);
    }
}

/// Builds the capabilities from their sections of the configuration. Does not use the network.
///
/// # Errors
///
/// All errors in the sections, and every section that this build does not read.
pub(crate) fn compose(config: &Config) -> Result<Composition, ConfigErrors> {
    let mut composition = Composition {
        host: Host::builder(),
        store: StoreConfig::default(),
    };
    let mut errors = Vec::new();
    for add in [chain::add, cow::add, http::add, store::add] {
        if let Err(found) = add(config, &mut composition) {
            errors.extend(found);
        }
    }
    match config.sections.get(STORE_SECTION).map(StoreConfig::from_section) {
        Some(Ok(store)) => composition.store = store,
        Some(Err(found)) => errors.extend(found),
        None => {}
    }
    let contract = CONTRACT.iter();
    composition.host = contract.fold(composition.host, |host, (name, interfaces, served)| match served {
        Served::By(feature) => host.absent(name, interfaces, feature),
        Served::Unserved(empty) => host.unserved(name, interfaces, empty),
    });
    errors.extend(unclaimed(config, composition.host.capabilities()));
    ConfigErrors::check(errors)?;
    Ok(composition)
}

/// An error for each section that no capability of this build has claimed.
fn unclaimed(config: &Config, capabilities: &Capabilities) -> Vec<ConfigError> {
    let error = |(name, section): (&String, &nexum_config::document::Section)| {
        let location = section.location("");
        match capabilities.missing_feature(name) {
            Some(Some(feature)) => location
                .error(format!("this build lacks the capability `{name}`"))
                .with_hint(format!("build nexum with `--features {feature}`")),
            Some(None) => location.error(format!("no build of this version has the capability `{name}`")),
            None => location
                .error("unknown section")
                .with_nearest(name, ["engine", "chains", METRICS_SECTION, "modules", QUERY_SECTION]),
        }
    };
    let claimed = [
        cow::SECTIONS,
        http::SECTIONS,
        &[METRICS_SECTION, QUERY_SECTION, STORE_SECTION],
    ]
    .concat();
    let is_claimed = |name: &str| claimed.contains(&name);
    let unclaimed = config.sections.iter().filter(|(name, _)| !is_claimed(name));
    unclaimed.map(error).collect()
}

#[cfg(not(feature = "cow"))]
use absent as cow;
#[cfg(not(feature = "http"))]
use absent as http;

#[cfg(feature = "chain")]
mod chain {
    use nexum_config::document::ConfigErrors;
    use nexum_config::engine::Config;
    use nexum_host_chain::Chains;

    use super::Composition;

    pub(super) const FEATURES: &[&str] = &["chain"];
    pub(super) const SILENCED_LOG_TARGETS: &[&str] = nexum_host_chain::SILENCED_LOG_TARGETS;
    pub(super) const DESCRIBE_METRICS: fn() = nexum_host_chain::metrics::describe;

    pub(super) fn add(config: &Config, composition: &mut Composition) -> Result<(), ConfigErrors> {
        let chains = Chains::from_sections(&config.chains)?;
        composition.add(chains);
        Ok(())
    }
}

#[cfg(not(feature = "chain"))]
mod chain {
    use nexum_config::document::ConfigErrors;
    use nexum_config::engine::Config;

    use super::Composition;

    pub(super) const FEATURES: &[&str] = &[];
    pub(super) const SILENCED_LOG_TARGETS: &[&str] = &[];
    pub(super) const DESCRIBE_METRICS: fn() = || {};

    pub(super) fn add(config: &Config, _composition: &mut Composition) -> Result<(), ConfigErrors> {
        let error = |section: &nexum_config::document::Section| {
            let error = section.location("").error("this build cannot connect to a chain");
            error.with_hint("build nexum with `--features chain`")
        };
        ConfigErrors::check(config.chains.values().map(error).collect())
    }
}

#[cfg(feature = "cow")]
mod cow {
    use nexum_config::document::ConfigErrors;
    use nexum_config::engine::Config;
    use nexum_host_cow::{Cow, CowConfig};

    use super::Composition;

    pub(super) const FEATURES: &[&str] = &["cow"];
    pub(super) const SECTIONS: &[&str] = &["cow"];
    pub(super) const SILENCED_LOG_TARGETS: &[&str] = nexum_host_cow::SILENCED_LOG_TARGETS;
    pub(super) const DESCRIBE_METRICS: fn() = nexum_host_cow::metrics::describe;

    pub(super) fn add(config: &Config, composition: &mut Composition) -> Result<(), ConfigErrors> {
        let section = config.sections.get("cow");
        let cow = section.map(CowConfig::from_section).transpose()?.unwrap_or_default();
        composition.add(Cow::new(&cow));
        Ok(())
    }
}

#[cfg(feature = "http")]
mod http {
    use nexum_config::document::ConfigErrors;
    use nexum_config::engine::Config;
    use nexum_host_http::{Http, HttpConfig};

    use super::Composition;

    pub(super) const FEATURES: &[&str] = &["http"];
    pub(super) const SECTIONS: &[&str] = &["http"];
    pub(super) const SILENCED_LOG_TARGETS: &[&str] = nexum_host_http::SILENCED_LOG_TARGETS;
    pub(super) const DESCRIBE_METRICS: fn() = nexum_host_http::metrics::describe;

    pub(super) fn add(config: &Config, composition: &mut Composition) -> Result<(), ConfigErrors> {
        let section = config.sections.get("http");
        let http = section.map(HttpConfig::from_section).transpose()?.unwrap_or_default();
        composition.add(Http::new(http));
        Ok(())
    }
}

/// A capability that this build lacks. Its section stays unclaimed, and is therefore refused.
#[cfg(not(all(feature = "cow", feature = "http")))]
mod absent {
    use nexum_config::document::ConfigErrors;
    use nexum_config::engine::Config;

    use super::Composition;

    pub(super) const FEATURES: &[&str] = &[];
    pub(super) const SECTIONS: &[&str] = &[];
    pub(super) const SILENCED_LOG_TARGETS: &[&str] = &[];
    pub(super) const DESCRIBE_METRICS: fn() = || {};

    pub(super) fn add(_config: &Config, _composition: &mut Composition) -> Result<(), ConfigErrors> {
        Ok(())
    }
}

#[cfg(feature = "store")]
mod store {
    use nexum_config::document::ConfigErrors;
    use nexum_config::engine::Config;
    use nexum_host_store::LocalStore;

    use super::Composition;

    pub(super) const FEATURES: &[&str] = &["store"];

    pub(super) fn add(_config: &Config, composition: &mut Composition) -> Result<(), ConfigErrors> {
        composition.add(LocalStore);
        Ok(())
    }
}

#[cfg(not(feature = "store"))]
mod store {
    use nexum_config::document::ConfigErrors;
    use nexum_config::engine::Config;

    use super::Composition;

    pub(super) const FEATURES: &[&str] = &[];

    pub(super) fn add(_config: &Config, _composition: &mut Composition) -> Result<(), ConfigErrors> {
        Ok(())
    }
}

/// The features that add back-ends of the state to the one in every build.
#[cfg(feature = "store-sled")]
const BACKENDS: &[&str] = &["store-sled"];
#[cfg(not(feature = "store-sled"))]
const BACKENDS: &[&str] = &[];

/// Log targets of libraries that log paths, which can contain the content of a variable: of the cache
/// of compiled components, of `--watch`, and of the state.
const PATH_LOG_TARGETS: &[&str] = &["wasmtime_internal_cache", "notify", "sled"];

/// Log targets of libraries that log addresses of endpoints with their keys, or paths. They must be
/// off at every log level.
pub(crate) fn silenced_log_targets() -> impl Iterator<Item = &'static str> {
    let targets = [
        PATH_LOG_TARGETS,
        chain::SILENCED_LOG_TARGETS,
        cow::SILENCED_LOG_TARGETS,
        http::SILENCED_LOG_TARGETS,
    ];
    targets.into_iter().flatten().copied()
}

/// Describes the metrics of the capabilities to the recorder.
pub(crate) fn describe_metrics() {
    for describe in [chain::DESCRIBE_METRICS, cow::DESCRIBE_METRICS, http::DESCRIBE_METRICS] {
        describe();
    }
}

/// The features of this build: its capabilities, and the back-ends of its state.
pub(crate) fn features() -> Vec<&'static str> {
    [
        &["runtime"],
        chain::FEATURES,
        cow::FEATURES,
        http::FEATURES,
        store::FEATURES,
        BACKENDS,
    ]
    .concat()
}

/// The version, with the features of this build.
pub(crate) fn version() -> String {
    format!("{} (features: {})", env!("CARGO_PKG_VERSION"), features().join(", "))
}
