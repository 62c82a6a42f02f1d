//! The parts of a node, which its tasks share.

use std::sync::Arc;

use super::lease::Lease;
use super::metrics::Metrics;
use super::requests::Requests;
use crate::node_config::ClusterConfig;
use crate::postgres::grant::Grant;

/// The parts of a node, which its tasks share.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) config: ClusterConfig,
    pub(super) lease: Lease,
    pub(super) grant: Arc<Grant>,
    pub(super) requests: Requests,
    pub(super) metrics: Metrics,
}

impl Node {
    pub(super) fn new(config: ClusterConfig, lease: Lease, grant: Arc<Grant>) -> Self {
        Self {
            metrics: Metrics::new(config.lease_ttl),
            config,
            lease,
            grant,
            requests: Requests::new(),
        }
    }
}
