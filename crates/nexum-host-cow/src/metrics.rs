//! The metrics of this crate, with names, units and labels.
//!
//! The crate keeps no handles, because most combinations of labels are never used and there are
//! only a few requests per second.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use nexum_config::topic::ChainId;

use crate::error::RequestError;
use crate::route::Route;

/// Counter: requests sent to order books; each attempt counts. Labels: [`CHAIN`], [`METHOD`],
/// [`ROUTE`], [`OUTCOME`].
pub const REQUESTS: &str = "nexum_cow_requests_total";

/// Histogram, seconds: from a request to its response or failure, without the waits in
/// [`WAIT_SECONDS`]. Labels: [`CHAIN`], [`METHOD`], [`ROUTE`].
pub const REQUEST_SECONDS: &str = "nexum_cow_request_seconds";

/// Counter: retried requests. Labels: [`CHAIN`], [`METHOD`], [`ROUTE`].
pub const RETRIES: &str = "nexum_cow_retries_total";

/// Histogram, seconds: wait of requests for the rate limit, or for a pause that the order book
/// requested; only requests that waited. Label: [`CHAIN`].
pub const WAIT_SECONDS: &str = "nexum_cow_wait_seconds";

/// Counter: orders that modules submitted. Labels: [`CHAIN`], [`CLASS`].
pub const SUBMISSIONS: &str = "nexum_cow_submissions_total";

/// Label: the chain id, in decimal.
pub const CHAIN: &str = "chain";

/// Label: the HTTP method.
pub const METHOD: &str = "method";

/// Label: the pattern of the path, or `other`. Never the path.
pub const ROUTE: &str = "route";

/// Label: the outcome of a request: `ok`, `rejected`, `rate_limited`, `timeout`, `unavailable`,
/// `malformed` or `error`.
pub const OUTCOME: &str = "outcome";

/// Label: the outcome of an order: `accepted`, `duplicate`, the name of a class of
/// `nexum-cow-errors`, `refused` if it was not sent, or `unknown` without a response.
pub const CLASS: &str = "class";

/// Describes the metrics to the recorder. The embedder calls it once, after it installs the
/// recorder.
pub fn describe() {
    describe_counter!(REQUESTS, "requests sent to order books");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "time from a request to its response");
    describe_counter!(RETRIES, "retried requests");
    describe_histogram!(
        WAIT_SECONDS,
        Unit::Seconds,
        "time that requests waited for a rate limit"
    );
    describe_counter!(SUBMISSIONS, "orders submitted");
}

/// The labels of requests on one route of one chain.
#[derive(Clone, Debug)]
pub(crate) struct RouteMetrics {
    chain: String,
    route: Route,
}

impl RouteMetrics {
    pub(crate) fn new(chain_id: ChainId, route: Route) -> Self {
        Self {
            chain: chain_id.to_string(),
            route,
        }
    }

    /// Records the outcome and the duration of one request.
    pub(crate) fn request(&self, error: Option<&RequestError>, took: Duration) {
        let (method, route) = (self.route.method.as_str(), self.route.pattern);
        let (chain, outcome) = (&self.chain, outcome(error));
        counter!(REQUESTS, CHAIN => chain.clone(), METHOD => method, ROUTE => route, OUTCOME => outcome).increment(1);
        histogram!(REQUEST_SECONDS, CHAIN => chain.clone(), METHOD => method, ROUTE => route).record(took);
    }

    pub(crate) fn retry(&self) {
        let (method, route) = (self.route.method.as_str(), self.route.pattern);
        counter!(RETRIES, CHAIN => self.chain.clone(), METHOD => method, ROUTE => route).increment(1);
    }

    pub(crate) fn wait(&self, waited: Duration) {
        histogram!(WAIT_SECONDS, CHAIN => self.chain.clone()).record(waited);
    }
}

/// Counts a submitted order with its outcome.
pub(crate) fn submission(chain_id: ChainId, class: &'static str) {
    counter!(SUBMISSIONS, CHAIN => chain_id.to_string(), CLASS => class).increment(1);
}

fn outcome(error: Option<&RequestError>) -> &'static str {
    match error {
        None => "ok",
        Some(RequestError::Answer(answer)) => match answer.status {
            429 => "rate_limited",
            408 | 504 => "timeout",
            400..=499 => "rejected",
            _ => "unavailable",
        },
        Some(RequestError::Timeout { .. }) => "timeout",
        Some(RequestError::Unreachable { .. } | RequestError::Tls(_) | RequestError::Lost { .. }) => "unavailable",
        Some(RequestError::TooLarge { .. } | RequestError::Malformed | RequestError::AnotherUid) => "malformed",
        Some(
            RequestError::Refused { .. } | RequestError::NoTurn | RequestError::Recorded(_) | RequestError::Internal,
        ) => "error",
    }
}
