//! `[http]` of `engine.toml`, and `[capabilities.http]` of a manifest.

use std::ops::RangeInclusive;

use nexum_config::document::{ConfigError, ConfigErrors, Section};
use reqwest::Certificate;
use serde::Deserialize;

use crate::pattern::HostPattern;
use crate::policy::Policy;

/// How many entries a list of hosts may have. Each request is held against all of them, and nobody reviews as many.
pub const ENTRIES_MAX: usize = 1_000;

/// How long resolving a name, connecting and agreeing on TLS may take together, unless the operator says otherwise: several times
/// the way around the world, and a resolver's second try.
pub const CONNECT_TIMEOUT_MS: u64 = 3_000;

/// How long it may take until an answer begins, unless the operator says otherwise: half of an event's default deadline, so that the
/// module can ask somebody else.
pub const FIRST_BYTE_TIMEOUT_MS: u64 = 5_000;

/// How long a fetch may take, redirects included, unless the operator says otherwise: most of an event's default deadline.
pub const TIMEOUT_MS: u64 = 8_000;

/// What each of the times may be: an hour is as long as an event may take.
pub const TIMEOUT_MS_RANGE: RangeInclusive<u64> = 1..=3_600_000;

/// How large the body of an answer may be, unless the operator says otherwise: a price or a page of JSON is a thousandth of it, and a
/// module's memory holds it many times over.
pub const RESPONSE_BYTES_MAX: u64 = 1 << 20;

/// What `response_bytes_max` may be: an answer is in memory twice, for each module that fetches.
pub const RESPONSE_BYTES_MAX_RANGE: RangeInclusive<u64> = 1..=64 << 20;

/// Where modules may fetch from, and how long and how much.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Which destinations are allowed. Default: none.
    pub policy: Policy,
    /// The bound on resolving, connecting and agreeing on TLS. Default [`CONNECT_TIMEOUT_MS`].
    pub connect_timeout_ms: u64,
    /// The bound on the time until an answer begins, connecting included. Default [`FIRST_BYTE_TIMEOUT_MS`].
    pub first_byte_timeout_ms: u64,
    /// The bound on the time of a fetch, redirects included; a module may ask for less. Default [`TIMEOUT_MS`].
    pub timeout_ms: u64,
    /// The bound on the body of an answer. Default [`RESPONSE_BYTES_MAX`].
    pub response_bytes_max: u64,
    /// Certificates that are trusted beside those of the platform, whose store is where an operator puts one: no key of the file
    /// sets this. Default: none.
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
    connect_timeout_ms: Option<u64>,
    first_byte_timeout_ms: Option<u64>,
    timeout_ms: Option<u64>,
    response_bytes_max: Option<u64>,
}

impl HttpConfig {
    /// What each number may be, by its key.
    pub const RANGES: [(&str, RangeInclusive<u64>); 4] = [
        ("connect_timeout_ms", TIMEOUT_MS_RANGE),
        ("first_byte_timeout_ms", TIMEOUT_MS_RANGE),
        ("timeout_ms", TIMEOUT_MS_RANGE),
        ("response_bytes_max", RESPONSE_BYTES_MAX_RANGE),
    ];

    /// Validates the `[http]` table.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw = section.parse_all::<Raw>(&mut errors);
        for (key, range) in &Self::RANGES {
            errors.extend(section.out_of_range(key, range));
        }
        if let Some(raw) = &raw {
            for (key, list) in [
                ("allow", &raw.allow),
                ("allow_http", &raw.allow_http),
                ("allow_private", &raw.allow_private),
            ] {
                errors.extend(too_many(section, key, list));
                errors.extend(uncovered(section, key, list, &raw.allow));
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
            },
        }
    }
}

/// What a manifest says of HTTP.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    #[serde(default)]
    allow: Vec<HostPattern>,
}

/// Where a module may fetch from, as far as its manifest has a say.
///
/// # Errors
///
/// Everything that is wrong with its settings.
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

/// An entry that makes an exception for a host that is not allowed is a mistake: it means nothing.
fn uncovered(section: &Section, key: &str, list: &[HostPattern], allow: &[HostPattern]) -> Option<ConfigError> {
    let is_uncovered = |entry: &&HostPattern| !allow.iter().any(|allowed| allowed.covers(entry));
    let entry = list.iter().find(is_uncovered)?;
    let error = section.error(key, format!("`{entry}` is not in `allow`"));
    Some(error.with_hint("what is in this list has to be in `allow` too"))
}
