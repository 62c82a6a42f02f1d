//! Other endpoints for a chain that is in use.

use std::sync::Arc;

use super::{Endpoints, labels};
use crate::config::{ChainConfig, EndpointConfig};
use crate::rpc::endpoint::Endpoint;

impl Endpoints {
    /// The endpoints of another configuration of this chain. An endpoint of both, which has the same URL,
    /// keeps its label and what [`Endpoint::continued`] names. Does not use the network, and changes nothing here.
    pub(crate) fn continued(&self, config: &ChainConfig) -> Self {
        let labels = labels(config, &self.all);
        let endpoint = |(index, (of_one, label)): (usize, (&EndpointConfig, String))| {
            // Another URL is another server, even if scheme, host and port are equal.
            let before = self.all.iter().find(|before| before.config().url == of_one.url);
            Arc::new(match before {
                Some(before) => before.continued(config, of_one, index, &self.signal),
                None => Endpoint::new(config, of_one, index, label, &self.signal),
            })
        };
        let all = config.endpoints().iter().zip(labels).enumerate().map(endpoint);
        Self::of(config, all.collect(), &self.signal, Arc::clone(&self.metrics))
    }

    /// Sets the gauges of the endpoints that are not in `next`.
    pub(crate) fn retire(&self, next: &Self) {
        let is_gone = |endpoint: &&Arc<Endpoint>| next.all.iter().all(|other| other.label() != endpoint.label());
        self.all.iter().filter(is_gone).for_each(|endpoint| endpoint.retire());
    }
}
