//! Work of a host beside its modules.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::store::StateStore;

/// A task that runs as long as the modules do, such as the one that watches sent transactions.
#[async_trait]
pub trait Service: Send + Sync + Debug + 'static {
    /// Works until `stop`. It must survive any outage, and return soon after `stop`: the end of the run does not wait
    /// long for it.
    async fn run(&self, context: ServiceContext, stop: CancellationToken);
}

/// What a run gives to its services.
#[derive(Clone, Debug)]
pub struct ServiceContext {
    /// The store of the modules' state.
    pub store: Arc<dyn StateStore>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}
