//! Puts this build's capabilities together. The one file that names them.

use std::sync::Arc;

use nexum_core::ambient::Seams;
use nexum_core::capability::Capabilities;
use nexum_core::config::Config;
use nexum_core::document::{ConfigError, ConfigErrors};
use nexum_core::source::EventSource;

/// What this build can do with a configuration.
pub(crate) struct Composition {
    pub(crate) capabilities: Capabilities,
    pub(crate) sources: Vec<Arc<dyn EventSource>>,
}

/// Every capability of the contract that is not ambient: its name, its interfaces, and the cargo feature of this crate
/// that brings it, if there is one.
const CONTRACT: [(&str, &[&str], Option<&str>); 7] = [
    ("chain", &["nexum:host/chain@0.2.0"], Some("chain")),
    ("cow", &["shepherd:cow/cow-api@0.2.0"], None),
    ("http", &["nexum:host/http@0.2.0"], None),
    ("identity", &["nexum:host/identity@0.2.0"], None),
    ("messaging", &["nexum:host/messaging@0.2.0"], None),
    ("remote-store", &["nexum:host/remote-store@0.2.0"], None),
    ("store", &["nexum:host/local-store@0.2.0"], None),
];

/// Builds the capabilities from their sections of the configuration. Touches no network.
///
/// # Errors
///
/// Everything that is wrong with the sections, and every section that nothing in this build reads.
pub(crate) fn compose(config: &Config, seams: Seams) -> Result<Composition, ConfigErrors> {
    let mut composition = Composition {
        capabilities: Capabilities::ambient(seams),
        sources: Vec::new(),
    };
    let mut errors = Vec::new();
    if let Err(found) = chain::add(config, &mut composition) {
        errors.extend(found);
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
    let error = |(name, section): (&String, &nexum_core::document::Section)| {
        let place = section.place("");
        match capabilities.missing_feature(name) {
            Some(Some(feature)) => place
                .error(format!("this build lacks the capability `{name}`"))
                .with_hint(format!("build nexum with `--features {feature}`")),
            Some(None) => place.error(format!("no build of this version has the capability `{name}`")),
            None => place
                .error("unknown section")
                .with_nearest(name, ["engine", "chains", "modules"]),
        }
    };
    config.sections.iter().map(error).collect()
}

#[cfg(feature = "chain")]
mod chain {
    use nexum_core::config::Config;
    use nexum_core::document::ConfigErrors;
    use nexum_host_chain::Chains;

    use super::Composition;

    pub(super) const FEATURE: Option<&str> = Some("chain");
    pub(super) const SILENCED_LOG_TARGETS: &[&str] = nexum_host_chain::SILENCED_LOG_TARGETS;

    pub(super) fn add(config: &Config, composition: &mut Composition) -> Result<(), ConfigErrors> {
        let chains = Chains::from_sections(&config.chains)?;
        composition.capabilities = composition.capabilities.clone().with(chains.capability());
        composition.sources.extend(chains.sources());
        Ok(())
    }
}

#[cfg(not(feature = "chain"))]
mod chain {
    use nexum_core::config::Config;
    use nexum_core::document::ConfigErrors;

    use super::Composition;

    pub(super) const FEATURE: Option<&str> = None;
    pub(super) const SILENCED_LOG_TARGETS: &[&str] = &[];

    pub(super) fn add(config: &Config, _composition: &mut Composition) -> Result<(), ConfigErrors> {
        let error = |section: &nexum_core::document::Section| {
            let error = section.place("").error("this build cannot connect to a chain");
            error.with_hint("build nexum with `--features chain`")
        };
        ConfigErrors::check(config.chains.values().map(error).collect())
    }
}

/// Log targets of libraries that write endpoints' addresses, keys and all, at some level: never to be shown.
pub(crate) fn silenced_log_targets() -> impl Iterator<Item = &'static str> {
    chain::SILENCED_LOG_TARGETS.iter().copied()
}

/// The version with the features that are compiled in.
pub(crate) fn version() -> String {
    let features: Vec<_> = [chain::FEATURE].into_iter().flatten().collect();
    let features = if features.is_empty() {
        "none".to_owned()
    } else {
        features.join(", ")
    };
    format!("{} (features: {features})", env!("CARGO_PKG_VERSION"))
}
