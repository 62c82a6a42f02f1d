//! `POST /v1/query/MODULE`: bytes in, bytes out. `POST /v1/query/MODULE/FUNCTION`: JSON in, JSON out.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use nexum_config::limits::Limit;
use nexum_config::names::ModuleName;
use nexum_core::supervisor::{RunningModule, SteerError};
use nexum_core::{Caller, HostHandle, Invocation, QueryError, QueryPool};

use crate::daemon::peer::Peer;
use crate::protocol::QUERY;
use crate::protocol::query::Fault;

/// The longest time for a query to arrive: enough for a megabyte over a slow line.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// The wait after which a refused client may retry, in seconds: short, because most bursts are.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Headers of an answer of this type, which no browser may show as a page.
const fn headers(content_type: &'static str) -> [(header::HeaderName, HeaderValue); 2] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]
}

/// The modules that answer, and the rights of the clients.
#[derive(Clone)]
pub(crate) struct Answering {
    pub(crate) host: HostHandle,
    /// Whether clients may call functions that change a module's state.
    pub(crate) may_write: bool,
}

/// Answers queries and calls of functions for the modules of a host.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(answering: Answering) -> Router<S> {
    Router::new()
        .route(&format!("{QUERY}/{{module}}"), post(evaluate))
        .route(&format!("{QUERY}/{{module}}/"), post(invoke_default))
        .route(&format!("{QUERY}/{{module}}/{{function}}"), post(invoke))
        .with_state(answering)
}

async fn evaluate(
    State(answering): State<Answering>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let (name, module) = find(&answering.host, &name, &request)?;
    let pool = module.queries.ok_or(SteerError::NoQueries(name));
    let pool = pool.map_err(|error| Refused::new(StatusCode::NOT_FOUND, "no-module", error.to_string()))?;
    let input = read(request.into_body(), BODY_TIME_MAX).await?;
    let output = pool.call(&input).await?;
    Ok((headers("application/octet-stream"), output).into_response())
}

async fn invoke_default(
    State(answering): State<Answering>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    call(&answering, &name, None, request).await
}

async fn invoke(
    State(answering): State<Answering>,
    Path((name, function)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    call(&answering, &name, Some(&function), request).await
}

async fn call(
    answering: &Answering,
    name: &str,
    function: Option<&str>,
    request: Request,
) -> Result<Response, Refused> {
    let (_, module) = find(&answering.host, name, &request)?;
    let caller = caller(&request)?;
    let args = read(request.into_body(), BODY_TIME_MAX).await?;
    let invocation = Invocation {
        function,
        args: &args,
        caller,
        may_write: answering.may_write,
    };
    let result = module.invoke(&invocation).await?;
    Ok((headers("application/json"), result).into_response())
}

/// Finds the module that a request asks.
fn find(host: &HostHandle, name: &str, request: &Request) -> Result<(ModuleName, RunningModule), Refused> {
    // A page in a browser could otherwise reach modules that only this machine can reach.
    if request.headers().contains_key(header::ORIGIN) {
        let error = "pages of browsers may not ask";
        return Err(Refused::new(StatusCode::FORBIDDEN, "origin", error));
    }
    let name: ModuleName = name
        .parse()
        .map_err(|_| Refused::new(StatusCode::NOT_FOUND, "no-module", "this is not a module name"))?;
    // First, so that a module that starts meanwhile is one or the other.
    let is_loading = host.is_loading(&name);
    match host.get(&name) {
        Ok(module) => Ok((name, module)),
        Err(_) if is_loading => {
            let error = "the module is being loaded";
            Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "loading", error))
        }
        Err(error) => Err(Refused::new(StatusCode::NOT_FOUND, "no-module", error.to_string())),
    }
}

/// The client of a request, from its connection.
fn caller(request: &Request) -> Result<Caller, Refused> {
    let extensions = request.extensions();
    let address = extensions.get::<ConnectInfo<SocketAddr>>();
    let address = address.map(|ConnectInfo(address)| Caller::Address(address.to_string()));
    let uid = || {
        extensions
            .get::<ConnectInfo<Peer>>()
            .and_then(|ConnectInfo(peer)| peer.uid)
    };
    address.or_else(|| uid().map(Caller::Uid)).ok_or_else(|| {
        let error = "the system does not tell who asks";
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "caller", error)
    })
}

async fn read(body: Body, time_max: Duration) -> Result<Vec<u8>, Refused> {
    let read = Limited::new(body, QueryPool::INPUT_BYTES_MAX).collect();
    match tokio::time::timeout(time_max, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let error = format!("a question has {} bytes at most", QueryPool::INPUT_BYTES_MAX);
            Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "input-too-large", error))
        }
        Ok(Err(_)) => Err(Refused::new(StatusCode::BAD_REQUEST, "body", "the question broke off")),
        Err(_) => {
            let error = "the question took too long to arrive";
            Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "body", error))
        }
    }
}

/// A fault with its HTTP status, and the wait before a retry in seconds.
struct Refused(StatusCode, Box<Fault>, u64);

impl Refused {
    fn new(status: StatusCode, kind: &str, error: impl Into<String>) -> Self {
        let fault = Fault {
            kind: kind.to_owned(),
            error: error.into(),
            host_error: None,
        };
        Self(status, Box::new(fault), RETRY_AFTER_SECONDS)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, fault, retry_after) = self;
        let is_overload = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let retry = is_overload.then(|| [(header::RETRY_AFTER, HeaderValue::from(retry_after))]);
        (status, retry, Json(fault)).into_response()
    }
}

impl From<QueryError> for Refused {
    fn from(error: QueryError) -> Self {
        let status = match &error {
            QueryError::InputTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            QueryError::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
            QueryError::NoEvaluate | QueryError::NoFunctions | QueryError::NoFunction { .. } => StatusCode::NOT_FOUND,
            QueryError::Arguments(_) => StatusCode::BAD_REQUEST,
            QueryError::ReadOnly { .. } => StatusCode::FORBIDDEN,
            QueryError::TimedOut { .. }
            | QueryError::Suspended { .. }
            | QueryError::NotBegun { .. }
            | QueryError::NotRunning { .. }
            | QueryError::Reloaded
            | QueryError::Gone
            | QueryError::Failed { .. } => StatusCode::SERVICE_UNAVAILABLE,
            QueryError::Returned(_) => StatusCode::UNPROCESSABLE_ENTITY,
            QueryError::Limit(trip) if trip.limit == Limit::Deadline => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let retry_after = match &error {
            QueryError::Suspended { left, .. } => left.as_secs() + 1,
            _ => RETRY_AFTER_SECONDS,
        };
        let text = match &error {
            QueryError::Suspended { .. } => {
                format!("the module is suspended, because it failed too often; ask again in {retry_after} s")
            }
            QueryError::Trapped { request, .. } => {
                format!("the module trapped; the log says where, at request {request}")
            }
            QueryError::Failed { request, .. } => {
                format!("nexum cannot serve it; the log says why, at request {request}")
            }
            QueryError::Start { .. } => "the module does not start; the log says why".to_owned(),
            error => error.to_string(),
        };
        let Self(status, mut fault, _) = Self::new(status, error.kind(), text);
        if let QueryError::Returned(error) = error {
            fault.host_error = Some(error.into());
        }
        Self(status, fault, retry_after)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::daemon::listen::tests::{BOUNDS, SOON, connect, with_router};

    /// The answer to these bytes, with a bound on the time for a query to arrive.
    fn answer_to(sent: Vec<u8>, time_max: Duration) -> String {
        let (sender, receiver) = std::sync::mpsc::channel();
        let route = post(move |request: Request| async move { read(request.into_body(), time_max).await });
        with_router(Router::new().route("/", route), BOUNDS, move |address| {
            let mut stream = connect(address);
            stream.write_all(&sent).expect("a question");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            sender.send(answer).expect("a test");
        });
        receiver.recv().expect("an answer")
    }

    #[test]
    fn a_question_that_does_not_arrive_is_given_up() {
        for (announced, sent, time_max, status, expected) in [
            (5, 5, SOON * 1_000, "200", "aaaaa"),
            (5, 4, SOON, "408", "the question took too long to arrive"),
            (
                QueryPool::INPUT_BYTES_MAX,
                QueryPool::INPUT_BYTES_MAX,
                SOON * 1_000,
                "200",
                "aaaaa",
            ),
        ] {
            let head =
                format!("POST / HTTP/1.1\r\nhost: nexum\r\nconnection: close\r\ncontent-length: {announced}\r\n\r\n");
            let answer = answer_to([head.into_bytes(), vec![b'a'; sent]].concat(), time_max);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{announced}: {answer:.200}"
            );
            assert!(answer.contains(expected), "{announced}: {answer:.200}");
        }
    }
}
