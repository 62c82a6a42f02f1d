//! `[chains.<id>]` of `engine.toml`.

mod endpoint;
pub(crate) mod endpoint_url;
pub(crate) mod http_headers;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use nexum_config::document::{ConfigError, ConfigErrors, NumberRange, Section};
use nexum_config::limits::{saturating_u32, saturating_usize};
use nexum_config::topic::ChainId;
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::endpoint_url::EndpointUrl;
use crate::methods::{CONNECTION_METHODS, METHOD_BYTES_MAX};

pub use self::endpoint::{
    EndpointConfig, MAX_ADDRESSES_RANGE, MAX_LOG_RANGE_BLOCKS_RANGE, PRIORITY_RANGE, REQUESTS_PER_SECOND_RANGE,
};

/// How many endpoints a chain may have: more than anybody pays for, and each of them is probed.
pub const ENDPOINTS_MAX: usize = 16;

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

/// How often a request is tried again, unless the operator says otherwise: with the waits in between, a node that restarts
/// behind a proxy, or a second endpoint, has its chance before a module's event is given up.
pub const RETRIES: u64 = 3;

/// What `retries` may be: more would take longer than any event may.
pub const RETRIES_RANGE: RangeInclusive<u64> = 0..=10;

/// How many blocks a reorg may take back, unless the operator says otherwise. Ethereum finalises within 64 to 95 blocks, so a
/// deeper one is another chain, or an endpoint that is not to be believed.
pub const REORG_DEPTH_MAX: u64 = 128;

/// What `reorg_depth_max` may be: as many blocks as a log remembers.
pub const REORG_DEPTH_MAX_RANGE: RangeInclusive<u64> = 1..=1_000;

/// After how long without a new head a chain counts as stalled, unless the operator says otherwise: fifteen slots of Ethereum,
/// whose endpoints have never been empty so long while the chain went on, and ten polls and more on every other chain.
pub const HEAD_STALL_SECONDS: u64 = 180;

/// What `head_stall_seconds` may be: a day, for test networks that mine on demand.
pub const HEAD_STALL_SECONDS_RANGE: RangeInclusive<u64> = 1..=86_400;

/// How long the start waits for an endpoint, unless the operator says otherwise: a node that is started together with this
/// host listens by then.
pub const STARTUP_TIMEOUT_MS: u64 = 30_000;

/// What `startup_timeout_ms` may be: an hour, for a node that has to repair its database.
pub const STARTUP_TIMEOUT_MS_RANGE: RangeInclusive<u64> = 1..=3_600_000;

/// How much of what an endpoint says about logs is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyLogs {
    /// Nothing: logs are taken as the endpoint gives them. Every block is asked for.
    Off,
    /// Answers are compared with the header's bloom. A block that its bloom rules out is not asked for, as long as the chain's
    /// blooms are seen to be true.
    #[default]
    Bloom,
    /// Logs are taken from the block's receipts, which are checked against the header. Every block is asked for.
    Receipts,
}

/// One chain, validated.
///
/// Invariant: it has at least one endpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChainConfig {
    /// The EIP-155 chain id, which each endpoint must confirm.
    pub chain_id: ChainId,
    endpoints: Vec<EndpointConfig>,
    /// Methods that modules may call beside [`READ_METHODS`](crate::methods::READ_METHODS).
    pub extra_methods: BTreeSet<String>,
    /// The bound on the time of one request to one endpoint, connecting included. Default [`REQUEST_TIMEOUT_MS`].
    pub request_timeout_ms: u64,
    /// How often a request is tried again after a failure that may pass. Default [`RETRIES`].
    pub retries: u32,
    /// The bound on an answer's size, of a whole batch over http. Default [`RESPONSE_BYTES_MAX`].
    pub response_bytes_max: usize,
    /// How often an endpoint that cannot push is asked for its head. Default [`POLL_INTERVAL_MS`].
    pub poll_interval_ms: u64,
    /// How many blocks a reorg may take back. Default [`REORG_DEPTH_MAX`].
    pub reorg_depth_max: u64,
    /// After how long without a new head the chain counts as stalled. Default [`HEAD_STALL_SECONDS`].
    pub head_stall_seconds: u64,
    /// How long the start waits for one of the endpoints. Default [`STARTUP_TIMEOUT_MS`].
    pub startup_timeout_ms: u64,
    /// How much of what an endpoint says about logs is checked. Default [`VerifyLogs::Bloom`].
    pub verify_logs: VerifyLogs,
    /// Whether http requests go through the proxy that `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY` names. Default: no, because
    /// such a proxy sees the keys in `http` URLs.
    pub use_proxy: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    rpc_url: Option<EndpointUrl>,
    /// Read table by table, so that each error has its place.
    endpoints: Option<IgnoredAny>,
    #[serde(default)]
    extra_methods: Vec<String>,
    request_timeout_ms: Option<u64>,
    retries: Option<u64>,
    response_bytes_max: Option<u64>,
    poll_interval_ms: Option<u64>,
    reorg_depth_max: Option<u64>,
    head_stall_seconds: Option<u64>,
    startup_timeout_ms: Option<u64>,
    verify_logs: Option<VerifyLogs>,
    #[serde(default)]
    use_proxy: bool,
}

impl ChainConfig {
    /// The range of each number, by its key.
    const RANGES: [NumberRange; 7] = [
        ("request_timeout_ms", REQUEST_TIMEOUT_MS_RANGE),
        ("retries", RETRIES_RANGE),
        ("response_bytes_max", RESPONSE_BYTES_MAX_RANGE),
        ("poll_interval_ms", POLL_INTERVAL_MS_RANGE),
        ("reorg_depth_max", REORG_DEPTH_MAX_RANGE),
        ("head_stall_seconds", HEAD_STALL_SECONDS_RANGE),
        ("startup_timeout_ms", STARTUP_TIMEOUT_MS_RANGE),
    ];

    /// A chain with this endpoint, and every default.
    pub fn new(chain_id: ChainId, endpoint: impl Into<EndpointConfig>) -> Self {
        Self {
            chain_id,
            endpoints: vec![endpoint.into()],
            extra_methods: BTreeSet::new(),
            request_timeout_ms: REQUEST_TIMEOUT_MS,
            retries: saturating_u32(RETRIES),
            response_bytes_max: saturating_usize(RESPONSE_BYTES_MAX),
            poll_interval_ms: POLL_INTERVAL_MS,
            reorg_depth_max: REORG_DEPTH_MAX,
            head_stall_seconds: HEAD_STALL_SECONDS,
            startup_timeout_ms: STARTUP_TIMEOUT_MS,
            verify_logs: VerifyLogs::default(),
            use_proxy: false,
        }
    }

    /// The same chain with one endpoint more.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<EndpointConfig>) -> Self {
        self.endpoints.push(endpoint.into());
        self
    }

    /// The endpoints, at least one, in the order in which they were given.
    pub fn endpoints(&self) -> &[EndpointConfig] {
        &self.endpoints
    }

    /// Validates a `[chains.<id>]` table.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn from_section(chain_id: ChainId, section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw = section.parse_bounded::<Raw>(&Self::RANGES, &mut errors);
        let mut endpoints = Vec::new();
        if let Some(raw) = &raw {
            errors.extend(check_methods(section, &raw.extra_methods));
            endpoints = read_endpoints(section, raw, &mut errors);
        }
        ConfigErrors::check(errors)?;
        let mut endpoints = endpoints.into_iter();
        // Without one of them there is an error.
        let (Some(raw), Some(first)) = (raw, endpoints.next()) else {
            return Err(ConfigErrors::from(section.error("", "expected the table of a chain")));
        };
        let mut config = Self::new(chain_id, first);
        config.endpoints.extend(endpoints);
        config.extra_methods = raw.extra_methods.into_iter().collect();
        set(&mut config.request_timeout_ms, raw.request_timeout_ms);
        set(&mut config.retries, raw.retries.map(saturating_u32));
        set(
            &mut config.response_bytes_max,
            raw.response_bytes_max.map(saturating_usize),
        );
        set(&mut config.poll_interval_ms, raw.poll_interval_ms);
        set(&mut config.reorg_depth_max, raw.reorg_depth_max);
        set(&mut config.head_stall_seconds, raw.head_stall_seconds);
        set(&mut config.startup_timeout_ms, raw.startup_timeout_ms);
        set(&mut config.verify_logs, raw.verify_logs);
        config.use_proxy = raw.use_proxy;
        Ok(config)
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn read_endpoints(section: &Section, raw: &Raw, errors: &mut Vec<ConfigError>) -> Vec<EndpointConfig> {
    let hint = format!(
        "write rpc_url = \"...\" for one endpoint, [[{}.endpoints]] for several",
        section.key()
    );
    match (&raw.rpc_url, &raw.endpoints) {
        (Some(url), None) => return vec![url.clone().into()],
        (Some(_), Some(_)) => {
            let error = section.error("rpc_url", "there are `endpoints` as well");
            errors.push(error.with_hint(hint));
            return Vec::new();
        }
        (None, None) => {
            errors.push(section.error("", "missing key rpc_url").with_hint(hint));
            return Vec::new();
        }
        (None, Some(_)) => {}
    }
    let tables = match section.array_of_tables("endpoints") {
        Ok(tables) => tables,
        Err(error) => {
            errors.push(error);
            return Vec::new();
        }
    };
    if tables.is_empty() || tables.len() > ENDPOINTS_MAX {
        errors.push(section.error("endpoints", format!("expected 1 to {ENDPOINTS_MAX} endpoints")));
    }
    let mut endpoints: Vec<EndpointConfig> = Vec::with_capacity(tables.len().min(ENDPOINTS_MAX));
    for table in tables.iter().take(ENDPOINTS_MAX) {
        let Some(endpoint) = EndpointConfig::from_section(table, errors) else {
            continue;
        };
        if endpoints.iter().any(|before| before.url == endpoint.url) {
            errors.push(table.error("url", "the same endpoint as one before it"));
        }
        endpoints.push(endpoint);
    }
    endpoints
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
