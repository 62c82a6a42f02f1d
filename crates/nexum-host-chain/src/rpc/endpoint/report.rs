//! The report of an endpoint.

use nexum_core::source::{Budget, EndpointReport, LastError};
use tokio::time::Instant;

use super::Endpoint;
use super::limit::RateLimit;
use crate::wall;

impl Endpoint {
    /// The endpoint's state and numbers. `in_use_since` is the time since which it is in use.
    pub(crate) fn report(&self, in_use_since: Option<Instant>) -> EndpointReport {
        let last_error = self.usage.last_error();
        EndpointReport {
            label: self.label.clone(),
            priority: self.priority,
            state: self.health.state(in_use_since),
            head: self.health.head().filter(|_| !self.health.is_down()),
            latency: self.usage.latency(),
            requests: self.usage.requests(),
            errors: self.usage.errors(),
            error_rate: self.usage.error_rate(),
            budget: self.rate_limit.as_deref().map(budget),
            last_error: last_error.map(|(text, at)| LastError {
                text,
                at_ms: wall::ms(at),
            }),
        }
    }

    /// Sets the gauges of the endpoint.
    pub(crate) fn show(&self, is_followed: bool) {
        let up = match (self.health.is_down(), self.health.works_since()) {
            (true, _) => 0.0,
            (false, Some(_)) => 1.0,
            (false, None) => f64::NAN,
        };
        self.metrics.up.set(up);
        self.metrics.following.set(f64::from(u8::from(is_followed)));
    }

    /// Sets the gauges of an endpoint that is configured no longer.
    pub(crate) fn retire(&self) {
        self.metrics.up.set(f64::NAN);
        self.metrics.following.set(0.0);
    }
}

fn budget(limit: &RateLimit) -> Budget {
    Budget {
        requests_per_second: limit.calls_max() as u64,
        available: limit.available() as u64,
    }
}
