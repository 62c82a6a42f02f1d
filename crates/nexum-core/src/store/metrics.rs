//! The metrics of the committer.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

use crate::metrics::{COMMITS, OUTCOME, TRANSACTION_SECONDS, TRANSACTIONS};

/// The metrics of the committer.
pub(crate) struct CommitterMetrics {
    made: Counter,
    failed: Counter,
    commits: Counter,
    seconds: Histogram,
}

impl CommitterMetrics {
    pub(crate) fn new() -> Self {
        Self {
            made: counter!(TRANSACTIONS, OUTCOME => "made"),
            failed: counter!(TRANSACTIONS, OUTCOME => "failed"),
            commits: counter!(COMMITS),
            seconds: histogram!(TRANSACTION_SECONDS),
        }
    }

    /// Counts commits that became durable.
    pub(crate) fn commits(&self, count: usize) {
        self.commits.increment(count as u64);
    }

    /// Records a successful or failed transaction.
    pub(crate) fn transaction(&self, is_made: bool, took: Duration) {
        self.seconds.record(took);
        let counter = if is_made { &self.made } else { &self.failed };
        counter.increment(1);
    }
}
