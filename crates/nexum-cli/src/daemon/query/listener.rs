//! The port on which modules can be asked.

use std::convert::Infallible;
use std::time::Duration;

use nexum_core::HostHandle;
use tokio::net::TcpListener;

use super::answer::router;
use super::config::QueryConfig;
use crate::daemon::listen::{self, Bounds};
use crate::report::Refusal;

/// How many connections there are at a time: twice what may wait for one module by default, and a fraction of a process's file
/// descriptors.
const CONNECTIONS_MAX: usize = 512;

/// How long a connection lasts at all: twice what the slowest query may take.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(2 * 3_600);

/// The port, if the operator wants one.
pub(crate) struct Listener(Option<TcpListener>);

impl Listener {
    /// Opens the port.
    ///
    /// # Errors
    ///
    /// When it cannot be had.
    pub(crate) async fn open(config: &QueryConfig) -> Result<Self, Refusal> {
        let Some(address) = config.listen else {
            return Ok(Self(None));
        };
        let listener = listen::bind("query.listen", address).await?;
        Ok(Self(Some(listener)))
    }

    /// Answers for as long as it is awaited.
    pub(crate) async fn serve(self, host: &HostHandle) -> Infallible {
        let Some(listener) = self.0 else {
            return std::future::pending().await;
        };
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "modules can be asked");
        }
        let bounds = Bounds::new(CONNECTIONS_MAX, CONNECTION_TIME_MAX);
        listen::serve(listener, router(host.clone()), bounds).await
    }
}
