//! Listening for HTTP on an address that the operator named: a bounded number of connections, each bounded in what it may wait
//! for.
//!
//! Nobody is asked who he is: whoever reaches the address is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::report::Refusal;

/// How long a client may take to say what it wants, and how long a connection may stay without saying anything: those who want
/// nothing must not keep others out.
const HEADER_READ: Duration = Duration::from_secs(10);

/// How large the head of a request may be. A browser's, with all its cookies, is half of it.
const HEADER_BYTES_MAX: usize = 16 * 1_024;

/// How long to wait after connections could not be accepted: the process has too many files open, and others may be closed.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// How long answers in hand may take when there are to be no more: shorter than what a supervisor waits before it kills.
const END: Duration = Duration::from_secs(5);

/// Takes an address, at once: who cannot have it is told before anything runs. `key` is where it is in `engine.toml`.
///
/// # Errors
///
/// When the address is not this machine's, or not free.
pub(crate) async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, Refusal> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Refusal::new(format!("{key}: cannot listen on {address}: {error}")))
}

/// Answers until `stop`, at most `connections_max` clients at a time, and then finishes the answers in hand. Further clients wait
/// to be accepted. A request's body is for the router to bound.
pub(crate) async fn serve(listener: TcpListener, router: Router, connections_max: usize, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(connections_max));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            // Those that have ended are forgotten.
            Some(_) = connections.join_next() => {}
            (stream, place) = accept(&listener, &places) => {
                connections.spawn(answer(stream, router.clone(), place, stop.clone()));
            }
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    // Those that take longer end with the set.
    let _ = tokio::time::timeout(END, finished).await;
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// One client's connection, with its place among the others.
async fn answer(stream: TcpStream, router: Router, _place: Option<OwnedSemaphorePermit>, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ)
        .max_buf_size(HEADER_BYTES_MAX);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    // A client that leaves, or says nonsense, is its own affair.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
