//! What is measured of a module that answers queries.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};
use nexum_config::limits::Limit;
use nexum_config::names::ModuleName;

use crate::metrics::{LIMIT, LIMIT_TRIPS, MODULE, OUTCOME, QUERIES, QUERY_SECONDS};

/// What is measured of a module that answers queries.
pub(crate) struct QueryMetrics {
    module: String,
    answered: Counter,
    seconds: Histogram,
}

impl QueryMetrics {
    pub(crate) fn new(module: &ModuleName) -> Self {
        let module = module.as_str().to_owned();
        Self {
            answered: counter!(QUERIES, MODULE => module.clone(), OUTCOME => "answered"),
            seconds: histogram!(QUERY_SECONDS, MODULE => module.clone()),
            module,
        }
    }

    /// A query was answered.
    pub(crate) fn answered(&self) {
        self.answered.increment(1);
    }

    /// A query was not answered, for a reason of this kind. That is rare, and there are many kinds.
    pub(crate) fn failed(&self, kind: &'static str) {
        counter!(QUERIES, MODULE => self.module.clone(), OUTCOME => kind).increment(1);
    }

    /// A limit ended a query.
    pub(crate) fn tripped(&self, limit: Limit) {
        counter!(LIMIT_TRIPS, MODULE => self.module.clone(), LIMIT => limit.name()).increment(1);
    }

    /// An instance was asked.
    pub(crate) fn asked(&self, took: Duration) {
        self.seconds.record(took);
    }
}

/// Handles are of no interest to anybody.
impl std::fmt::Debug for QueryMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryMetrics").finish_non_exhaustive()
    }
}
