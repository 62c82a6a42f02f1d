//! What the http servers of this crate share: connections that a script can break.

use std::convert::Infallible;
use std::io;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

/// Marks a response in whose place the connection is to be closed.
#[derive(Clone, Copy)]
pub(crate) struct HangUp;

/// A listener and its connections; they end when this is dropped.
pub(crate) struct Listener {
    tasks: JoinSet<()>,
}

impl Listener {
    /// Serves the router. Each change of `hang_ups` closes the connections of that time.
    pub(crate) fn start(listener: TcpListener, router: Router, hang_ups: watch::Receiver<()>) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, router, hang_ups));
        Self { tasks }
    }

    /// Ends, and returns once the port is free.
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
                // As real servers do: else each second message over ws waits for the other side to acknowledge the first.
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
                Some(HangUp) => Err(io::Error::other("the script says so")),
                None => Ok(response),
            }
        }
    });
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        // It fails whenever a test or its client wants it to.
        _ = connection => {}
        _ = hang_ups.changed() => {}
    }
}
