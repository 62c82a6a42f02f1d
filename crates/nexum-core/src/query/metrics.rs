//! Metrics of a query module.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use nexum_config::limits::Limit;
use nexum_config::names::ModuleName;

use crate::metrics::{LIMIT, LIMIT_TRIPS, MODULE, OUTCOME, QUERIES, QUERY_SECONDS, QUERY_SUSPENDED};

/// The metrics of one query module.
pub(crate) struct QueryMetrics {
    module: String,
    answered: Counter,
    seconds: Histogram,
    suspended: Gauge,
}

impl QueryMetrics {
    pub(crate) fn new(module: &ModuleName) -> Self {
        let module = module.as_str().to_owned();
        let suspended = gauge!(QUERY_SUSPENDED, MODULE => module.clone());
        suspended.set(0.0);
        Self {
            suspended,
            answered: counter!(QUERIES, MODULE => module.clone(), OUTCOME => "answered"),
            seconds: histogram!(QUERY_SECONDS, MODULE => module.clone()),
            module,
        }
    }

    /// Counts a query with an answer.
    pub(crate) fn answered(&self) {
        self.answered.increment(1);
    }

    /// Counts a query without an answer. The counter is looked up each time, because failures are
    /// rare and have many kinds.
    pub(crate) fn failed(&self, kind: &'static str) {
        counter!(QUERIES, MODULE => self.module.clone(), OUTCOME => kind).increment(1);
    }

    /// Counts a query that exceeded a limit.
    pub(crate) fn tripped(&self, limit: Limit) {
        counter!(LIMIT_TRIPS, MODULE => self.module.clone(), LIMIT => limit.name()).increment(1);
    }

    /// Records whether the module is suspended.
    pub(crate) fn suspended(&self, is_suspended: bool) {
        self.suspended.set(f64::from(u8::from(is_suspended)));
    }

    /// Records the duration of a call that reached an instance.
    pub(crate) fn asked(&self, took: Duration) {
        self.seconds.record(took);
    }
}

/// `Debug` omits the metric handles.
impl std::fmt::Debug for QueryMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryMetrics").finish_non_exhaustive()
    }
}
