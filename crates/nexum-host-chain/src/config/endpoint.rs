//! One endpoint of a chain: `[[chains.<id>.endpoints]]`, or the chain's `rpc_url`.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::RangeInclusive;

use nexum_config::document::{ConfigError, NumberRange, Section};
use nexum_config::limits::saturating_u32;
use serde::Deserialize;

use super::endpoint_url::EndpointUrl;
use super::http_headers::HttpHeaders;

/// What `priority` may be: more steps than there may be endpoints.
pub const PRIORITY_RANGE: RangeInclusive<u64> = 0..=1_000;

/// What `requests_per_second` may be. Nobody sells more, and the times of as many requests are kept.
pub const REQUESTS_PER_SECOND_RANGE: RangeInclusive<u64> = 1..=10_000;

/// What `max_log_range_blocks` may be: more blocks than any chain has in a year, at four a second.
pub const MAX_LOG_RANGE_BLOCKS_RANGE: RangeInclusive<u64> = 1..=200_000_000;

/// What `max_addresses` may be: up to what a request names where the operator does not say.
pub const MAX_ADDRESSES_RANGE: RangeInclusive<u64> = 1..=1_000;

/// An endpoint, validated.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// Where it is.
    pub url: EndpointUrl,
    /// Endpoints of the lowest number are used as long as one of them works. Default 0.
    pub priority: u32,
    /// How many requests it may get within any second; each call of a batch counts. Default: no bound.
    pub requests_per_second: Option<NonZeroU32>,
    /// How many blocks one `eth_getLogs` may span on it. Default: not known.
    pub max_log_range_blocks: Option<NonZeroU64>,
    /// How many addresses, and how many first topics, one `eth_getLogs` may name on it. Default: not known.
    pub max_addresses: Option<NonZeroU64>,
    /// What each http request, or the ws handshake, has beside the usual headers.
    pub headers: HttpHeaders,
}

impl From<EndpointUrl> for EndpointConfig {
    /// An endpoint with every default.
    fn from(url: EndpointUrl) -> Self {
        Self {
            url,
            priority: 0,
            requests_per_second: None,
            max_log_range_blocks: None,
            max_addresses: None,
            headers: HttpHeaders::default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    url: EndpointUrl,
    #[serde(default)]
    priority: u64,
    requests_per_second: Option<u64>,
    max_log_range_blocks: Option<u64>,
    max_addresses: Option<u64>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

impl EndpointConfig {
    /// The range of each number, by its key.
    const RANGES: [NumberRange; 4] = [
        ("priority", PRIORITY_RANGE),
        ("requests_per_second", REQUESTS_PER_SECOND_RANGE),
        ("max_log_range_blocks", MAX_LOG_RANGE_BLOCKS_RANGE),
        ("max_addresses", MAX_ADDRESSES_RANGE),
    ];

    /// Validates one table of `[[chains.<id>.endpoints]]`, and adds to `errors` what is wrong with it.
    pub(super) fn from_section(section: &Section, errors: &mut Vec<ConfigError>) -> Option<Self> {
        let raw = section.parse_bounded::<Raw>(&Self::RANGES, errors)?;
        let headers = HttpHeaders::new(&raw.headers).unwrap_or_else(|error| {
            // Of the table, because an error about a value shows it.
            errors.push(section.error("headers", error.to_string()));
            HttpHeaders::default()
        });
        if !headers.is_empty() && raw.url.is_ipc() {
            errors.push(section.error("headers", "an ipc socket takes no headers"));
        }
        Some(Self {
            url: raw.url,
            priority: saturating_u32(raw.priority),
            requests_per_second: raw
                .requests_per_second
                .and_then(|value| NonZeroU32::new(saturating_u32(value))),
            max_log_range_blocks: raw.max_log_range_blocks.and_then(NonZeroU64::new),
            max_addresses: raw.max_addresses.and_then(NonZeroU64::new),
            headers,
        })
    }
}
