//! The connections of this crate's HTTP servers, which a script can break.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

/// The most connections that wait to be accepted, as in [`TcpListener::bind`].
const BACKLOG: u32 = 1_024;

/// A free loopback port. Until the value is dropped, the system gives the port to no other socket,
/// so that a server can listen on it again after a pause.
#[derive(Debug)]
pub(crate) struct Port {
    _reserved: TcpSocket,
    number: u16,
}

impl Port {
    pub(crate) fn reserve() -> io::Result<Self> {
        let reserved = TcpSocket::new_v4()?;
        // Only sockets of this kind and of this user can share the port.
        reserved.set_reuseport(true)?;
        reserved.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self {
            number: reserved.local_addr()?.port(),
            _reserved: reserved,
        })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        // Connections of the previous listener may still linger on the port.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.number)))?;
        socket.listen(BACKLOG)
    }
}

/// Marks a response: the server closes the connection instead of sending it.
#[derive(Clone, Copy)]
pub(crate) struct HangUp;

/// A listener and its connections. They end when the value is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    tasks: JoinSet<()>,
}

impl Listener {
    /// Serves the router. Each change of `hang_ups` closes the current connections.
    pub(crate) fn start(listener: TcpListener, router: Router, hang_ups: watch::Receiver<()>) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, router, hang_ups));
        Self { tasks }
    }

    /// Closes everything, and returns when nothing listens on the port.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn accept(listener: TcpListener, router: Router, hang_ups: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                // Real servers disable Nagle's algorithm too. Otherwise every second WebSocket
                // message waits for an acknowledgement.
                let _ = stream.set_nodelay(true);
                let mut hang_ups = hang_ups.clone();
                hang_ups.mark_unchanged();
                connections.spawn(serve(stream, router.clone(), hang_ups));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, router: Router, mut hang_ups: watch::Receiver<()>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let response = router
                .oneshot(request.map(Body::new))
                .await
                .unwrap_or_else(|never: Infallible| match never {});
            match response.extensions().get::<HangUp>() {
                Some(HangUp) => Err(io::Error::other("the script closes this connection")),
                None => Ok(response),
            }
        }
    });
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        // The connection fails when the test or its client breaks it.
        _ = connection => {}
        _ = hang_ups.changed() => {}
    }
}
