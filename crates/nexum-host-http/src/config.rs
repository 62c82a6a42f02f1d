//! `[http]` of `engine.toml`, and `[capabilities.http]` of a manifest.

use std::ops::RangeInclusive;

use nexum_config::document::{ConfigError, ConfigErrors, Defaults, ERRORS_MAX, NumberRange, Section};
use reqwest::Certificate;
use serde::Deserialize;

use crate::pattern::HostPattern;
use crate::policy::Policy;

/// The most entries in a list of hosts. Each request is compared with all of them, and no operator
/// reviews more.
pub const ENTRIES_MAX: usize = 1_000;

/// Default of `connect_timeout_ms`, for name resolution, connection and TLS handshake together:
/// several round trips around the world, and one retry of the resolver.
pub const CONNECT_TIMEOUT_MS: u64 = 3_000;

/// Default of `first_byte_timeout_ms`: half of an event's default deadline, so that the module can
/// ask another server.
pub const FIRST_BYTE_TIMEOUT_MS: u64 = 5_000;

/// Default of `timeout_ms`, for a fetch with its redirects: most of an event's default deadline.
pub const TIMEOUT_MS: u64 = 8_000;

/// The range of each timeout: up to an hour, the longest deadline of an event.
pub const TIMEOUT_MS_RANGE: RangeInclusive<u64> = 1..=3_600_000;

/// Default of `response_bytes_max`, for the body of a response: a thousand times a price or a page
/// of JSON, and a small part of a module's memory.
pub const RESPONSE_BYTES_MAX: u64 = 1 << 20;

/// The range of `response_bytes_max`. A response is in memory twice, for each module that fetches.
pub const RESPONSE_BYTES_MAX_RANGE: RangeInclusive<u64> = 1..=64 << 20;

/// The validated `[http]` table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpConfig {
    /// The allowed destinations. Default: none.
    pub policy: Policy,
    /// Limit of name resolution, connection and TLS handshake, in milliseconds. Default
    /// [`CONNECT_TIMEOUT_MS`].
    pub connect_timeout_ms: u64,
    /// Limit of the time to the first byte of a response, including the connection, in
    /// milliseconds. Default [`FIRST_BYTE_TIMEOUT_MS`].
    pub first_byte_timeout_ms: u64,
    /// Limit of a fetch with its redirects, in milliseconds. A module may request less. Default
    /// [`TIMEOUT_MS`].
    pub timeout_ms: u64,
    /// Limit of a response's body, in bytes. Default [`RESPONSE_BYTES_MAX`].
    pub response_bytes_max: u64,
    /// Trusted certificates besides the platform's. No key of `engine.toml` sets it: an operator
    /// adds a certificate to the platform's store. Default: none.
    pub certificates: Vec<Certificate>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            connect_timeout_ms: CONNECT_TIMEOUT_MS,
            first_byte_timeout_ms: FIRST_BYTE_TIMEOUT_MS,
            timeout_ms: TIMEOUT_MS,
            response_bytes_max: RESPONSE_BYTES_MAX,
            certificates: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    allow: Vec<HostPattern>,
    #[serde(default)]
    allow_http: Vec<HostPattern>,
    #[serde(default)]
    allow_private: Vec<HostPattern>,
    #[serde(default)]
    idempotent: Vec<HostPattern>,
    connect_timeout_ms: Option<u64>,
    first_byte_timeout_ms: Option<u64>,
    timeout_ms: Option<u64>,
    response_bytes_max: Option<u64>,
}

impl HttpConfig {
    /// The range of each number, by its key.
    const RANGES: [NumberRange; 4] = [
        ("connect_timeout_ms", TIMEOUT_MS_RANGE),
        ("first_byte_timeout_ms", TIMEOUT_MS_RANGE),
        ("timeout_ms", TIMEOUT_MS_RANGE),
        ("response_bytes_max", RESPONSE_BYTES_MAX_RANGE),
    ];

    /// The keys with their default values, by table.
    pub fn defaults() -> Vec<(&'static str, Defaults)> {
        let none = || Some("[]".to_owned());
        let number = |number: u64| Some(number.to_string());
        let keys = vec![
            ("allow", none()),
            ("allow_http", none()),
            ("allow_private", none()),
            ("idempotent", none()),
            ("connect_timeout_ms", number(CONNECT_TIMEOUT_MS)),
            ("first_byte_timeout_ms", number(FIRST_BYTE_TIMEOUT_MS)),
            ("timeout_ms", number(TIMEOUT_MS)),
            ("response_bytes_max", number(RESPONSE_BYTES_MAX)),
        ];
        vec![("http", keys)]
    }

    /// Validates the `[http]` table.
    ///
    /// # Errors
    ///
    /// All errors in the table.
    pub fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw = section.parse_bounded::<Raw>(&Self::RANGES, &mut errors);
        if let Some(raw) = &raw {
            for (key, list) in [
                ("allow", &raw.allow),
                ("allow_http", &raw.allow_http),
                ("allow_private", &raw.allow_private),
                ("idempotent", &raw.idempotent),
            ] {
                errors.extend(too_many(section, key, list));
                // A faulty entry of `allow` may cover the others.
                if !section.is_faulty("allow", &errors) {
                    errors.extend(uncovered(section, key, list, &raw.allow));
                }
            }
        }
        ConfigErrors::check(errors)?;
        Ok(raw.map(Self::from).unwrap_or_default())
    }
}

impl From<Raw> for HttpConfig {
    fn from(raw: Raw) -> Self {
        Self {
            connect_timeout_ms: raw.connect_timeout_ms.unwrap_or(CONNECT_TIMEOUT_MS),
            first_byte_timeout_ms: raw.first_byte_timeout_ms.unwrap_or(FIRST_BYTE_TIMEOUT_MS),
            timeout_ms: raw.timeout_ms.unwrap_or(TIMEOUT_MS),
            response_bytes_max: raw.response_bytes_max.unwrap_or(RESPONSE_BYTES_MAX),
            certificates: Vec::new(),
            policy: Policy {
                allow: raw.allow,
                allow_http: raw.allow_http,
                allow_private: raw.allow_private,
                idempotent: raw.idempotent,
            },
        }
    }
}

/// The table `[capabilities.http]` of a manifest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    #[serde(default)]
    allow: Vec<HostPattern>,
}

/// Reads the hosts that a manifest allows.
///
/// # Errors
///
/// All errors in the settings.
pub(crate) fn wanted(settings: &Section) -> Result<Vec<HostPattern>, ConfigErrors> {
    let mut errors = Vec::new();
    let raw = settings.parse_all::<RawSettings>(&mut errors);
    let allow = raw.map(|raw| raw.allow).unwrap_or_default();
    errors.extend(too_many(settings, "allow", &allow));
    ConfigErrors::check(errors)?;
    Ok(allow)
}

fn too_many(section: &Section, key: &str, list: &[HostPattern]) -> Option<ConfigError> {
    (list.len() > ENTRIES_MAX).then(|| section.error(key, format!("expected at most {ENTRIES_MAX} hosts")))
}

/// An error for each entry of `allow_http` or `allow_private` that is not in `allow`: it would have
/// no effect.
fn uncovered<'a>(
    section: &'a Section,
    key: &'a str,
    list: &'a [HostPattern],
    allow: &'a [HostPattern],
) -> impl Iterator<Item = ConfigError> + 'a {
    let is_uncovered = move |entry: &&HostPattern| !allow.iter().any(|allowed| allowed.covers(entry));
    let error = move |entry: &HostPattern| {
        let error = section.error(key, format!("`{entry}` is not in `allow`"));
        error.with_hint("add the entry to `allow` too")
    };
    list.iter().filter(is_uncovered).take(ERRORS_MAX).map(error)
}
