//! One value for each endpoint of a chain.

use parking_lot::Mutex;

use crate::rpc::endpoint::Endpoint;
use crate::rpc::endpoints::Endpoints;

/// One value for each endpoint of a chain, each behind a lock of its own.
#[derive(Debug)]
pub(super) struct PerEndpoint<T>(Vec<Mutex<T>>);

impl<T> PerEndpoint<T> {
    /// The value that `of` returns for each endpoint.
    pub(super) fn new(endpoints: &Endpoints, of: impl Fn(&Endpoint) -> T) -> Self {
        let values = endpoints.all().iter().map(|endpoint| Mutex::new(of(endpoint)));
        Self(values.collect())
    }

    /// Reads or changes the value of an endpoint of this chain.
    pub(super) fn with<R>(&self, endpoint: &Endpoint, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.0[endpoint.index()].lock())
    }
}
