//! Serves HTTP on an address that the operator names, and on the Unix socket. Bounds the number of
//! connections, the waits of each, and its life time.
//!
//! There is no authentication here: every client that reaches the address gets answers. Idle clients
//! block no other client: a new connection replaces the one that has been idle for the longest
//! time.

mod connections;
mod guarded;
mod incoming;
mod patient;
#[cfg(test)]
pub(crate) mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use self::connections::{Busy, Connection, Connections};
use self::incoming::Incoming;
use self::patient::Patient;
use crate::report::Refusal;

pub(crate) use self::guarded::{Guard, Guarded};

/// The longest time for the head of a request, and the longest idle time of a connection. Idle
/// clients must not block others.
const HEADER_TIME_MAX: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes: twice that of a browser with all its cookies.
const HEADER_BYTES_MAX: usize = 16 * 1_024;

/// The longest time for a client to take more of an answer. A network that loses packets delays
/// them by a few seconds.
const UNREAD_TIME_MAX: Duration = Duration::from_secs(30);

/// The wait after a connection could not be accepted: the process has too many open files, and
/// other connections may close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The limits of a listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most concurrent connections. One more replaces an idle one, or waits while all are busy.
    connections_max: usize,
    /// The longest life of a connection: a client that reads its answers too slowly must not stay.
    connection_time_max: Duration,
    /// The longest time for the head of a request, and the longest idle time.
    header_time_max: Duration,
    /// The longest time in which a client takes nothing of an answer.
    unread_time_max: Duration,
    /// Whether a connection is busy until the last byte of its answer, so that no other connection
    /// replaces it meanwhile.
    has_streams: bool,
}

impl Bounds {
    /// Limits with this number of connections and this life time.
    pub(crate) const fn new(connections_max: usize, connection_time_max: Duration) -> Self {
        Self {
            connections_max,
            connection_time_max,
            header_time_max: HEADER_TIME_MAX,
            unread_time_max: UNREAD_TIME_MAX,
            has_streams: false,
        }
    }

    /// For answers that last: a connection is busy until the last byte of its answer.
    pub(crate) const fn with_streams(self) -> Self {
        Self {
            has_streams: true,
            ..self
        }
    }
}

/// Binds an address before anything runs, so that a failure shows at once. `key` is its place in
/// `engine.toml`.
///
/// # Errors
///
/// If the address is not an address of this machine, or is in use.
pub(crate) async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, Refusal> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Refusal::new(format!("{key}: cannot listen on {address}: {error}")))
}

/// Answers requests until it is dropped. The router must bound the bodies of requests.
pub(crate) async fn serve<I: Incoming>(listener: I, router: Router, bounds: Bounds) -> Infallible {
    let connections = Connections::new(bounds.connections_max);
    let mut tasks = JoinSet::new();
    loop {
        let client = tokio::select! {
            // The set drops tasks that have ended.
            Some(_) = tasks.join_next() => continue,
            client = accept(&listener) => client,
        };
        let connection = connections.add().await;
        tasks.spawn(answer(client, router.clone(), bounds, connection));
    }
}

async fn accept<I: Incoming>(listener: &I) -> (I::Stream, I::Peer) {
    loop {
        match listener.accept().await {
            Ok(client) => return client,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer<S, P>((stream, peer): (S, P), router: Router, bounds: Bounds, connection: Connection)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    P: Clone + Send + Sync + 'static,
{
    let stream = Patient::new(stream, bounds.unread_time_max);
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: hyper::Request<_>| {
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        let request = router.call(request);
        let busy = connection.busy();
        async move {
            let response: Response = request.await?;
            let busy = bounds.has_streams.then_some(busy);
            Ok::<_, Infallible>(response.map(|body| Guarded::new(body, busy)))
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_time_max)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // A disconnect or a malformed request is the client's fault.
    tokio::select! {
        served = tokio::time::timeout(bounds.connection_time_max, served) => match served {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
            Err(_) => tracing::debug!("a connection lasted too long"),
        },
        () = connection.is_replaced() => tracing::debug!("an idle connection gave its place to a new one"),
    }
}

/// Keeps a connection busy.
impl Guard for Option<Busy> {}
