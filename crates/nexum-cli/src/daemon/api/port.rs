//! The TCP port of the API: `[admin] listen`. Every request needs the token, except those for the files of the operator's page.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use nexum_core::source::Outage;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::error::ApiError;
use crate::configure::{Admin, Token};
use crate::daemon::feed::AUDIT;
use crate::daemon::listen::{self, Bounds, Guard, Guarded};
use crate::daemon::page;
use crate::error_code::ErrorCode;
use crate::report::Refusal;

/// The most concurrent connections: some operators and programs, each with a stream of records.
const CONNECTIONS_MAX: usize = 64;

/// The longest life of a connection: a client of a stream reconnects, and continues where it was.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(3_600);

/// The port, if the operator configured one.
pub(crate) struct AdminPort(Option<(TcpListener, Arc<Token>)>);

impl AdminPort {
    /// Opens the port.
    ///
    /// # Errors
    ///
    /// If the address is not an address of this machine, or is in use.
    pub(crate) async fn open(admin: Option<Admin>) -> Result<Self, Refusal> {
        let Some(Admin { address, token }) = admin else {
            return Ok(Self(None));
        };
        let listener = listen::bind("admin.listen", address).await?;
        Ok(Self(Some((listener, token))))
    }

    /// The token, if there is a port.
    pub(crate) fn token(&self) -> Option<Arc<Token>> {
        self.0.as_ref().map(|(_, token)| Arc::clone(token))
    }

    /// Answers requests until it is dropped.
    pub(super) async fn serve(self, router: Router) -> Infallible {
        let Some((listener, token)) = self.0 else {
            return std::future::pending().await;
        };
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "accepting commands with a token");
        }
        let gate = Gate {
            token,
            refusals: Arc::default(),
            start: Instant::now(),
        };
        let router = router
            .layer(from_fn_with_state(gate, admit))
            .layer(from_fn(refuse_browsers))
            .merge(page::routes());
        let bounds = Bounds::new(CONNECTIONS_MAX, CONNECTION_TIME_MAX).with_streams();
        listen::serve(listener, router, bounds).await
    }
}

#[derive(Clone)]
struct Gate {
    token: Arc<Token>,
    /// Requests without the token, since the last one with it.
    refusals: Arc<Mutex<Outage>>,
    start: Instant,
}

/// Refuses requests without the token, before nexum looks at anything else of them.
async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let now = gate.start.elapsed();
    if let Some(replaced) = gate.token.admit(request.headers()) {
        gate.refusals.lock().ended(now);
        let response = next.run(request).await;
        let admission = Admission(Box::pin(replaced.cancelled_owned()));
        return response.map(|body| Body::new(Guarded::new(body, admission)));
    }
    if let Some(extent) = gate.refusals.lock().failed(now) {
        let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let address = address.map(|ConnectInfo(address)| address.to_string());
        tracing::warn!(
            target: AUDIT,
            address,
            requests = extent.attempts,
            "a request has no valid token"
        );
    }
    ApiError::new(ErrorCode::Unauthorized, "the request has no valid token").into_response()
}

/// The token of a request. The body of its response fails when another token replaces this one, because a
/// stream would show more to a client that is no longer admitted.
struct Admission(Pin<Box<WaitForCancellationFutureOwned>>);

impl Guard for Admission {
    fn poll_failure(&mut self, context: &mut Context<'_>) -> Poll<axum::Error> {
        let replaced = self.0.as_mut().poll(context);
        replaced.map(|()| axum::Error::new("the token of the request was replaced"))
    }
}

/// Refuses requests of other pages in a browser. Browsers send `Origin` with each request to another origin, and with each
/// request but GET and HEAD to the page's own one. So the operator's page can read, and no page can command.
async fn refuse_browsers(request: Request, next: Next) -> Response {
    match request.headers().contains_key(header::ORIGIN) {
        false => next.run(request).await,
        true => ApiError::new(ErrorCode::BrowserRefused, "a page in a browser cannot use this port").into_response(),
    }
}
