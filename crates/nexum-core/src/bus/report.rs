//! The state of a source, for the operator.

use std::sync::Arc;
use std::time::Duration;

use nexum_config::topic::ChainId;

use crate::event::BlockHash;
use crate::reason::Reason;

/// The state of a source at one moment. All times are milliseconds since the Unix epoch. A value
/// that the source does not know is `None`, never 0.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceReport {
    /// The chain.
    pub chain_id: ChainId,
    /// The origin, as [`EventSource::describe`](super::source::EventSource::describe) returns it.
    pub origin: String,
    /// The newest block that nexum followed. `None` before the first block.
    pub head: Option<HeadReport>,
    /// The endpoint over which nexum follows the chain. `None` while nexum follows it over none.
    pub following: Option<FollowingReport>,
    /// The reason why the chain does not advance, or cannot be read.
    pub trouble: Option<Trouble>,
    /// The endpoints, in the configured order. Empty for a source without endpoints.
    pub endpoints: Vec<EndpointReport>,
    /// The requests of modules, by module and class.
    pub requests_by_module: Vec<ModuleRequests>,
    /// The retries of requests that went to another endpoint.
    pub request_failovers: u64,
    /// The times that nexum changed the endpoint over which it follows the chain.
    pub follow_failovers: u64,
}

/// Why a chain does not advance, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The reason, in one line. It has no durations, so that it changes only with the reason.
    pub text: Arc<str>,
    /// The time since which the chain has had trouble, also for earlier reasons.
    pub since_ms: u64,
    /// The time of the next attempt, as far as the source knows.
    pub next_try_ms: Option<u64>,
}

impl From<Trouble> for Reason {
    fn from(Trouble { text, since_ms, .. }: Trouble) -> Self {
        Self { text, since_ms }
    }
}

/// The newest block that nexum followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadReport {
    /// The block's number.
    pub number: u64,
    /// The block's hash.
    pub hash: BlockHash,
    /// The block's own timestamp.
    pub timestamp_ms: u64,
    /// The time at which nexum appended the block to its log.
    pub seen_ms: u64,
}

/// The endpoint over which nexum follows a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowingReport {
    /// The endpoint's label.
    pub endpoint: String,
    /// The time since which nexum follows over the endpoint.
    pub since_ms: u64,
    /// Whether the endpoint announces its heads. Otherwise nexum polls it.
    pub is_pushed: bool,
}

/// The state of one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointReport {
    /// Scheme, host and port, made unique within the chain.
    pub label: String,
    /// The configured priority. nexum prefers the lowest number.
    pub priority: u32,
    /// The use of the endpoint.
    pub state: EndpointState,
    /// The number of the endpoint's own head, when nexum saw it last. `None` while the endpoint cannot
    /// be used.
    pub head: Option<u64>,
    /// The latency of the last requests. `None` before the first answer.
    pub latency: Option<Latency>,
    /// The requests since the start of the process. Each call of a batch counts.
    pub requests: u64,
    /// The failed requests. A contract's revert is not a failure.
    pub errors: u64,
    /// The share of failed requests in the last minutes, from 0 to 1. `None` without a request.
    pub error_rate: Option<f64>,
    /// The endpoint's rate limit. `None` without a limit.
    pub budget: Option<Budget>,
    /// The last failed request or connection.
    pub last_error: Option<LastError>,
}

/// The use of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// nexum follows the chain over the endpoint or, if it does not follow the chain, sends requests
    /// to it first.
    InUse {
        /// The time since which the state holds.
        since_ms: u64,
    },
    /// The endpoint works, and another one is in use.
    Standby {
        /// The time since which the endpoint works.
        since_ms: u64,
    },
    /// The endpoint works, and its head is far below another endpoint's.
    Behind {
        /// The difference in blocks, and the time since which it is too large.
        reason: Reason,
    },
    /// The endpoint failed, or the chain cannot be followed over it.
    Rested {
        /// The time of the next attempt. It is in the past if the next request is the attempt.
        until_ms: u64,
        /// The failure, and the time since which the endpoint fails.
        reason: Reason,
    },
    /// The endpoint requested a lower rate.
    Paused {
        /// The time at which nexum sends requests again.
        until_ms: u64,
        /// The endpoint's request.
        reason: Reason,
    },
    /// The endpoint serves another chain.
    WrongChain {
        /// The time of the next attempt.
        until_ms: u64,
        /// The chain ids.
        reason: Reason,
    },
    /// nexum has sent no request to the endpoint yet.
    Untested,
}

/// The latency of an endpoint's last answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Half of the answers took at most this time.
    pub p50: Duration,
    /// Of 100 answers, 99 took at most this time.
    pub p99: Duration,
    /// The number of answers that were measured.
    pub count: usize,
}

/// The rate limit of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The configured `requests_per_second`.
    pub requests_per_second: u64,
    /// The requests that can be sent now without a wait.
    pub available: u64,
}

/// The last failure of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// The failure, without secrets.
    pub text: String,
    /// The time of the failure.
    pub at_ms: u64,
}

/// The requests of one module to a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleRequests {
    /// The module's name.
    pub module: String,
    /// The class of the methods, in one word.
    pub class: &'static str,
    /// The requests since the start of the process, including those that nexum answered from a cache.
    pub count: u64,
}

impl SourceReport {
    /// The report of a source that knows only its origin.
    pub fn new(chain_id: ChainId, origin: String) -> Self {
        Self {
            chain_id,
            origin,
            head: None,
            following: None,
            trouble: None,
            endpoints: Vec::new(),
            requests_by_module: Vec::new(),
            request_failovers: 0,
            follow_failovers: 0,
        }
    }
}
