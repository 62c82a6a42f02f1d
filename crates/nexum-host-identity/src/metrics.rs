//! The metrics of this crate, with names, units and labels.
//!
//! The crate keeps no handles, because there are only a few signatures per second.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use crate::error::IdentityError;

/// Counter: requests of modules for a signature. Labels: [`KIND`], [`OUTCOME`].
pub const SIGNATURES: &str = "nexum_identity_signatures_total";

/// Histogram, seconds: from a module's request to its signature; only requests that were signed.
/// Label: [`KIND`].
pub const SIGN_SECONDS: &str = "nexum_identity_sign_seconds";

/// Label: `message` or `typed_data`.
pub const KIND: &str = "kind";

/// Label: `signed`, `denied`, `invalid`, `timeout` or `unavailable`.
pub const OUTCOME: &str = "outcome";

/// Describes the metrics to the recorder. The embedder calls it once, after it installs the
/// recorder.
pub fn describe() {
    describe_counter!(SIGNATURES, "requests of modules for a signature");
    describe_histogram!(SIGN_SECONDS, Unit::Seconds, "time from a request to its signature");
}

/// Counts a request when it ends.
pub(crate) fn count(kind: &'static str, error: Option<&IdentityError>, took: Duration) {
    let outcome = error.map_or("signed", IdentityError::outcome);
    counter!(SIGNATURES, KIND => kind, OUTCOME => outcome).increment(1);
    if error.is_none() {
        histogram!(SIGN_SECONDS, KIND => kind).record(took);
    }
}
