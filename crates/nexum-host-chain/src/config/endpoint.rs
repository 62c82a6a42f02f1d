//! One endpoint of a chain: `[[chains.<id>.endpoints]]`, or the chain's `rpc_url`.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::RangeInclusive;

use nexum_config::document::{ConfigError, NumberRange, Section};
use nexum_config::limits::saturating_u32;
use serde::Deserialize;

use super::endpoint_url::EndpointUrl;
use nexum_net::HttpHeaders;

/// The range of `priority`: more values than there can be endpoints.
pub const PRIORITY_RANGE: RangeInclusive<u64> = 0..=1_000;

/// The range of `requests_per_second`. No provider sells more, and the rate limit stores the time
/// of each request.
pub const REQUESTS_PER_SECOND_RANGE: RangeInclusive<u64> = 1..=10_000;

/// The range of `max_log_range_blocks`: more blocks than any chain makes in a year, at four per
/// second.
pub const MAX_LOG_RANGE_BLOCKS_RANGE: RangeInclusive<u64> = 1..=200_000_000;

/// The range of `max_addresses`: up to the default number in a request.
pub const MAX_ADDRESSES_RANGE: RangeInclusive<u64> = 1..=1_000;

/// The validated table of an endpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// The address.
    pub url: EndpointUrl,
    /// nexum uses the endpoints with the lowest number as long as one of them works. Default 0.
    pub priority: u32,
    /// The most requests within any second. Each call of a batch counts. Default: no limit.
    pub requests_per_second: Option<NonZeroU32>,
    /// The most blocks in one `eth_getLogs`. Default: unknown.
    pub max_log_range_blocks: Option<NonZeroU64>,
    /// The most addresses, and the most first topics, in one `eth_getLogs`. Default: unknown.
    pub max_addresses: Option<NonZeroU64>,
    /// Headers of each http request, or of the ws handshake, in addition to the usual ones.
    pub headers: HttpHeaders,
}

impl From<EndpointUrl> for EndpointConfig {
    /// An endpoint with defaults.
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

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    url: Option<EndpointUrl>,
    priority: u64,
    requests_per_second: Option<u64>,
    max_log_range_blocks: Option<u64>,
    max_addresses: Option<u64>,
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

    /// Validates one table of `[[chains.<id>.endpoints]]`. Adds its errors to `errors`.
    pub(super) fn from_section(section: &Section, errors: &mut Vec<ConfigError>) -> Option<Self> {
        let raw = section.parse_bounded::<Raw>(&Self::RANGES, errors)?;
        let url = section.required("url", raw.url, errors);
        let headers = HttpHeaders::read(section, &raw.headers, errors);
        if !headers.is_empty() && url.as_ref().is_some_and(EndpointUrl::is_ipc) {
            errors.push(section.error("headers", "an ipc socket takes no headers"));
        }
        Some(Self {
            url: url?,
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
