//! The messages about chains and their endpoints. All times are milliseconds since the Unix epoch. A
//! value that nexum does not know is null, never 0.

use nexum_core::source::{self, SourceReport};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::report::hex;

/// The state of a chain.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Chain {
    pub(crate) chain_id: u64,
    /// Why the chain does not advance, or cannot be read.
    pub(crate) trouble: Option<Trouble>,
    /// The newest block that nexum followed.
    pub(crate) head: Option<Head>,
    /// The endpoint over which nexum follows the chain.
    pub(crate) following: Option<Following>,
    /// The endpoints, in the configured order.
    pub(crate) endpoints: Vec<Endpoint>,
    /// The requests of modules since the start of the process.
    pub(crate) requests_by_module: Vec<ModuleRequests>,
    /// The retries of requests that went to another endpoint.
    pub(crate) request_failovers: u64,
    /// The times that nexum changed the endpoint over which it follows the chain.
    pub(crate) follow_failovers: u64,
}

/// Why a chain does not advance, or cannot be read.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Trouble {
    pub(crate) text: String,
    /// The time since which the chain has had trouble.
    pub(crate) since_ms: u64,
    /// The time of the next attempt.
    pub(crate) next_try_ms: Option<u64>,
}

/// The newest block that nexum followed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Head {
    pub(crate) number: u64,
    /// The block's hash, in hexadecimal digits.
    pub(crate) hash: String,
    /// The block's own timestamp.
    pub(crate) timestamp_ms: u64,
    /// The time at which nexum read the block.
    pub(crate) seen_ms: u64,
}

/// The endpoint over which nexum follows a chain.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Following {
    /// Scheme, host and port.
    pub(crate) endpoint: String,
    pub(crate) since_ms: u64,
    /// Whether the endpoint announces its heads. Otherwise nexum polls it.
    pub(crate) is_pushed: bool,
}

/// The state of an endpoint.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Endpoint {
    /// Scheme, host and port.
    pub(crate) endpoint: String,
    /// nexum prefers the lowest number.
    pub(crate) priority: u32,
    pub(crate) state: EndpointState,
    /// The number of the endpoint's own newest block, when nexum saw it last.
    pub(crate) head: Option<u64>,
    /// Why the endpoint is in this state.
    pub(crate) reason: Option<String>,
    /// The time since which the state holds.
    pub(crate) since_ms: Option<u64>,
    /// The time of the next attempt of an endpoint that nexum does not use now.
    pub(crate) until_ms: Option<u64>,
    /// Half of the last answers took at most this time, in microseconds.
    pub(crate) latency_p50_us: Option<u64>,
    /// Of 100 of the last answers, 99 took at most this time, in microseconds.
    pub(crate) latency_p99_us: Option<u64>,
    /// The requests since the start of the process.
    pub(crate) requests: u64,
    /// The failed requests since the start of the process.
    pub(crate) errors: u64,
    /// The share of failed requests in the last minutes, from 0 to 1.
    pub(crate) error_rate: Option<f64>,
    /// The configured `requests_per_second`.
    pub(crate) requests_per_second: Option<u64>,
    /// The requests that can be sent now without a wait.
    pub(crate) budget: Option<u64>,
    pub(crate) last_error: Option<LastError>,
}

/// The use of an endpoint:
///
/// - `in_use`: nexum follows the chain over the endpoint, or sends requests to it first.
/// - `standby`: the endpoint works, and another one is in use.
/// - `behind`: the endpoint works, and its head is far below another endpoint's.
/// - `rested`: the endpoint failed. nexum tries it again at `until_ms`.
/// - `paused`: the endpoint requested a lower rate, until `until_ms`.
/// - `wrong_chain`: the endpoint serves another chain.
/// - `untested`: nexum has sent no request to the endpoint yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndpointState {
    InUse,
    Standby,
    Behind,
    Rested,
    Paused,
    WrongChain,
    Untested,
}

/// The last failure of an endpoint.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LastError {
    pub(crate) text: String,
    pub(crate) at_ms: u64,
}

/// The requests of a module to a chain.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ModuleRequests {
    pub(crate) module: String,
    /// The class of the methods.
    pub(crate) class: String,
    pub(crate) count: u64,
}

impl EndpointState {
    /// The state for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::InUse => "in use",
            Self::Standby => "standby",
            Self::Behind => "behind",
            Self::Rested => "rested",
            Self::Paused => "paused",
            Self::WrongChain => "wrong chain",
            Self::Untested => "untested",
        }
    }
}

impl From<source::Trouble> for Trouble {
    fn from(trouble: source::Trouble) -> Self {
        let source::Trouble {
            text,
            since_ms,
            next_try_ms,
        } = trouble;
        Self {
            text: text.to_string(),
            since_ms,
            next_try_ms,
        }
    }
}

impl From<SourceReport> for Chain {
    fn from(report: SourceReport) -> Self {
        Self {
            chain_id: report.chain_id,
            trouble: report.trouble.map(Trouble::from),
            head: report.head.map(|head| Head {
                number: head.number,
                hash: hex(&head.hash),
                timestamp_ms: head.timestamp_ms,
                seen_ms: head.seen_ms,
            }),
            following: report.following.map(|following| Following {
                endpoint: following.endpoint,
                since_ms: following.since_ms,
                is_pushed: following.is_pushed,
            }),
            endpoints: report.endpoints.into_iter().map(Endpoint::from).collect(),
            requests_by_module: report
                .requests_by_module
                .into_iter()
                .map(|requests| ModuleRequests {
                    module: requests.module,
                    class: requests.class.to_owned(),
                    count: requests.count,
                })
                .collect(),
            request_failovers: report.request_failovers,
            follow_failovers: report.follow_failovers,
        }
    }
}

impl From<source::EndpointReport> for Endpoint {
    fn from(report: source::EndpointReport) -> Self {
        let (state, reason, since_ms, until_ms) = state(report.state);
        let us = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            endpoint: report.label,
            priority: report.priority,
            head: report.head,
            state,
            reason,
            since_ms,
            until_ms,
            latency_p50_us: report.latency.map(|latency| us(latency.p50)),
            latency_p99_us: report.latency.map(|latency| us(latency.p99)),
            requests: report.requests,
            errors: report.errors,
            error_rate: report.error_rate,
            requests_per_second: report.budget.map(|budget| budget.requests_per_second),
            budget: report.budget.map(|budget| budget.available),
            last_error: report.last_error.map(|error| LastError {
                text: error.text,
                at_ms: error.at_ms,
            }),
        }
    }
}

/// The state, its reason, the time since which it holds, and the time of the next attempt.
fn state(state: source::EndpointState) -> (EndpointState, Option<String>, Option<u64>, Option<u64>) {
    use source::EndpointState as Of;

    let with = |state, reason: nexum_core::Reason, until_ms| {
        let nexum_core::Reason { text, since_ms } = reason;
        (state, Some(text.to_string()), Some(since_ms), until_ms)
    };
    match state {
        Of::InUse { since_ms } => (EndpointState::InUse, None, Some(since_ms), None),
        Of::Standby { since_ms } => (EndpointState::Standby, None, Some(since_ms), None),
        Of::Behind { reason } => with(EndpointState::Behind, reason, None),
        Of::Rested { until_ms, reason } => with(EndpointState::Rested, reason, Some(until_ms)),
        Of::Paused { until_ms, reason } => with(EndpointState::Paused, reason, Some(until_ms)),
        Of::WrongChain { until_ms, reason } => with(EndpointState::WrongChain, reason, Some(until_ms)),
        Of::Untested => (EndpointState::Untested, None, None, None),
    }
}
