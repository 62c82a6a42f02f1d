//! The port for queries.

use std::convert::Infallible;
use std::time::Duration;

use nexum_core::HostHandle;
use tokio::net::TcpListener;

use super::answer::router;
use super::config::QueryConfig;
use crate::daemon::listen::{self, Bounds};
use crate::report::Refusal;

/// The most concurrent connections: twice the queries that may wait for one module by default, and
/// a fraction of a process's file descriptors.
const CONNECTIONS_MAX: usize = 512;

/// The longest life of a connection: twice the longest query.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(2 * 3_600);

/// The port, if the operator configured one.
pub(crate) struct Listener(Option<TcpListener>);

impl Listener {
    /// Opens the port.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    pub(crate) async fn open(config: &QueryConfig) -> Result<Self, Refusal> {
        let Some(address) = config.listen else {
            return Ok(Self(None));
        };
        let listener = listen::bind("query.listen", address).await?;
        Ok(Self(Some(listener)))
    }

    /// Answers requests until it is dropped.
    pub(crate) async fn serve(self, host: &HostHandle) -> Infallible {
        let Some(listener) = self.0 else {
            return std::future::pending().await;
        };
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "accepting queries");
        }
        let bounds = Bounds::new(CONNECTIONS_MAX, CONNECTION_TIME_MAX);
        listen::serve(listener, router(host.clone()), bounds).await
    }
}
