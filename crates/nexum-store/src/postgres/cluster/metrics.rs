//! The metrics of a node, with names and units.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

/// Gauge: the epoch with which the node joined, or 0 while it is not a member.
const EPOCH: &str = "nexum_cluster_epoch";

/// Gauge: the groups that the node owns.
const OWNED_GROUPS: &str = "nexum_cluster_owned_groups";

/// Gauge: the groups that no node owns, and that a live node has. Each node reports all of them.
const UNOWNED_GROUPS: &str = "nexum_cluster_unowned_groups";

/// Gauge, seconds: the time since the node sent the last renewal that the database confirmed. 0 while it
/// is not a member.
const LEASE_AGE_SECONDS: &str = "nexum_cluster_lease_age_seconds";

/// Gauge, seconds: the time after which a lease without a renewal ends.
const LEASE_TTL_SECONDS: &str = "nexum_cluster_lease_ttl_seconds";

/// Counter: ended memberships, except those that the node ended itself.
const FENCED: &str = "nexum_cluster_fenced_total";

/// Histogram, seconds: the time in which no node owned a group that the node then took.
const TAKEOVER_SECONDS: &str = "nexum_cluster_takeover_seconds";

/// Describes the metrics of a node to the recorder. The program that installed the recorder calls this once.
pub fn describe_metrics() {
    describe_gauge!(EPOCH, "epoch of the node's membership, or 0 without one");
    describe_gauge!(OWNED_GROUPS, "groups of modules that the node owns");
    describe_gauge!(UNOWNED_GROUPS, "groups of modules that no node owns");
    describe_gauge!(
        LEASE_AGE_SECONDS,
        Unit::Seconds,
        "time since the last confirmed renewal of the node's lease"
    );
    describe_gauge!(
        LEASE_TTL_SECONDS,
        Unit::Seconds,
        "time after which a lease without a renewal ends"
    );
    describe_counter!(FENCED, "memberships of the node that the node did not end itself");
    describe_histogram!(
        TAKEOVER_SECONDS,
        Unit::Seconds,
        "time in which no node owned a group that the node took"
    );
}

#[derive(Clone, Debug)]
pub(super) struct Metrics {
    epoch: Gauge,
    owned: Gauge,
    unowned: Gauge,
    lease_age: Gauge,
    fenced: Counter,
    takeover: Histogram,
}

impl Metrics {
    pub(super) fn new(lease_ttl: Duration) -> Self {
        gauge!(LEASE_TTL_SECONDS).set(lease_ttl.as_secs_f64());
        Self {
            epoch: gauge!(EPOCH),
            owned: gauge!(OWNED_GROUPS),
            unowned: gauge!(UNOWNED_GROUPS),
            lease_age: gauge!(LEASE_AGE_SECONDS),
            fenced: counter!(FENCED),
            takeover: histogram!(TAKEOVER_SECONDS),
        }
    }

    pub(super) fn joined(&self, epoch: i64) {
        self.epoch.set(epoch as f64);
    }

    /// The end of a membership.
    pub(super) fn ended(&self, by_itself: bool) {
        self.epoch.set(0.0);
        self.owned.set(0.0);
        self.lease_age.set(0.0);
        self.fenced.increment(u64::from(!by_itself));
    }

    pub(super) fn groups(&self, owned: usize, unowned: usize) {
        self.owned.set(owned as f64);
        self.unowned.set(unowned as f64);
    }

    pub(super) fn lease_age(&self, age: Duration) {
        self.lease_age.set(age.as_secs_f64());
    }

    pub(super) fn took_over(&self, waited: Duration) {
        self.takeover.record(waited.as_secs_f64());
    }
}
