//! `[chains.<id>]` of `engine.toml`.

mod defaults;
mod endpoint;
pub(crate) mod endpoint_url;
mod submit;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use nexum_config::document::{ConfigError, ConfigErrors, ERRORS_MAX, NumberRange, Section};
use nexum_config::limits::{saturating_u32, saturating_usize};
use nexum_config::topic::ChainId;
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::endpoint_url::EndpointUrl;
use crate::methods::{ANY_METHOD, CONNECTION_METHODS, METHOD_BYTES_MAX};

pub use self::endpoint::{
    EndpointConfig, MAX_ADDRESSES_RANGE, MAX_LOG_RANGE_BLOCKS_RANGE, PRIORITY_RANGE, REQUESTS_PER_SECOND_RANGE,
};
pub use self::submit::{RELAY_BLOCKS, RELAY_BLOCKS_RANGE, RelayConfig, SUBMIT_PLACES_MAX, SubmitConfig};

/// The most endpoints of a chain: more than operators pay for, and nexum probes each of them.
pub const ENDPOINTS_MAX: usize = 16;

/// Default of `request_timeout_ms`: a slow `eth_getLogs` takes a few seconds.
pub const REQUEST_TIMEOUT_MS: u64 = 10_000;

/// The range of `request_timeout_ms`: no node works on a request for more than an hour.
pub const REQUEST_TIMEOUT_MS_RANGE: RangeInclusive<u64> = 1..=3_600_000;

/// Default of `response_bytes_max`: the largest blocks with all transactions take about 4 MiB, and
/// 10,000 logs, the limit of most providers, about 10 MiB.
pub const RESPONSE_BYTES_MAX: u64 = 16 * 1_024 * 1_024;

/// The range of `response_bytes_max`. Less does not hold the blocks that the source reads. An
/// answer takes about three times its size in memory while it is parsed.
pub const RESPONSE_BYTES_MAX_RANGE: RangeInclusive<u64> = 1_024 * 1_024..=1_024 * 1_024 * 1_024;

/// Default of `poll_interval_ms`: the block time of the faster large chains. It takes 43,200
/// requests a day, which fits into providers' free plans.
pub const POLL_INTERVAL_MS: u64 = 2_000;

/// The range of `poll_interval_ms`: no chain is faster, and a wait of more than a minute is an
/// outage.
pub const POLL_INTERVAL_MS_RANGE: RangeInclusive<u64> = 10..=60_000;

/// The most methods in `extra_methods`: more than any node has.
pub const EXTRA_METHODS_MAX: usize = 256;

/// Default of `retries`: with the waits between them, a node that restarts behind a proxy, or a
/// second endpoint, can answer before the module's event fails.
pub const RETRIES: u64 = 3;

/// The range of `retries`: more retries take longer than any event may.
pub const RETRIES_RANGE: RangeInclusive<u64> = 0..=10;

/// Default of `reorg_depth_max`, in blocks. Ethereum finalises within 64 to 95 blocks, so a deeper
/// reorg means another chain, or a faulty endpoint.
pub const REORG_DEPTH_MAX: u64 = 128;

/// The range of `reorg_depth_max`: up to the number of blocks in a log.
pub const REORG_DEPTH_MAX_RANGE: RangeInclusive<u64> = 1..=1_000;

/// Default of `head_stall_seconds`: fifteen slots of Ethereum, which never had so many empty slots
/// in a row, and at least ten polls on every other chain.
pub const HEAD_STALL_SECONDS: u64 = 180;

/// The range of `head_stall_seconds`: up to a day, for test networks that mine on demand.
pub const HEAD_STALL_SECONDS_RANGE: RangeInclusive<u64> = 1..=86_400;

/// Default of `startup_timeout_ms`: enough for a node that starts together with this host.
pub const STARTUP_TIMEOUT_MS: u64 = 30_000;

/// The range of `startup_timeout_ms`: up to an hour, for a node that has to repair its database.
pub const STARTUP_TIMEOUT_MS_RANGE: RangeInclusive<u64> = 1..=3_600_000;

/// How nexum checks an endpoint's logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyLogs {
    /// No check: nexum believes the endpoint. It requests the logs of every block.
    Off,
    /// nexum compares answers with the header's bloom. It skips a block that its bloom rules out,
    /// as long as the chain's blooms prove to be true.
    #[default]
    Bloom,
    /// nexum takes the logs from the block's receipts, which it checks against the header. It
    /// requests the receipts of every block.
    Receipts,
}

/// The validated table of one chain.
///
/// Invariant: it has at least one endpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChainConfig {
    /// The EIP-155 chain id, which each endpoint must confirm.
    pub chain_id: ChainId,
    endpoints: Vec<EndpointConfig>,
    submit: Vec<SubmitConfig>,
    /// Methods that modules may call in addition to [`READ_METHODS`](crate::methods::READ_METHODS).
    /// [`ANY_METHOD`] stands for every method except [`CONNECTION_METHODS`].
    pub extra_methods: BTreeSet<String>,
    /// Limit of one request to one endpoint, including the connection, in milliseconds. Default
    /// [`REQUEST_TIMEOUT_MS`].
    pub request_timeout_ms: u64,
    /// The most retries of a request after temporary failures. Default [`RETRIES`].
    pub retries: u32,
    /// Limit of an answer, or over http of a whole batch, in bytes. Default [`RESPONSE_BYTES_MAX`].
    pub response_bytes_max: usize,
    /// The interval of requests for the head of an endpoint that cannot push, in milliseconds.
    /// Default [`POLL_INTERVAL_MS`].
    pub poll_interval_ms: u64,
    /// The most blocks that a reorg may revert. Default [`REORG_DEPTH_MAX`].
    pub reorg_depth_max: u64,
    /// The time without a new head after which the chain counts as stalled, in seconds. Default
    /// [`HEAD_STALL_SECONDS`].
    pub head_stall_seconds: u64,
    /// The longest wait for one of the endpoints at the start, in milliseconds. Default
    /// [`STARTUP_TIMEOUT_MS`].
    pub startup_timeout_ms: u64,
    /// How nexum checks an endpoint's logs. Default [`VerifyLogs::Bloom`].
    pub verify_logs: VerifyLogs,
    /// Whether at least one endpoint must push heads, over ws or ipc. Default: no, because nexum
    /// polls http endpoints.
    pub require_ws: bool,
    /// Whether http requests go through the proxy that `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY`
    /// names. Default: no, because such a proxy sees the keys in `http` URLs.
    pub use_proxy: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    rpc_url: Option<EndpointUrl>,
    /// Parsed table by table, so that each error has its position.
    #[serde(rename = "endpoints")]
    _endpoints: Option<IgnoredAny>,
    /// Parsed table by table.
    #[serde(rename = "submit")]
    _submit: Option<IgnoredAny>,
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
    require_ws: bool,
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

    /// A chain with this endpoint, and defaults.
    pub fn new(chain_id: ChainId, endpoint: impl Into<EndpointConfig>) -> Self {
        Self {
            chain_id,
            endpoints: vec![endpoint.into()],
            submit: Vec::new(),
            extra_methods: BTreeSet::new(),
            request_timeout_ms: REQUEST_TIMEOUT_MS,
            retries: saturating_u32(RETRIES),
            response_bytes_max: saturating_usize(RESPONSE_BYTES_MAX),
            poll_interval_ms: POLL_INTERVAL_MS,
            reorg_depth_max: REORG_DEPTH_MAX,
            head_stall_seconds: HEAD_STALL_SECONDS,
            startup_timeout_ms: STARTUP_TIMEOUT_MS,
            verify_logs: VerifyLogs::default(),
            require_ws: false,
            use_proxy: false,
        }
    }

    /// Adds an endpoint.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<EndpointConfig>) -> Self {
        self.endpoints.push(endpoint.into());
        self
    }

    /// The endpoints, at least one, in the configured order.
    pub fn endpoints(&self) -> &[EndpointConfig] {
        &self.endpoints
    }

    /// Adds a place that takes signed transactions. Without one, the endpoints take them. Either all places of a chain
    /// are private relays or none: one public place makes the transactions of all public.
    #[must_use]
    pub fn with_submit(mut self, place: impl Into<SubmitConfig>) -> Self {
        self.submit.push(place.into());
        self
    }

    /// The places that take signed transactions, in the configured order. Empty if the endpoints take them.
    pub fn submit(&self) -> &[SubmitConfig] {
        &self.submit
    }

    /// The warning for a chain whose modules may call every method.
    pub fn warning(&self) -> Option<String> {
        self.extra_methods.contains(ANY_METHOD).then(|| {
            format!(
                "[chains.{}] extra_methods = [\"*\"]: modules may call every JSON-RPC method of the chain's endpoints, also those that send transactions, sign (personal_), or change the node (admin_, debug_)",
                self.chain_id
            )
        })
    }

    /// Validates a `[chains.<id>]` table.
    ///
    /// # Errors
    ///
    /// All errors in the table.
    pub fn from_section(chain_id: ChainId, section: &Section) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw = section.parse_bounded::<Raw>(&Self::RANGES, &mut errors);
        let (mut endpoints, mut submit) = (Vec::new(), Vec::new());
        if let Some(raw) = &raw {
            check_methods(section, &raw.extra_methods, &mut errors);
            endpoints = read_endpoints(section, raw.rpc_url.as_ref(), &mut errors);
            submit = SubmitConfig::all(section, &mut errors);
            errors.extend(check_ws(section, raw, &endpoints));
        }
        ConfigErrors::check(errors)?;
        let mut endpoints = endpoints.into_iter();
        // If one of them is missing, `errors` has the reason.
        let (Some(raw), Some(first)) = (raw, endpoints.next()) else {
            return Err(ConfigErrors::from(section.error("", "expected the table of a chain")));
        };
        let mut config = Self::new(chain_id, first);
        config.endpoints.extend(endpoints);
        config.submit = submit;
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
        config.require_ws = raw.require_ws;
        config.use_proxy = raw.use_proxy;
        Ok(config)
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn read_endpoints(
    section: &Section,
    rpc_url: Option<&EndpointUrl>,
    errors: &mut Vec<ConfigError>,
) -> Vec<EndpointConfig> {
    let hint = format!(
        "write rpc_url = \"...\" for one endpoint, [[{}.endpoints]] for several",
        section.key()
    );
    let has = |key: &str| section.keys().any(|other| other == key);
    if !has("endpoints") {
        if !has("rpc_url") {
            errors.push(section.error("", "missing key rpc_url").with_hint(hint));
        }
        return rpc_url.into_iter().cloned().map(EndpointConfig::from).collect();
    }
    if has("rpc_url") {
        let error = section.error("rpc_url", "there are `endpoints` as well");
        errors.push(error.with_hint(hint));
    }
    let before = errors.len();
    let tables = section.array_of_tables("endpoints", errors);
    if errors.len() == before && !(1..=ENDPOINTS_MAX).contains(&tables.len()) {
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

/// The error of a chain that requires an endpoint over ws, and has endpoints but none of this kind.
fn check_ws(section: &Section, raw: &Raw, endpoints: &[EndpointConfig]) -> Option<ConfigError> {
    let is_missing = raw.require_ws && !endpoints.is_empty() && !endpoints.iter().any(|endpoint| endpoint.url.pushes());
    is_missing.then(|| {
        let error = section.error("require_ws", "no endpoint of the chain has a ws, wss or ipc address");
        error.with_hint("add an endpoint with a wss address, or remove require_ws: nexum polls http endpoints")
    })
}

fn check_methods(section: &Section, methods: &[String], errors: &mut Vec<ConfigError>) {
    let key = "extra_methods";
    if methods.len() > EXTRA_METHODS_MAX {
        errors.push(section.error(key, format!("must not name more than {EXTRA_METHODS_MAX} methods")));
    }
    let is_word =
        |method: &str| (1..=METHOD_BYTES_MAX).contains(&method.len()) && method.chars().all(|c| c.is_ascii_graphic());
    if methods.iter().any(|method| !is_word(method)) {
        errors.push(section.error(
            key,
            format!("must hold method names of 1 to {METHOD_BYTES_MAX} printable characters"),
        ));
    }
    let is_pattern = |method: &&String| method.contains(ANY_METHOD) && *method != ANY_METHOD;
    for pattern in methods.iter().filter(is_pattern).take(ERRORS_MAX) {
        let error = section.error(key, format!("{} is a pattern", pattern.escape_debug()));
        errors.push(error.with_hint("name each method, or write [\"*\"] to allow every method"));
    }
    let named = |method: &&&str| methods.iter().any(|named| named == **method);
    for method in CONNECTION_METHODS.iter().filter(named) {
        errors.push(section.error(
            key,
            format!("{method} cannot be allowed: its answers belong to a connection that modules share"),
        ));
    }
}
