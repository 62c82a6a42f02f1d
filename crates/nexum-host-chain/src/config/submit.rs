//! One place that takes signed transactions: `[[chains.<id>.submit]]`.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;

use nexum_config::document::{ConfigError, NumberRange, Section};
use nexum_net::HttpHeaders;
use serde::Deserialize;

use super::endpoint_url::EndpointUrl;

/// The most submit places of a chain: more than there are relays, and each transaction goes to all of them.
pub const SUBMIT_PLACES_MAX: usize = 16;

/// Default of `blocks`: Flashbots tries for 25 blocks, and then forgets the transaction without an answer.
pub const RELAY_BLOCKS: u64 = 25;

/// The range of `blocks`: no relay tries for longer.
pub const RELAY_BLOCKS_RANGE: RangeInclusive<u64> = 1..=1_000;

/// The validated table of a submit place. Only `eth_sendRawTransaction` goes there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubmitConfig {
    /// The address.
    pub url: EndpointUrl,
    /// How long a private relay tries. `None` for a public place.
    pub relay: Option<RelayConfig>,
    /// Headers of each http request, or of the ws handshake, in addition to the usual ones.
    pub headers: HttpHeaders,
}

/// A private relay: it shows a transaction to block builders alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayConfig {
    /// The blocks after which the relay forgets a transaction. Default [`RELAY_BLOCKS`].
    pub blocks: NonZeroU64,
    /// Whether a transaction that the relay has forgotten goes to the public endpoints. Default: no.
    pub fallback: bool,
}

impl From<EndpointUrl> for SubmitConfig {
    /// A public place without headers.
    fn from(url: EndpointUrl) -> Self {
        Self {
            url,
            relay: None,
            headers: HttpHeaders::default(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    url: Option<EndpointUrl>,
    private: bool,
    blocks: Option<u64>,
    fallback: Option<bool>,
    headers: BTreeMap<String, String>,
}

impl SubmitConfig {
    /// The range of each number, by its key.
    const RANGES: [NumberRange; 1] = [("blocks", RELAY_BLOCKS_RANGE)];

    /// The places in the table of a chain. Adds their errors to `errors`.
    pub(super) fn all(section: &Section, errors: &mut Vec<ConfigError>) -> Vec<Self> {
        let tables = section.array_of_tables("submit", errors);
        if tables.len() > SUBMIT_PLACES_MAX {
            errors.push(section.error("submit", format!("expected at most {SUBMIT_PLACES_MAX} submit places")));
        }
        let mut places: Vec<Self> = Vec::new();
        for table in tables.iter().take(SUBMIT_PLACES_MAX) {
            let Some(place) = Self::from_section(table, errors) else {
                continue;
            };
            if places.iter().any(|before| before.url == place.url) {
                errors.push(table.error("url", "the same submit place as one before it"));
            }
            errors.extend(places.first().and_then(|first| place.contradicts(first, table)));
            places.push(place);
        }
        places
    }

    fn from_section(section: &Section, errors: &mut Vec<ConfigError>) -> Option<Self> {
        let raw = section.parse_bounded::<Raw>(&Self::RANGES, errors)?;
        let url = section.required("url", raw.url, errors);
        let headers = HttpHeaders::read(section, &raw.headers, errors);
        if !headers.is_empty() && url.as_ref().is_some_and(EndpointUrl::is_ipc) {
            errors.push(section.error("headers", "an ipc socket takes no headers"));
        }
        for (key, is_given) in [("blocks", raw.blocks.is_some()), ("fallback", raw.fallback.is_some())] {
            if is_given && !raw.private {
                let error = section.error(key, "the submit place is not private");
                errors.push(error.with_hint(format!("remove {key}, or write private = true for a private relay")));
            }
        }
        let blocks = NonZeroU64::new(raw.blocks.unwrap_or(RELAY_BLOCKS));
        Some(Self {
            url: url?,
            relay: blocks.filter(|_| raw.private).map(|blocks| RelayConfig {
                blocks,
                fallback: raw.fallback.unwrap_or_default(),
            }),
            headers,
        })
    }

    /// The error of a place that makes public what the first place of the chain keeps private, or the reverse.
    fn contradicts(&self, first: &Self, section: &Section) -> Option<ConfigError> {
        let is_other = |of: fn(&RelayConfig) -> bool| self.relay.as_ref().map(of) != first.relay.as_ref().map(of);
        if is_other(|_| true) {
            let error = section.error("private", "the first submit place of the chain has the other value");
            return Some(error.with_hint(
                "write private = true for all submit places of the chain or for none: one public place shows the transaction to everyone",
            ));
        }
        is_other(|relay| relay.fallback).then(|| {
            let error = section.error("fallback", "the first submit place of the chain has the other value");
            error.with_hint("write the same fallback for all submit places of the chain")
        })
    }
}
