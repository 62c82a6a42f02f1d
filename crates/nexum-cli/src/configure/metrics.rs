//! `[metrics]` of `engine.toml`: the port for metrics.

use std::fmt;
use std::net::SocketAddr;
#[cfg(feature = "runtime")]
use std::time::Duration;

#[cfg(feature = "runtime")]
use nexum_config::document::Defaults;
use nexum_config::document::{ConfigErrors, Section};
use serde::Deserialize;
use serde::de::{self, Deserializer};

/// The port for metrics. Default: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "runtime"),
    allow(dead_code, reason = "a build that only checks files measures nothing")
)]
pub(crate) struct MetricsConfig {
    /// The address of the port. Every client that reaches it can read the metrics.
    pub(crate) listen: Option<SocketAddr>,
    /// Host names with which clients may address the port, in lower case. IP addresses and
    /// `localhost` are always allowed.
    pub(crate) allowed_hosts: Vec<String>,
    /// How late a ready daemon may be.
    #[cfg(feature = "runtime")]
    pub(crate) ready: HealthBounds,
}

#[cfg(feature = "runtime")]
/// How late a healthy daemon may be. Without a bound, lateness is no problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HealthBounds {
    /// The most blocks that a module may have still to handle up to the head.
    pub(crate) behind: Option<u64>,
    /// The greatest age of a chain's head, by the head's own timestamp.
    pub(crate) head_age: Option<Duration>,
}

/// The most names: one for each proxy and scraper of an installation.
const HOSTS_MAX: usize = 16;

/// The most bytes of a name in the DNS (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(
    not(feature = "runtime"),
    allow(dead_code, reason = "a build that only checks files serves no port")
)]
struct Raw {
    listen: Option<String>,
    allowed_hosts: Vec<HostName>,
    ready_blocks_behind: Option<u64>,
    ready_head_age_seconds: Option<u64>,
}

/// A host name, in lower case.
struct HostName(String);

impl MetricsConfig {
    /// The keys with their default values.
    #[cfg(feature = "runtime")]
    pub(crate) fn defaults() -> Defaults {
        vec![
            ("listen", None),
            ("allowed_hosts", Some("[]".to_owned())),
            ("ready_blocks_behind", None),
            ("ready_head_age_seconds", None),
        ]
    }

    /// Reads the section `[metrics]`.
    ///
    /// # Errors
    ///
    /// All errors in the section.
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
        if raw.allowed_hosts.len() > HOSTS_MAX {
            errors.push(section.error("allowed_hosts", format!("expected {HOSTS_MAX} names at most")));
        }
        if raw.ready_head_age_seconds == Some(0) {
            let error = section.error("ready_head_age_seconds", "expected 1 or more");
            errors.push(error.with_hint("remove the key to accept any age"));
        }
        ConfigErrors::check(errors)?;
        Ok(Self {
            #[cfg(feature = "runtime")]
            ready: HealthBounds {
                behind: raw.ready_blocks_behind,
                head_age: raw.ready_head_age_seconds.map(Duration::from_secs),
            },
            listen,
            allowed_hosts: raw.allowed_hosts.into_iter().map(|host| host.0).collect(),
        })
    }
}

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A visitor, so that the error is one about this value.
        deserializer.deserialize_str(HostVisitor)
    }
}

struct HostVisitor;

impl de::Visitor<'_> for HostVisitor {
    type Value = HostName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host name")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HostName, E> {
        match is_host(text) {
            true => Ok(HostName(text.to_ascii_lowercase())),
            false => Err(E::custom(
                "is not a host name\nhint: write the name without scheme and port: \"nexum.example.org\"",
            )),
        }
    }
}

fn is_host(host: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=HOST_BYTES_MAX).contains(&host.len()) && host.chars().all(is_part)
}
