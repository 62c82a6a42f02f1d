//! `[cow]` and `[cow.<chain id>]` of `engine.toml`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use alloy_primitives::Address;
use nexum_config::document::{ConfigError, ConfigErrors, Defaults, NumberRange, Section};
use nexum_config::topic::ChainId;
use nexum_net::HttpHeaders;
use serde::Deserialize;

use crate::base_url::BaseUrl;
use crate::public;

/// Default of `requests_per_second`: the rate that the public order book accepts from one address.
pub const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(5).unwrap();

/// The range of `requests_per_second`. No order book needs more, and the rate limit stores the time
/// of each request in the window.
pub const REQUESTS_PER_SECOND_RANGE: RangeInclusive<u64> = 1..=10_000;

/// Default of `request_timeout_ms`: the order book prices an order, so a post takes up to a few
/// seconds. Half of an event's default deadline leaves time for a second attempt.
pub const REQUEST_TIMEOUT_MS: u64 = 5_000;

/// The range of `request_timeout_ms`: up to an hour, the longest deadline of an event.
pub const REQUEST_TIMEOUT_MS_RANGE: RangeInclusive<u64> = 1..=3_600_000;

/// The validated `[cow]` table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CowConfig {
    /// The rate limit per host, across all modules and chains. Default [`REQUESTS_PER_SECOND`].
    pub requests_per_second: NonZeroU32,
    /// Limit of one attempt at a request, including the connection, in milliseconds. Default
    /// [`REQUEST_TIMEOUT_MS`].
    pub request_timeout_ms: u64,
    /// Whether requests go through the proxy that `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` names.
    /// Default: no, because such a proxy sees the keys in `http` URLs.
    pub use_proxy: bool,
    /// The operator's settings for the order books of single chains. Default: none.
    pub chains: BTreeMap<ChainId, ChainConfig>,
}

/// The validated `[cow.<chain id>]` table.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ChainConfig {
    /// The order book. Default: the public one, if the chain has one.
    pub base_url: Option<BaseUrl>,
    /// The settlement contract that orders are signed for. Default: the one of the order book's
    /// environment.
    pub settlement: Option<Address>,
    /// The headers of each request, for example a partner's key. Default: none.
    pub headers: HttpHeaders,
}

impl Default for CowConfig {
    fn default() -> Self {
        Self {
            requests_per_second: REQUESTS_PER_SECOND,
            request_timeout_ms: REQUEST_TIMEOUT_MS,
            use_proxy: false,
            chains: BTreeMap::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    requests_per_second: Option<u64>,
    request_timeout_ms: Option<u64>,
    #[serde(default)]
    use_proxy: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawChain {
    base_url: Option<BaseUrl>,
    settlement: Option<Address>,
    headers: BTreeMap<String, String>,
}

impl CowConfig {
    /// The range of each number, by its key.
    const RANGES: [NumberRange; 2] = [
        ("requests_per_second", REQUESTS_PER_SECOND_RANGE),
        ("request_timeout_ms", REQUEST_TIMEOUT_MS_RANGE),
    ];

    /// The keys with their default values, by table. `*` is a chain id.
    pub fn defaults() -> Vec<(&'static str, Defaults)> {
        let all = vec![
            ("requests_per_second", Some(REQUESTS_PER_SECOND.to_string())),
            ("request_timeout_ms", Some(REQUEST_TIMEOUT_MS.to_string())),
            ("use_proxy", Some("false".to_owned())),
        ];
        let chain = vec![("base_url", None), ("settlement", None)];
        vec![("cow", all), ("cow.*", chain)]
    }

    /// Validates the `[cow]` table and its tables per chain.
    ///
    /// # Errors
    ///
    /// All errors in the tables.
    pub fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let chains: Vec<&str> = section.keys().filter(|key| is_number(key)).collect();
        let raw = section
            .without(&chains)
            .parse_bounded::<Raw>(&Self::RANGES, &mut errors);
        let mut config = Self::default();
        for key in chains {
            config.chains.extend(chain_config(section, key, &mut errors));
        }
        ConfigErrors::check(errors)?;
        if let Some(raw) = raw {
            let per_second = raw.requests_per_second.and_then(|number| u32::try_from(number).ok());
            config.requests_per_second = per_second
                .and_then(NonZeroU32::new)
                .unwrap_or(config.requests_per_second);
            config.use_proxy = raw.use_proxy;
            config.request_timeout_ms = raw.request_timeout_ms.unwrap_or(config.request_timeout_ms);
        }
        Ok(config)
    }
}

fn is_number(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads one `[cow.<chain id>]`. Adds its errors to `errors`.
fn chain_config(section: &Section, key: &str, errors: &mut Vec<ConfigError>) -> Option<(ChainId, ChainConfig)> {
    let chain = section.section(key).map_err(|error| errors.push(error)).ok()??;
    // A chain id has one spelling, so that two tables cannot name one chain.
    let chain_id = key.parse::<ChainId>().ok().filter(|id| id.to_string() == key);
    if chain_id.is_none() {
        let error = chain.error("", "expected a chain id in decimal");
        errors.push(error.with_hint("for example [cow.1] for mainnet"));
    }
    let raw = chain.parse_all::<RawChain>(errors)?;
    let headers = HttpHeaders::read(&chain, &raw.headers, errors);
    let base_url = match raw.base_url {
        None if chain_id.is_some_and(|id| public::order_book(id).is_none()) => {
            Some(chain.required("base_url", None, errors)?)
        }
        base_url => base_url,
    };
    let config = ChainConfig {
        base_url,
        settlement: raw.settlement,
        headers,
    };
    Some((chain_id?, config))
}
