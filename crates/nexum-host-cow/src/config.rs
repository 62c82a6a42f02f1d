//! `[cow]` and `[cow.<chain id>]` of `engine.toml`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use nexum_config::document::{ConfigError, ConfigErrors, Section};
use nexum_config::topic::ChainId;
use serde::Deserialize;

use crate::base_url::BaseUrl;

/// How many requests a host may get within a second, unless the operator says otherwise: as many as the public order book answers
/// to one address.
pub const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(5).unwrap();

/// What `requests_per_second` may be. No order book needs more, and the times of as many requests are kept.
pub const REQUESTS_PER_SECOND_RANGE: RangeInclusive<u64> = 1..=10_000;

/// How long one request may take, unless the operator says otherwise: posting an order takes up to a few seconds, because the
/// order book prices it, and half of an event's default deadline leaves the time for a second attempt.
pub const REQUEST_TIMEOUT_MS: u64 = 5_000;

/// What `request_timeout_ms` may be: an hour is as long as an event may take.
pub const REQUEST_TIMEOUT_MS_RANGE: RangeInclusive<u64> = 1..=3_600_000;

/// How order books are used, and where those are that are not the public ones.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CowConfig {
    /// How many requests a host gets within any second, of all modules and chains together. Default [`REQUESTS_PER_SECOND`].
    pub requests_per_second: NonZeroU32,
    /// The bound on the time of one request, connecting included. Default [`REQUEST_TIMEOUT_MS`].
    pub request_timeout_ms: u64,
    /// For chains whose order book is not the public one, or which have none, where it is. Default: none.
    pub base_urls: BTreeMap<ChainId, BaseUrl>,
}

impl Default for CowConfig {
    fn default() -> Self {
        Self {
            requests_per_second: REQUESTS_PER_SECOND,
            request_timeout_ms: REQUEST_TIMEOUT_MS,
            base_urls: BTreeMap::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    requests_per_second: Option<u64>,
    request_timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChain {
    base_url: BaseUrl,
}

impl CowConfig {
    /// What each number may be, by its key.
    pub const RANGES: [(&str, RangeInclusive<u64>); 2] = [
        ("requests_per_second", REQUESTS_PER_SECOND_RANGE),
        ("request_timeout_ms", REQUEST_TIMEOUT_MS_RANGE),
    ];

    /// Validates the `[cow]` table with those of its chains.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub fn from_section(section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let chains: Vec<&str> = section.keys().filter(|key| is_number(key)).collect();
        let raw = section.without(&chains).parse_all::<Raw>(&mut errors);
        for (key, range) in &Self::RANGES {
            errors.extend(section.out_of_range(key, range));
        }
        let mut config = Self::default();
        for key in chains {
            match base_url(section, key, &mut errors) {
                Ok(Some((chain_id, base_url))) => drop(config.base_urls.insert(chain_id, base_url)),
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        ConfigErrors::check(errors)?;
        if let Some(raw) = raw {
            let per_second = raw.requests_per_second.and_then(|number| u32::try_from(number).ok());
            config.requests_per_second = per_second
                .and_then(NonZeroU32::new)
                .unwrap_or(config.requests_per_second);
            config.request_timeout_ms = raw.request_timeout_ms.unwrap_or(config.request_timeout_ms);
        }
        Ok(config)
    }
}

fn is_number(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads one `[cow.<chain id>]`. What is wrong inside of it goes to `errors`.
fn base_url(
    section: &Section,
    key: &str,
    errors: &mut Vec<ConfigError>,
) -> Result<Option<(ChainId, BaseUrl)>, ConfigError> {
    let Some(chain) = section.section(key)? else {
        return Ok(None);
    };
    // One chain has one spelling, so that no two tables are about the same one.
    let chain_id = key.parse::<ChainId>().ok().filter(|id| id.to_string() == key);
    let Some(chain_id) = chain_id else {
        let error = chain.error("", "expected a chain id in decimal");
        return Err(error.with_hint("for example [cow.1] for mainnet"));
    };
    let raw = chain.parse_all::<RawChain>(errors);
    Ok(raw.map(|raw| (chain_id, raw.base_url)))
}
