//! Puts this build's capabilities together. The one file that names them.

use std::sync::Arc;

use nexum_config::document::{ConfigError, ConfigErrors};
use nexum_config::engine::Config;
use nexum_core::bus::source::EventSource;
use nexum_core::capability::registry::Capabilities;
use nexum_core::clock::Seams;
#[cfg(feature = "store")]
use nexum_core::store::StateStore;

#[cfg(feature = "store")]
use crate::report::Refusals;

#[cfg(feature = "store")]
pub(crate) use nexum_host_store::{TransferError, backup, export, import};

use crate::contract::{CONTRACT, METRICS_SECTION, QUERY_SECTION};

pub(crate) use store::State;

/// What this build can do with a configuration.
pub(crate) struct Composition {
    pub(crate) capabilities: Capabilities,
    pub(crate) sources: Vec<Arc<dyn EventSource>>,
    pub(crate) state: State,
}

/// Builds the capabilities from their sections of the configuration. Touches no network.
///
/// # Errors
///
/// Everything that is wrong with the sections, and every section that nothing in this build reads.
pub(crate) fn compose(config: &Config, seams: Seams) -> Result<Composition, ConfigErrors> {
    let mut composition = Composition {
        capabilities: Capabilities::ambient(seams),
        sources: Vec::new(),
        state: State::default(),
    };
    let mut errors = Vec::new();
    for add in [chain::add, cow::add, http::add, store::add] {
        if let Err(found) = add(config, &mut composition) {
            errors.extend(found);
        }
    }
    composition.capabilities = CONTRACT
        .iter()
        .fold(composition.capabilities, |capabilities, (name, interfaces, feature)| {
            capabilities.absent(name, interfaces, *feature)
        });
    errors.extend(unclaimed(config, &composition.capabilities));
    ConfigErrors::check(errors)?;
    Ok(composition)
}

/// An error for each section that no capability of this build has claimed.
fn unclaimed(config: &Config, capabilities: &Capabilities) -> Vec<ConfigError> {
    let error = |(name, section): (&String, &nexum_config::document::Section)| {
        let place = section.place("");
        match capabilities.missing_feature(name) {
            Some(Some(feature)) => place
                .error(format!("this build lacks the capability `{name}`"))
                .with_hint(format!("build nexum with `--features {feature}`")),
            Some(None) => place.error(format!("no build of this version has the capability `{name}`")),
            None => place
                .error("unknown section")
                .with_nearest(name, ["engine", "chains", METRICS_SECTION, "modules", QUERY_SECTION]),
        }
    };
    let claimed = [
        cow::SECTIONS,
        http::SECTIONS,
        store::SECTIONS,
        &[METRICS_SECTION, QUERY_SECTION],
    ]
    .concat();
    let is_claimed = |name: &str| claimed.contains(&name);
    let unclaimed = config.sections.iter().filter(|(name, _)| !is_claimed(name));
    unclaimed.map(error).collect()
}

/// Opens the state alone, for what does not run modules. `purpose` is told to others who try to open it meanwhile.
///
/// # Errors
///
/// Everything that is wrong with the configuration, and why the state cannot be opened.
#[cfg(feature = "store")]
pub(crate) fn open_state(config: &Config, purpose: &str) -> Result<Arc<dyn StateStore>, Refusals> {
    let composition = compose(config, Seams::system())?;
    Ok(composition.state.open(config, purpose)?)
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
        composition.capabilities = composition.capabilities.clone().with(chains.capability());
        composition.sources.extend(chains.sources());
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
            let error = section.place("").error("this build cannot connect to a chain");
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
        composition.capabilities = composition.capabilities.clone().with(Cow::new(&cow));
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
        composition.capabilities = composition.capabilities.clone().with(Http::new(http));
        Ok(())
    }
}

/// A capability that is not in this build. Its section has nobody who reads it, which is what refuses it.
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

/// State that outlives the process.
#[cfg(feature = "store")]
mod store {
    use std::sync::Arc;

    use nexum_config::document::ConfigErrors;
    use nexum_config::engine::Config;
    use nexum_core::store::StateStore;
    use nexum_core::store::committer::CommitPolicy;
    use nexum_host_store::{LocalStore, StoreConfig};

    use super::Composition;
    use crate::report::Refusal;

    #[cfg(feature = "store-sled")]
    pub(super) const FEATURES: &[&str] = &["store", "store-sled"];
    #[cfg(not(feature = "store-sled"))]
    pub(super) const FEATURES: &[&str] = &["store"];
    pub(super) const SECTIONS: &[&str] = &["store"];

    #[derive(Default)]
    pub(crate) struct State(StoreConfig);

    pub(super) fn add(config: &Config, composition: &mut Composition) -> Result<(), ConfigErrors> {
        if let Some(section) = config.sections.get("store") {
            composition.state = State(StoreConfig::from_section(section)?);
        }
        composition.capabilities = composition.capabilities.clone().with(LocalStore);
        Ok(())
    }

    impl State {
        /// Blocks on the disk.
        pub(crate) fn open(&self, config: &Config, purpose: &str) -> Result<Arc<dyn StateStore>, Refusal> {
            let opened = self.0.open(&config.state_dir, purpose);
            opened.map_err(|error| Refusal::of(&error).with_hint_of(error.hint()))
        }

        pub(crate) fn policy(&self) -> CommitPolicy {
            self.0.policy
        }
    }
}

/// State that is gone with the process.
#[cfg(not(feature = "store"))]
mod store {
    use std::sync::Arc;

    use nexum_config::document::ConfigErrors;
    use nexum_config::engine::Config;
    use nexum_core::store::committer::CommitPolicy;
    use nexum_core::store::{MemoryStore, StateStore};

    use super::Composition;
    use crate::report::Refusal;

    pub(super) const FEATURES: &[&str] = &[];
    pub(super) const SECTIONS: &[&str] = &[];

    #[derive(Default)]
    pub(crate) struct State(());

    pub(super) fn add(_config: &Config, _composition: &mut Composition) -> Result<(), ConfigErrors> {
        Ok(())
    }

    impl State {
        pub(crate) fn open(&self, _config: &Config, _purpose: &str) -> Result<Arc<dyn StateStore>, Refusal> {
            Ok(Arc::new(MemoryStore::new()))
        }

        pub(crate) fn policy(&self) -> CommitPolicy {
            CommitPolicy::default()
        }
    }
}

/// Log targets of libraries that write endpoints' addresses, keys and all, at some level: never to be shown.
pub(crate) fn silenced_log_targets() -> impl Iterator<Item = &'static str> {
    let targets = [
        chain::SILENCED_LOG_TARGETS,
        cow::SILENCED_LOG_TARGETS,
        http::SILENCED_LOG_TARGETS,
    ];
    targets.into_iter().flatten().copied()
}

/// Tells the recorder what the capabilities' metrics mean.
pub(crate) fn describe_metrics() {
    for describe in [chain::DESCRIBE_METRICS, cow::DESCRIBE_METRICS, http::DESCRIBE_METRICS] {
        describe();
    }
}

/// The features that are compiled in: the capabilities that this build can grant, and the back-ends that some of them have.
pub(crate) fn features() -> Vec<&'static str> {
    [
        &["runtime"],
        chain::FEATURES,
        cow::FEATURES,
        http::FEATURES,
        store::FEATURES,
    ]
    .concat()
}

/// The version with the features that are compiled in.
pub(crate) fn version() -> String {
    format!("{} (features: {})", env!("CARGO_PKG_VERSION"), features().join(", "))
}
