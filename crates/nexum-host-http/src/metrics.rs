//! The metrics of this crate, with names, units and labels.
//!
//! The crate keeps no handles, because most combinations of labels are never used and there are
//! only a few requests per second. No label's value comes from a guest: the label of a destination
//! is the operator's entry that allows it.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use reqwest::Method;
use tokio::time::Instant;

use crate::error::FetchError;
use crate::hop::Hop;
use crate::pattern::HostPattern;
use crate::policy::Rule;

/// Counter: permitted requests; each redirect counts as one more. Labels: [`DESTINATION`],
/// [`METHOD`], [`OUTCOME`].
pub const REQUESTS: &str = "nexum_http_requests_total";

/// Histogram, seconds: from a request to the end of its response, or to its failure. Labels:
/// [`DESTINATION`], [`METHOD`].
pub const REQUEST_SECONDS: &str = "nexum_http_request_seconds";

/// Counter, bytes: bodies of responses. Label: [`DESTINATION`].
pub const RESPONSE_BYTES: &str = "nexum_http_response_bytes_total";

/// Counter: denied fetches. Label: [`RULE`].
pub const DENIED: &str = "nexum_http_denied_total";

/// Label: the operator's entry that allows the destination.
pub const DESTINATION: &str = "destination";

/// Label: the HTTP method, or `other`.
pub const METHOD: &str = "method";

/// Label: the outcome of a request: `1xx` to `5xx` for a response's status, `redirect`, `denied`,
/// `timeout`, `unavailable`, `malformed`, `cancelled` or `error`.
pub const OUTCOME: &str = "outcome";

/// Label: the rule that denied a fetch: `manifest`, `operator`, `plain_http`, `address`, `unusable`
/// or `redirects`.
pub const RULE: &str = "rule";

/// Describes the metrics to the recorder. The embedder calls it once, after it installs the
/// recorder.
pub fn describe() {
    describe_counter!(REQUESTS, "requests sent for modules");
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "time from a request to the end of its response"
    );
    describe_counter!(RESPONSE_BYTES, Unit::Bytes, "bodies of responses");
    describe_counter!(DENIED, "denied fetches");
}

/// Counts one request when it ends. If the guest or the end of the event cancels the request, it
/// ends when it is dropped.
#[derive(Debug)]
pub(crate) struct HopMetrics {
    destination: String,
    method: &'static str,
    outcome: &'static str,
    began: Instant,
}

impl HopMetrics {
    /// Starts the time of a request.
    pub(crate) fn new(entry: &HostPattern, method: &Method) -> Self {
        Self {
            destination: entry.to_string(),
            method: known(method),
            outcome: CANCELLED,
            began: Instant::now(),
        }
    }

    /// Counts the request. Returns its duration.
    pub(crate) fn done(mut self, result: &Result<Hop, FetchError>) -> Duration {
        self.outcome = outcome(result);
        if let Ok(Hop::Answer(answer)) = result {
            counter!(RESPONSE_BYTES, DESTINATION => self.destination.clone()).increment(answer.body.len() as u64);
        }
        self.began.elapsed()
    }
}

impl Drop for HopMetrics {
    fn drop(&mut self) {
        let Self { method, outcome, .. } = *self;
        let destination = std::mem::take(&mut self.destination);
        counter!(REQUESTS, DESTINATION => destination.clone(), METHOD => method, OUTCOME => outcome).increment(1);
        histogram!(REQUEST_SECONDS, DESTINATION => destination, METHOD => method).record(self.began.elapsed());
    }
}

/// The outcome of a request that did not end.
const CANCELLED: &str = "cancelled";

/// Counts a denied fetch.
pub(crate) fn denied(rule: Rule) {
    counter!(DENIED, RULE => rule.name()).increment(1);
}

/// The label of a method. Modules can invent methods without bound, so unusual ones share one
/// label.
pub(crate) fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];
    let found = KNOWN.into_iter().find(|known| *known == method.as_str());
    found.unwrap_or("other")
}

fn outcome(result: &Result<Hop, FetchError>) -> &'static str {
    match result {
        Ok(Hop::Redirect(_)) => "redirect",
        Ok(Hop::Answer(answer)) => match answer.status {
            ..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        },
        Err(FetchError::Denied { .. }) => "denied",
        Err(FetchError::Timeout { .. }) => "timeout",
        Err(FetchError::Unresolved | FetchError::Unreachable { .. } | FetchError::Tls(_) | FetchError::Lost { .. }) => {
            "unavailable"
        }
        Err(FetchError::TooLarge { .. } | FetchError::BadRedirect) => "malformed",
        Err(FetchError::Cancelled) => CANCELLED,
        Err(FetchError::Invalid { .. } | FetchError::Recorded(_) | FetchError::Internal) => "error",
    }
}
