//! `[metrics]` of `engine.toml`: where metrics can be read.

use std::net::SocketAddr;

use nexum_config::document::{ConfigErrors, Section};
use serde::Deserialize;

/// Whether and where metrics can be read. Default: nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "runtime"),
    allow(dead_code, reason = "a build that only checks files measures nothing")
)]
pub(crate) struct MetricsConfig {
    /// The address that they are served on, to every client that reaches it.
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    listen: Option<String>,
}

impl MetricsConfig {
    /// Reads the section `[metrics]`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw: Raw = section.parse_all(&mut errors).unwrap_or_default();
        let listen = raw.listen.and_then(|listen| {
            let address = listen.parse();
            address
                .inspect_err(|_| {
                    let error = section.error("listen", "expected an IP address and a port");
                    errors.push(error.with_hint("for example \"127.0.0.1:9464\""));
                })
                .ok()
        });
        ConfigErrors::check(errors)?;
        Ok(Self { listen })
    }
}
