//! Work of a host beside its modules.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use nexum_config::names::ModuleName;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::membership::Tenure;
use crate::store::StateStore;

/// A task that runs as long as the modules do, such as the one that watches sent transactions.
#[async_trait]
pub trait Service: Send + Sync + Debug + 'static {
    /// Works until `stop`. It must survive any outage, and return soon after `stop`: the end of the run does not wait
    /// long for it.
    async fn run(&self, context: ServiceContext, stop: CancellationToken);
}

/// The parts of a run that a service uses.
#[derive(Clone, Debug)]
pub struct ServiceContext {
    /// The store of the modules' state.
    pub store: Arc<dyn StateStore>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The modules that this process owns. `None` if it runs all modules.
    pub(crate) tenure: Option<watch::Receiver<Tenure>>,
}

impl ServiceContext {
    /// The context of a process that runs all modules.
    pub fn new(store: Arc<dyn StateStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            tenure: None,
        }
    }

    /// Whether this process is the one that runs the module, or would run it.
    pub fn owns(&self, module: &ModuleName) -> bool {
        let tenure = self.tenure.as_ref();
        tenure.is_none_or(|tenure| tenure.borrow().owned.contains_key(module))
    }
}
