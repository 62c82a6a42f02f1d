//! The report of a chain's endpoints.

use std::sync::Arc;

use nexum_core::source::EndpointReport;
use tokio::time::Instant;

use super::Endpoints;
use crate::rpc::endpoint::Endpoint;

/// The endpoints that cannot be used.
#[derive(Debug)]
pub(crate) struct Down {
    pub(crate) count: usize,
    pub(crate) all: usize,
    /// The time since which no endpoint can be used. None if one can.
    pub(crate) since: Option<Instant>,
    /// The label of each of them with its failure, in the configured order.
    pub(crate) failures: Vec<(String, String)>,
    /// The time of the next attempt to use one of the endpoints. None without a planned one.
    pub(crate) next_try: Option<Instant>,
}

impl Down {
    pub(crate) fn is_whole(&self) -> bool {
        self.count == self.all
    }
}

impl Endpoints {
    /// The report of each endpoint. `followed` is the label of the followed endpoint, with the time
    /// since which it is followed. Without it, the endpoint that receives requests first is in use.
    pub(crate) fn report(&self, followed: Option<(&str, Instant)>) -> Vec<EndpointReport> {
        let first = self.best(&[]);
        let in_use_since = |label: &str| match followed {
            Some((followed, since)) => (followed == label).then_some(since),
            None if label == first.label() => first.health().works_since(),
            None => None,
        };
        let report = |endpoint: &Arc<Endpoint>| endpoint.report(in_use_since(endpoint.label()));
        self.all.iter().map(report).collect()
    }

    /// The endpoints that cannot be used.
    pub(crate) fn down(&self) -> Down {
        let down: Vec<_> = self.all.iter().filter(|endpoint| endpoint.health().is_down()).collect();
        let is_whole = down.len() == self.all.len();
        let began = down.iter().filter_map(|endpoint| endpoint.health().down_since()).max();
        let failure = |endpoint: &&Arc<Endpoint>| (endpoint.label().to_owned(), endpoint.health().down_because());
        Down {
            count: down.len(),
            all: self.all.len(),
            since: began.filter(|_| is_whole),
            failures: down.iter().map(failure).collect(),
            next_try: self
                .all
                .iter()
                .filter_map(|endpoint| endpoint.health().rest_over())
                .min(),
        }
    }

    /// Sets the gauges of the endpoints.
    pub(crate) fn show(&self, followed: Option<&str>) {
        for endpoint in &self.all {
            endpoint.show(followed == Some(endpoint.label()));
        }
    }
}
