//! Everything that is measured here, with names, units and labels.
//!
//! Handles are not kept: there are more combinations of labels than are ever used, and a few requests a second. No label's value is
//! a guest's: a destination is called by the operator's entry that allows it.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use reqwest::Method;

use crate::error::FetchError;
use crate::hop::Hop;
use crate::pattern::HostPattern;
use crate::policy::Rule;

/// Counter: requests that were allowed, each redirect being one more. Labels: [`DESTINATION`], [`METHOD`], [`OUTCOME`].
pub const REQUESTS: &str = "nexum_http_requests_total";

/// Histogram, seconds: from a request to the end of its answer, or to its failure. Labels: [`DESTINATION`], [`METHOD`].
pub const REQUEST_SECONDS: &str = "nexum_http_request_seconds";

/// Counter, bytes: bodies of answers. Label: [`DESTINATION`].
pub const RESPONSE_BYTES: &str = "nexum_http_response_bytes_total";

/// Counter: fetches that were denied. Label: [`RULE`].
pub const DENIED: &str = "nexum_http_denied_total";

/// Label: the operator's entry that allows the destination.
pub const DESTINATION: &str = "destination";

/// Label: the HTTP method, or `other`.
pub const METHOD: &str = "method";

/// Label: what became of a request: `1xx` to `5xx` for an answer's status, `redirect`, `denied`, `timeout`, `unavailable`, `malformed`
/// or `error`.
pub const OUTCOME: &str = "outcome";

/// Label: what forbade it: `manifest`, `operator`, `plain_http`, `address`, `unusable` or `redirects`.
pub const RULE: &str = "rule";

/// Tells the recorder what the metrics mean. For whoever installed it, once.
pub fn describe() {
    describe_counter!(REQUESTS, "requests sent for modules");
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "time from a request to the end of its answer"
    );
    describe_counter!(RESPONSE_BYTES, Unit::Bytes, "bodies of answers");
    describe_counter!(DENIED, "fetches that were denied");
}

/// What is measured of one request.
#[derive(Clone, Debug)]
pub(crate) struct HopMetrics {
    destination: String,
    method: &'static str,
}

impl HopMetrics {
    pub(crate) fn new(entry: &HostPattern, method: &Method) -> Self {
        Self {
            destination: entry.to_string(),
            method: known(method),
        }
    }

    /// The request was answered, or failed.
    pub(crate) fn done(self, result: &Result<Hop, FetchError>, took: Duration) {
        let Self { destination, method } = self;
        let outcome = outcome(result);
        counter!(REQUESTS, DESTINATION => destination.clone(), METHOD => method, OUTCOME => outcome).increment(1);
        histogram!(REQUEST_SECONDS, DESTINATION => destination.clone(), METHOD => method).record(took);
        if let Ok(Hop::Answer(answer)) = result {
            counter!(RESPONSE_BYTES, DESTINATION => destination).increment(answer.body.len() as u64);
        }
    }
}

/// A fetch was denied.
pub(crate) fn denied(rule: Rule) {
    counter!(DENIED, RULE => rule.name()).increment(1);
}

/// A method of the registry that modules use; there is no bound on others.
fn known(method: &Method) -> &'static str {
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
        Err(FetchError::Invalid { .. } | FetchError::Internal) => "error",
    }
}
