//! The metrics of this crate, with names, units and labels.
//!
//! The crate creates the handles once, together with a chain's endpoints. So a program that exports
//! metrics installs its recorder before. Without a recorder, a handle costs an atomic load.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use nexum_config::topic::ChainId;

use crate::error::{AnswerKind, RequestError};

/// Counter: requests sent to endpoints; each call of a batch and each retry counts. Labels:
/// [`CHAIN`], [`ENDPOINT`], [`CLASS`], [`OUTCOME`].
pub const REQUESTS: &str = "nexum_chain_requests_total";

/// Histogram, seconds: from sending a request, or its batch, to its answer or failure, without the
/// waits in [`RATE_LIMIT_WAIT_SECONDS`]. Labels: [`CHAIN`], [`ENDPOINT`], [`CLASS`].
pub const REQUEST_SECONDS: &str = "nexum_chain_request_seconds";

/// Counter: retried requests, and retried batches in which some calls had failed. Label: [`CHAIN`].
pub const RETRIES: &str = "nexum_chain_retries_total";

/// Counter: retries in [`RETRIES`] that went to another endpoint. Label: [`CHAIN`].
pub const FAILOVERS: &str = "nexum_chain_failovers_total";

/// Histogram, seconds: wait of requests for `requests_per_second`, or for a pause that the endpoint
/// requested; only requests that waited. Labels: [`CHAIN`], [`ENDPOINT`].
pub const RATE_LIMIT_WAIT_SECONDS: &str = "nexum_chain_rate_limit_wait_seconds";

/// Counter: connections after the first one; over http, checks of the chain id after an outage.
/// Labels: [`CHAIN`], [`ENDPOINT`].
pub const RECONNECTS: &str = "nexum_chain_reconnects_total";

/// Counter: modules' requests that shared the answer of an equal request in flight. Label:
/// [`CHAIN`].
pub const SHARED: &str = "nexum_chain_requests_shared_total";

/// Counter: modules' pinned reads answered from the cache. Label: [`CHAIN`].
pub const PINNED_HITS: &str = "nexum_chain_pinned_hits_total";

/// Gauge: the number of the newest followed block. NaN before the first one. Label: [`CHAIN`].
pub const HEAD_NUMBER: &str = "nexum_chain_head_number";

/// Gauge, seconds since the Unix epoch: the timestamp of the newest followed block, from which the
/// head's age follows. NaN before the first one. Label: [`CHAIN`].
pub const HEAD_TIMESTAMP_SECONDS: &str = "nexum_chain_head_timestamp_seconds";

/// Counter: times that an endpoint had no new head for `head_stall_seconds`, or not the blocks below
/// its heads. Label: [`CHAIN`].
pub const STALLS: &str = "nexum_chain_stalls_total";

/// Histogram, blocks: the depth of reorgs; its count is the number of reorgs. Label: [`CHAIN`].
pub const REORG_DEPTH_BLOCKS: &str = "nexum_chain_reorg_depth_blocks";

/// Counter: blocks whose logs were not requested, because the header's bloom rules them out and the
/// chain's blooms have been true so far. Label: [`CHAIN`].
pub const LOG_FETCHES_SAVED: &str = "nexum_chain_log_fetches_saved_total";

/// Counter: answers about logs that proved to be false. Label: [`CHAIN`].
pub const VERIFICATION_FAILURES: &str = "nexum_chain_verification_failures_total";

/// Counter: blocks with a log that their header's bloom lacks. Above 0, nexum ignores all blooms of
/// the chain. Label: [`CHAIN`].
pub const UNTRUE_BLOOMS: &str = "nexum_chain_untrue_blooms_total";

/// Counter: answers about logs that could not be verified, but were accepted: empty answers, and
/// logs that the header denies. Label: [`CHAIN`].
pub const UNVERIFIED: &str = "nexum_chain_unverified_total";

/// Gauge: 1 while the endpoint can be used, 0 while it rests or serves another chain. NaN until
/// nexum has used the endpoint. Labels: [`CHAIN`], [`ENDPOINT`].
pub const ENDPOINT_UP: &str = "nexum_chain_endpoint_up";

/// Gauge: 1 for the endpoint over which nexum follows the chain, 0 for the others. Labels:
/// [`CHAIN`], [`ENDPOINT`].
pub const ENDPOINT_FOLLOWING: &str = "nexum_chain_endpoint_following";

/// Counter: changes of the endpoint over which nexum follows the chain. Label: [`CHAIN`].
pub const FOLLOW_FAILOVERS: &str = "nexum_chain_follow_failovers_total";

/// Gauge: 0 while the chain cannot be followed or read, 1 while it can. NaN until nexum has tried.
/// Label: [`CHAIN`].
pub const UP: &str = "nexum_chain_up";

/// Counter: requests of modules, including those that nexum answered from a cache. Labels:
/// [`MODULE`], [`CHAIN`], [`CLASS`].
pub const MODULE_REQUESTS: &str = "nexum_module_chain_requests_total";

/// Label: the module's name.
pub const MODULE: &str = "module";

/// Label: the chain id, in decimal.
pub const CHAIN: &str = "chain";

/// Label: scheme, host and port of the endpoint, made unique within the chain.
pub const ENDPOINT: &str = "endpoint";

/// Label: a [`Class`].
pub const CLASS: &str = "class";

/// Label: an [`Outcome`].
pub const OUTCOME: &str = "outcome";

/// Describes the metrics to the recorder. The embedder calls it once, after it installs the
/// recorder.
pub fn describe() {
    describe_counter!(REQUESTS, "requests sent to endpoints");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "time from a request to its answer");
    describe_counter!(RETRIES, "requests sent again");
    describe_counter!(FAILOVERS, "requests sent again to another endpoint");
    describe_histogram!(
        RATE_LIMIT_WAIT_SECONDS,
        Unit::Seconds,
        "time that requests waited for a rate limit"
    );
    describe_counter!(RECONNECTS, "connections made after the first one");
    describe_counter!(SHARED, "requests not sent because an equal one was in flight");
    describe_counter!(PINNED_HITS, "pinned reads answered from the cache");
    describe_gauge!(HEAD_NUMBER, "number of the newest block followed");
    describe_gauge!(
        HEAD_TIMESTAMP_SECONDS,
        Unit::Seconds,
        "timestamp of the newest block followed"
    );
    describe_counter!(STALLS, "times that an endpoint had no new head for too long");
    describe_histogram!(REORG_DEPTH_BLOCKS, "blocks that a reorganisation reverted");
    describe_counter!(LOG_FETCHES_SAVED, "blocks whose bloom rules out every wanted log");
    describe_counter!(VERIFICATION_FAILURES, "answers about logs that were false");
    describe_counter!(UNTRUE_BLOOMS, "blocks with a log that their header's bloom lacks");
    describe_counter!(UNVERIFIED, "answers about logs that could not be verified");
    describe_gauge!(ENDPOINT_UP, "1 while the endpoint can be used, otherwise 0");
    describe_gauge!(
        ENDPOINT_FOLLOWING,
        "1 for the endpoint over which nexum follows the chain, otherwise 0"
    );
    describe_counter!(FOLLOW_FAILOVERS, "changes of the followed endpoint");
    describe_gauge!(UP, "1 while the chain can be followed, otherwise 0");
    describe_counter!(MODULE_REQUESTS, "requests of modules to a chain");
}

/// The subject of a method: a small set, because modules can request any method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Runs code.
    Call,
    /// Reads logs or receipts by block.
    Logs,
    /// Reads blocks or headers.
    Block,
    /// Reads accounts.
    State,
    /// Reads single transactions.
    Transaction,
    /// All others.
    Other,
}

impl Class {
    pub(crate) const ALL: [Self; 6] = [
        Self::Call,
        Self::Logs,
        Self::Block,
        Self::State,
        Self::Transaction,
        Self::Other,
    ];

    /// The class of a method.
    pub fn of(method: &str) -> Self {
        match method {
            "eth_call" | "eth_createAccessList" | "eth_estimateGas" | "eth_simulateV1" => Self::Call,
            "eth_getBlockReceipts" | "eth_getLogs" => Self::Logs,
            "eth_blockNumber"
            | "eth_getBlockByHash"
            | "eth_getBlockByNumber"
            | "eth_getHeaderByHash"
            | "eth_getHeaderByNumber" => Self::Block,
            "eth_getBalance" | "eth_getCode" | "eth_getProof" | "eth_getStorageAt" | "eth_getTransactionCount" => {
                Self::State
            }
            "eth_getRawTransactionByHash"
            | "eth_getTransactionByBlockHashAndIndex"
            | "eth_getTransactionByBlockNumberAndIndex"
            | "eth_getTransactionByHash"
            | "eth_getTransactionReceipt" => Self::Transaction,
            _ => Self::Other,
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Logs => "logs",
            Self::Block => "block",
            Self::State => "state",
            Self::Transaction => "transaction",
            Self::Other => "other",
        }
    }
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A result.
    Ok,
    /// A contract reverted.
    Revert,
    /// Another JSON-RPC error.
    Error,
    /// The endpoint requests a lower rate.
    RateLimited,
    /// No answer in time.
    Timeout,
    /// No connection, a lost connection, or an HTTP status without an answer.
    Unavailable,
    /// An answer that is not JSON-RPC, or too large.
    Malformed,
    /// The endpoint serves another chain.
    WrongChain,
}

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Ok,
        Self::Revert,
        Self::Error,
        Self::RateLimited,
        Self::Timeout,
        Self::Unavailable,
        Self::Malformed,
        Self::WrongChain,
    ];

    fn of(error: Option<&RequestError>) -> Self {
        let Some(error) = error else { return Self::Ok };
        match error {
            error if error.is_rate_limit() => Self::RateLimited,
            RequestError::Answer {
                kind: AnswerKind::Revert,
                ..
            } => Self::Revert,
            RequestError::Answer { .. }
            | RequestError::Refused { .. }
            | RequestError::Recorded(_)
            | RequestError::Internal => Self::Error,
            RequestError::Timeout { .. } => Self::Timeout,
            RequestError::Unreachable { .. }
            | RequestError::Tls(_)
            | RequestError::Lost { .. }
            | RequestError::Status { .. } => Self::Unavailable,
            RequestError::Malformed
            | RequestError::TooLarge { .. }
            | RequestError::OverBudget { .. }
            | RequestError::CutOff { .. } => Self::Malformed,
            RequestError::WrongChain { .. } => Self::WrongChain,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Revert => "revert",
            Self::Error => "error",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Malformed => "malformed",
            Self::WrongChain => "wrong_chain",
        }
    }
}

/// The handles of one endpoint.
pub(crate) struct EndpointMetrics {
    requests: [[Counter; Outcome::ALL.len()]; Class::ALL.len()],
    seconds: [Histogram; Class::ALL.len()],
    rate_limit_wait_seconds: Histogram,
    reconnects: Counter,
    pub(crate) up: Gauge,
    pub(crate) following: Gauge,
}

impl EndpointMetrics {
    pub(crate) fn new(chain_id: ChainId, label: &str) -> Self {
        let (chain, endpoint) = (chain_id.to_string(), label.to_owned());
        Self {
            up: gauge!(ENDPOINT_UP, CHAIN => chain.clone(), ENDPOINT => endpoint.clone()),
            following: gauge!(ENDPOINT_FOLLOWING, CHAIN => chain, ENDPOINT => endpoint),
            ..Self::without_gauges(chain_id, label)
        }
    }

    /// The handles of an endpoint that nexum neither probes nor follows.
    pub(crate) fn without_gauges(chain_id: ChainId, label: &str) -> Self {
        let (chain, endpoint) = (chain_id.to_string(), label.to_owned());
        let requests = Class::ALL.map(|class| {
            Outcome::ALL.map(|outcome| {
                counter!(
                    REQUESTS,
                    CHAIN => chain.clone(),
                    ENDPOINT => endpoint.clone(),
                    CLASS => class.label(),
                    OUTCOME => outcome.label()
                )
            })
        });
        let seconds = Class::ALL.map(|class| {
            histogram!(
                REQUEST_SECONDS,
                CHAIN => chain.clone(),
                ENDPOINT => endpoint.clone(),
                CLASS => class.label()
            )
        });
        Self {
            up: Gauge::noop(),
            following: Gauge::noop(),
            requests,
            seconds,
            rate_limit_wait_seconds: histogram!(
                RATE_LIMIT_WAIT_SECONDS,
                CHAIN => chain.clone(),
                ENDPOINT => endpoint.clone()
            ),
            reconnects: counter!(RECONNECTS, CHAIN => chain, ENDPOINT => endpoint),
        }
    }

    /// Records one call that was answered or failed.
    pub(crate) fn request(&self, method: &str, error: Option<&RequestError>, took: Duration) {
        let class = Class::of(method) as usize;
        if let Some(counter) = self.requests[class].get(Outcome::of(error) as usize) {
            counter.increment(1);
        }
        self.seconds[class].record(took);
    }

    pub(crate) fn rate_limit_wait(&self, waited: Duration) {
        self.rate_limit_wait_seconds.record(waited);
    }

    pub(crate) fn reconnect(&self) {
        self.reconnects.increment(1);
    }
}

impl std::fmt::Debug for EndpointMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EndpointMetrics")
    }
}

/// The handles of one chain's requests.
pub(crate) struct ChainMetrics {
    pub(crate) retries: Counter,
    failovers: Counter,
    /// The value of `failovers`, which cannot be read.
    failed_over: AtomicU64,
    pub(crate) shared: Counter,
    pub(crate) pinned_hits: Counter,
}

impl ChainMetrics {
    pub(crate) fn new(chain_id: ChainId) -> Self {
        let chain = chain_id.to_string();
        Self {
            retries: counter!(RETRIES, CHAIN => chain.clone()),
            failovers: counter!(FAILOVERS, CHAIN => chain.clone()),
            failed_over: AtomicU64::new(0),
            shared: counter!(SHARED, CHAIN => chain.clone()),
            pinned_hits: counter!(PINNED_HITS, CHAIN => chain),
        }
    }

    /// Counts a retry at another endpoint.
    pub(crate) fn failover(&self) {
        self.failed_over.fetch_add(1, Ordering::Relaxed);
        self.failovers.increment(1);
    }

    /// The retries at another endpoint.
    pub(crate) fn failovers(&self) -> u64 {
        self.failed_over.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for ChainMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChainMetrics")
    }
}

/// The handles of one chain's source.
pub(crate) struct SourceMetrics {
    pub(crate) head_number: Gauge,
    pub(crate) head_timestamp_seconds: Gauge,
    pub(crate) up: Gauge,
    pub(crate) follow_failovers: Counter,
    pub(crate) stalls: Counter,
    pub(crate) reorg_depth_blocks: Histogram,
    pub(crate) log_fetches_saved: Counter,
    pub(crate) verification_failures: Counter,
    pub(crate) untrue_blooms: Counter,
    pub(crate) unverified: Counter,
}

impl SourceMetrics {
    pub(crate) fn new(chain_id: ChainId) -> Self {
        let chain = chain_id.to_string();
        let head_number = gauge!(HEAD_NUMBER, CHAIN => chain.clone());
        let head_timestamp_seconds = gauge!(HEAD_TIMESTAMP_SECONDS, CHAIN => chain.clone());
        // No alert may fire for a chain that no module uses. `UP` is 0 for a chain that modules wait for.
        head_number.set(f64::NAN);
        head_timestamp_seconds.set(f64::NAN);
        let up = gauge!(UP, CHAIN => chain.clone());
        up.set(f64::NAN);
        Self {
            head_number,
            head_timestamp_seconds,
            up,
            follow_failovers: counter!(FOLLOW_FAILOVERS, CHAIN => chain.clone()),
            stalls: counter!(STALLS, CHAIN => chain.clone()),
            reorg_depth_blocks: histogram!(REORG_DEPTH_BLOCKS, CHAIN => chain.clone()),
            log_fetches_saved: counter!(LOG_FETCHES_SAVED, CHAIN => chain.clone()),
            verification_failures: counter!(VERIFICATION_FAILURES, CHAIN => chain.clone()),
            untrue_blooms: counter!(UNTRUE_BLOOMS, CHAIN => chain.clone()),
            unverified: counter!(UNVERIFIED, CHAIN => chain),
        }
    }
}

impl std::fmt::Debug for SourceMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SourceMetrics")
    }
}
