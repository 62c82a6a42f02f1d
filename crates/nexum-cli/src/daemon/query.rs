//! The port for queries.

use std::convert::Infallible;
use std::time::Duration;

use nexum_core::HostHandle;
use tokio::net::TcpListener;

use super::api::query::{Answering, routes};
use crate::configure::QueryConfig;
use crate::daemon::api::with_fallbacks;
use crate::daemon::listen::{self, Bounds};
use crate::report::Refusal;

/// The most concurrent connections: twice the queries that may wait for one module by default, and
/// a fraction of a process's file descriptors.
const CONNECTIONS_MAX: usize = 512;

/// The longest life of a connection: twice the longest query.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(2 * 3_600);

/// The port, if the operator configured one.
pub(crate) struct Listener {
    listener: Option<TcpListener>,
    may_write: bool,
}

impl Listener {
    /// Opens the port.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    pub(crate) async fn open(config: &QueryConfig) -> Result<Self, Refusal> {
        let listener = match config.listen {
            Some(address) => Some(listen::bind("query.listen", address).await?),
            None => None,
        };
        let may_write = config.writeable;
        Ok(Self { listener, may_write })
    }

    /// Answers requests until it is dropped.
    pub(crate) async fn serve(self, host: &HostHandle) -> Infallible {
        let Some(listener) = self.listener else {
            return std::future::pending().await;
        };
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "accepting queries");
        }
        let bounds = Bounds::new(CONNECTIONS_MAX, CONNECTION_TIME_MAX);
        let answering = Answering {
            host: host.clone(),
            may_write: self.may_write,
        };
        listen::serve(listener, with_fallbacks(routes().with_state(answering)), bounds).await
    }
}
