//! `[chains.<id>]` of `engine.toml`.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use nexum_core::document::{ConfigError, ConfigErrors, Section};
use nexum_core::event::ChainId;
use serde::Deserialize;

use crate::endpoint_url::EndpointUrl;
use crate::methods::CONNECTION_METHODS;
use crate::requests::METHOD_BYTES_MAX;

/// How long one request may take, unless the operator says otherwise: a slow `eth_getLogs` takes a few seconds.
pub const REQUEST_TIMEOUT_MS: u64 = 10_000;

/// What `request_timeout_ms` may be: an hour is longer than any node works on a request.
pub const REQUEST_TIMEOUT_MS_RANGE: RangeInclusive<u64> = 1..=3_600_000;

/// How large an answer may be, unless the operator says otherwise: the largest blocks with all their transactions take
/// about 4 MiB, and 10,000 logs, where most providers stop, about 10 MiB.
pub const RESPONSE_BYTES_MAX: u64 = 16 * 1_024 * 1_024;

/// What `response_bytes_max` may be. Less would not hold the blocks that the source itself reads; and an answer is in memory
/// about three times while it is taken apart.
pub const RESPONSE_BYTES_MAX_RANGE: RangeInclusive<u64> = 1_024 * 1_024..=1_024 * 1_024 * 1_024;

/// How often an http endpoint is asked for its head, unless the operator says otherwise: the block time of the quick among
/// the large chains, and 43,200 requests a day, which fits into providers' free plans.
pub const POLL_INTERVAL_MS: u64 = 2_000;

/// What `poll_interval_ms` may be: quicker is no chain, and slower than a minute is an outage.
pub const POLL_INTERVAL_MS_RANGE: RangeInclusive<u64> = 10..=60_000;

/// How many methods `extra_methods` may hold: more than any node has.
pub const EXTRA_METHODS_MAX: usize = 256;

/// One chain, validated.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChainConfig {
    /// The EIP-155 chain id, which the endpoint must confirm.
    pub chain_id: ChainId,
    /// The endpoint.
    pub rpc_url: EndpointUrl,
    /// Methods that modules may call beside [`READ_METHODS`](crate::methods::READ_METHODS).
    pub extra_methods: BTreeSet<String>,
    /// The bound on the time of one request, connecting included. Default [`REQUEST_TIMEOUT_MS`].
    pub request_timeout_ms: u64,
    /// The bound on an answer's size, of a whole batch over http. Default [`RESPONSE_BYTES_MAX`].
    pub response_bytes_max: usize,
    /// How often an endpoint that cannot push is asked for its head. Default [`POLL_INTERVAL_MS`].
    pub poll_interval_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    rpc_url: EndpointUrl,
    #[serde(default)]
    extra_methods: Vec<String>,
    #[serde(default = "default_request_timeout_ms")]
    request_timeout_ms: u64,
    #[serde(default = "default_response_bytes_max")]
    response_bytes_max: u64,
    #[serde(default = "default_poll_interval_ms")]
    poll_interval_ms: u64,
}

fn default_request_timeout_ms() -> u64 {
    REQUEST_TIMEOUT_MS
}

fn default_response_bytes_max() -> u64 {
    RESPONSE_BYTES_MAX
}

fn default_poll_interval_ms() -> u64 {
    POLL_INTERVAL_MS
}

impl ChainConfig {
    /// A chain with this endpoint, and every default.
    pub fn new(chain_id: ChainId, rpc_url: EndpointUrl) -> Self {
        Self {
            chain_id,
            rpc_url,
            extra_methods: BTreeSet::new(),
            request_timeout_ms: REQUEST_TIMEOUT_MS,
            response_bytes_max: narrow(RESPONSE_BYTES_MAX),
            poll_interval_ms: POLL_INTERVAL_MS,
        }
    }

    /// Validates a `[chains.<id>]` table.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn from_section(chain_id: ChainId, section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw = section.parse_all::<Raw>(&mut errors);
        if let Some(raw) = &raw {
            errors.extend(check_range(
                section,
                "request_timeout_ms",
                raw.request_timeout_ms,
                REQUEST_TIMEOUT_MS_RANGE,
            ));
            errors.extend(check_range(
                section,
                "response_bytes_max",
                raw.response_bytes_max,
                RESPONSE_BYTES_MAX_RANGE,
            ));
            errors.extend(check_range(
                section,
                "poll_interval_ms",
                raw.poll_interval_ms,
                POLL_INTERVAL_MS_RANGE,
            ));
            errors.extend(check_methods(section, &raw.extra_methods));
        }
        ConfigErrors::check(errors)?;
        // `parse_all` gives nothing only with an error.
        let raw = raw.ok_or_else(|| ConfigErrors::from(section.error("", "expected the table of a chain")))?;
        Ok(Self {
            extra_methods: raw.extra_methods.into_iter().collect(),
            request_timeout_ms: raw.request_timeout_ms,
            response_bytes_max: narrow(raw.response_bytes_max),
            poll_interval_ms: raw.poll_interval_ms,
            ..Self::new(chain_id, raw.rpc_url)
        })
    }
}

/// More than a machine can address is no bound.
fn narrow(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn check_range<T: PartialOrd + Display>(
    section: &Section,
    key: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Option<ConfigError> {
    if range.contains(&value) {
        return None;
    }
    Some(section.error(key, format!("must be from {} to {}", range.start(), range.end())))
}

fn check_methods(section: &Section, methods: &[String]) -> Option<ConfigError> {
    let key = "extra_methods";
    if methods.len() > EXTRA_METHODS_MAX {
        return Some(section.error(key, format!("must not name more than {EXTRA_METHODS_MAX} methods")));
    }
    let word =
        |method: &str| (1..=METHOD_BYTES_MAX).contains(&method.len()) && method.chars().all(|c| c.is_ascii_graphic());
    if methods.iter().any(|method| !word(method)) {
        return Some(section.error(
            key,
            format!("must hold method names of 1 to {METHOD_BYTES_MAX} printable characters"),
        ));
    }
    let method = methods
        .iter()
        .find(|method| CONNECTION_METHODS.contains(&method.as_str()))?;
    Some(section.error(
        key,
        format!("{method} cannot be allowed: its answers belong to a connection that modules share"),
    ))
}
