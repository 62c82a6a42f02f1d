//! The port on which modules can be asked, and the bounds on those who ask.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nexum_core::supervisor::Steering;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{QueryConfig, router};
use crate::report::Refusal;

/// How many connections there are at a time; others wait to be accepted. Twice what may wait for one module by default, and a
/// fraction of a process's file descriptors.
const CONNECTIONS_MAX: usize = 512;

/// How long the head of a request may take, and how long a connection may have none: a client that means it sends it at once.
const HEADER_TIME_MAX: Duration = Duration::from_secs(10);

/// How large the head of a request may be: several times what a browser sends.
const HEADER_BYTES_MAX: usize = 16 * 1_024;

/// How long a connection lasts at all, so that one which reads its answers too slowly does not stay: twice what the slowest query
/// may take.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(2 * 3_600);

/// The pause after a connection could not be accepted: file descriptors are short, and others give theirs back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
        let listener = bind(address).await.map_err(|error| {
            let refusal = Refusal::new(format!("cannot listen on {address}: {error}"));
            refusal.with_hint("set another `listen` under [query] in engine.toml")
        })?;
        Ok(Self(Some(listener)))
    }

    /// Answers for as long as it is awaited.
    pub(crate) async fn serve(self, steering: &Steering) -> Infallible {
        let Some(listener) = self.0 else {
            return std::future::pending().await;
        };
        let router: Router = router(steering.clone());
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            if connections.len() >= CONNECTIONS_MAX {
                connections.join_next().await;
            }
            match listener.accept().await {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, router.clone()))),
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn bind(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "modules can be asked");
    Ok(listener)
}

async fn connection(stream: TcpStream, router: Router) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(CONNECTION_TIME_MAX, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(_) => tracing::debug!("a connection lasted too long"),
    }
}
