//! Listening for HTTP on an address that the operator named: a bounded number of connections, each bounded in what it may wait
//! for and how long it lasts.
//!
//! Nobody is asked who he is: whoever reaches the address is answered.

use std::convert::Infallible;
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

use crate::report::Refusal;

/// How long a client may take to say what it wants, and how long a connection may stay without saying anything: those who want
/// nothing must not keep others out.
const HEADER_TIME_MAX: Duration = Duration::from_secs(10);

/// How large the head of a request may be. A browser's, with all its cookies, is half of it.
const HEADER_BYTES_MAX: usize = 16 * 1_024;

/// How long to wait after a connection could not be accepted: the process has too many files open, and others may be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How many connections there are at a time; others wait to be accepted.
    connections_max: usize,
    /// How long a connection lasts at all, so that one which reads its answers too slowly does not stay.
    connection_time_max: Duration,
    /// How long the head of a request may take, and how long a connection may have none.
    header_time_max: Duration,
}

impl Bounds {
    /// So many connections at a time, each for so long.
    pub(crate) const fn new(connections_max: usize, connection_time_max: Duration) -> Self {
        Self {
            connections_max,
            connection_time_max,
            header_time_max: HEADER_TIME_MAX,
        }
    }
}

/// Takes an address, at once: who cannot have it is told before anything runs. `key` is where it is in `engine.toml`.
///
/// # Errors
///
/// When the address is not this machine's, or not free.
pub(crate) async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, Refusal> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Refusal::new(format!("{key}: cannot listen on {address}: {error}")))
}

/// Answers for as long as it is awaited. A request's body is for the router to bound.
pub(crate) async fn serve(listener: TcpListener, router: Router, bounds: Bounds) -> Infallible {
    let places = Arc::new(Semaphore::new(bounds.connections_max));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Those that have ended are forgotten.
            Some(_) = connections.join_next() => {}
            (stream, place) = accept(&listener, &places) => {
                connections.spawn(answer(stream, router.clone(), bounds, place));
            }
        }
    }
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One client's connection, with its place among the others.
async fn answer(stream: TcpStream, router: Router, bounds: Bounds, _place: Option<OwnedSemaphorePermit>) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_time_max)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A client that leaves, or says nonsense, is its own affair.
    match tokio::time::timeout(bounds.connection_time_max, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(_) => tracing::debug!("a connection lasted too long"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net;

    use axum::routing::get;

    use super::*;

    /// Far longer than anything here should take.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// A bound that is waited for.
    pub(crate) const SOON: Duration = Duration::from_millis(50);
    /// One connection at a time, and time for all that it does.
    pub(crate) const BOUNDS: Bounds = Bounds {
        header_time_max: PATIENCE.saturating_mul(60),
        ..Bounds::new(1, PATIENCE.saturating_mul(60))
    };
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: nexum\r\n\r\n";
    /// More than a connection's buffers take.
    const LARGE: usize = 64 << 20;

    /// Does something as clients of a listener with these bounds.
    fn with(bounds: Bounds, clients: impl FnOnce(SocketAddr) + Send + 'static) {
        let router = Router::new()
            .route("/", get(|| async { "ok" }))
            .route("/large", get(|| async { vec![0; LARGE] }));
        with_router(router, bounds, clients);
    }

    /// The same with other answers.
    pub(crate) fn with_router(router: Router, bounds: Bounds, clients: impl FnOnce(SocketAddr) + Send + 'static) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async {
            let listener = bind("listen", ([127, 0, 0, 1], 0).into()).await;
            let listener = listener.map_err(|_| "refused").expect("an address");
            let address = listener.local_addr().expect("its address");
            tokio::select! {
                never = serve(listener, router, bounds) => match never {},
                done = tokio::task::spawn_blocking(move || clients(address)) => done.expect("the clients"),
            }
        });
    }

    pub(crate) fn connect(address: SocketAddr) -> net::TcpStream {
        let stream = net::TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    fn ask(stream: &mut net::TcpStream) {
        stream.write_all(REQUEST).expect("a request");
        is_answered(stream);
    }

    fn is_answered(stream: &mut net::TcpStream) {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok") {
            let mut part = [0; 512];
            let length = stream.read(&mut part).expect("an answer");
            assert_ne!(length, 0, "an answer");
            answer.extend(&part[..length]);
        }
    }

    /// Waits until the other side has closed it.
    fn is_closed(mut stream: net::TcpStream) {
        match stream.read_to_end(&mut Vec::new()) {
            Ok(_) => {}
            // It was closed while something was on its way there.
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }

    #[test]
    fn one_too_many_waits_until_another_has_left() {
        with(BOUNDS, |address| {
            let mut first = connect(address);
            ask(&mut first);
            let mut second = connect(address);
            second.write_all(REQUEST).expect("a request");
            // The listener has had its time to do it.
            for _ in 0..10 {
                ask(&mut first);
            }
            second.set_nonblocking(true).expect("a mode");
            let early = second.read(&mut [0]).expect_err("nothing yet");
            assert_eq!(early.kind(), ErrorKind::WouldBlock);
            second.set_nonblocking(false).expect("a mode");
            drop(first);
            is_answered(&mut second);
        });
    }

    #[test]
    fn whoever_does_not_say_what_it_wants_is_left() {
        let bounds = Bounds {
            header_time_max: SOON,
            ..BOUNDS
        };
        with(bounds, |address| {
            is_closed(connect(address));
            let mut half = connect(address);
            half.write_all(&REQUEST[..REQUEST.len() - 2]).expect("half a request");
            is_closed(half);
        });
    }

    #[test]
    fn a_head_that_is_too_large_is_refused() {
        with(BOUNDS, |address| {
            let mut stream = connect(address);
            let cookie = "a".repeat(HEADER_BYTES_MAX);
            let head = format!("GET / HTTP/1.1\r\nhost: nexum\r\ncookie: {cookie}\r\n\r\n");
            // It may be refused before all of it is sent.
            let _ = stream.write_all(head.as_bytes());
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).expect("an answer");
            assert_eq!(&answer, b"HTTP/1.1 431");
            is_closed(stream);
            let cookie = "a".repeat(HEADER_BYTES_MAX / 2);
            let head = format!("GET / HTTP/1.1\r\nhost: nexum\r\ncookie: {cookie}\r\n\r\n");
            let mut stream = connect(address);
            stream.write_all(head.as_bytes()).expect("a request");
            is_answered(&mut stream);
        });
    }

    #[test]
    fn whoever_does_not_read_gives_up_its_place() {
        let bounds = Bounds {
            connection_time_max: SOON,
            ..BOUNDS
        };
        with(bounds, |address| {
            let mut slow = connect(address);
            slow.write_all(b"GET /large HTTP/1.1\r\nhost: nexum\r\n\r\n")
                .expect("a request");
            // Another one is accepted only then, and lasts no longer.
            is_closed(connect(address));
        });
    }
}
