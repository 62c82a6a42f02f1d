//! Everything that is measured here, with names, units and labels.
//!
//! Handles are not kept: there are more combinations of labels than are ever used, and a few requests a second.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use nexum_config::topic::ChainId;

use crate::error::RequestError;
use crate::route::Route;

/// Counter: requests sent to order books, each attempt being one. Labels: [`CHAIN`], [`METHOD`], [`ROUTE`], [`OUTCOME`].
pub const REQUESTS: &str = "nexum_cow_requests_total";

/// Histogram, seconds: from sending a request to its answer or failure, without waits of [`WAIT_SECONDS`]. Labels: [`CHAIN`],
/// [`METHOD`], [`ROUTE`].
pub const REQUEST_SECONDS: &str = "nexum_cow_request_seconds";

/// Counter: requests that were sent again. Labels: [`CHAIN`], [`METHOD`], [`ROUTE`].
pub const RETRIES: &str = "nexum_cow_retries_total";

/// Histogram, seconds: how long requests waited for `requests_per_second`, or for an order book that had asked to be left alone;
/// only those that waited. Label: [`CHAIN`].
pub const WAIT_SECONDS: &str = "nexum_cow_wait_seconds";

/// Counter: orders that modules submitted. Labels: [`CHAIN`], [`CLASS`].
pub const SUBMISSIONS: &str = "nexum_cow_submissions_total";

/// Label: the chain id, in decimal.
pub const CHAIN: &str = "chain";

/// Label: the HTTP method.
pub const METHOD: &str = "method";

/// Label: the pattern of the path, or `other`. Never the path.
pub const ROUTE: &str = "route";

/// Label: what became of a request: `ok`, `rejected`, `rate_limited`, `timeout`, `unavailable`, `malformed` or `error`.
pub const OUTCOME: &str = "outcome";

/// Label: what became of an order: `accepted`, `duplicate`, the name of a class of `nexum-cow-errors`, `refused` if it was not sent,
/// or `unknown` if there was no answer.
pub const CLASS: &str = "class";

/// Tells the recorder what the metrics mean. For whoever installed it, once.
pub fn describe() {
    describe_counter!(REQUESTS, "requests sent to order books");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "time from a request to its answer");
    describe_counter!(RETRIES, "requests sent again");
    describe_histogram!(
        WAIT_SECONDS,
        Unit::Seconds,
        "time that requests waited for a rate limit"
    );
    describe_counter!(SUBMISSIONS, "orders submitted");
}

/// What is measured of requests on one route of one chain.
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

    /// One request was answered, or failed.
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

/// An order was submitted, and this became of it.
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
        Some(RequestError::Unreachable { .. } | RequestError::Lost { .. }) => "unavailable",
        Some(RequestError::TooLarge { .. } | RequestError::Malformed) => "malformed",
        Some(RequestError::Refused { .. } | RequestError::NoTurn | RequestError::Internal) => "error",
    }
}
