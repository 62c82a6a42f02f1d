//! The tasks beside the modules.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::shutdown::Deadline;
use crate::service::{Service, ServiceContext};

/// The services of a run. Dropping them aborts them.
pub(super) struct Services {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Services {
    pub(super) fn begin(services: Vec<Arc<dyn Service>>, context: &ServiceContext) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        for service in services {
            let (context, stop) = (context.clone(), stop.clone());
            tasks.spawn(async move { service.run(context, stop).await });
        }
        Self { tasks, stop }
    }

    /// Ends the services, after the modules and before the store.
    pub(super) async fn end(mut self, deadline: &Deadline) {
        self.stop.cancel();
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(panic) = ended {
                    tracing::error!(error = %panic, "a service panicked: this is a fault of nexum");
                }
            }
        };
        if !deadline.bound(ended).await {
            tracing::error!("a service does not end: nexum abandons its work");
        }
    }
}
