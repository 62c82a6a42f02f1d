//! `POST /v1/query/MODULE`: bytes in, bytes out. `POST /v1/query/MODULE/FUNCTION`: JSON in, JSON out.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use nexum_config::limits::Limit;
use nexum_config::names::ModuleName;
use nexum_core::module;
use nexum_core::supervisor::{RunningModule, SteerError};
use nexum_core::{Caller, HostHandle, Invocation, QueryError, QueryPool};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiError;
use super::extract::{PathOf, name_of};
use super::openapi::{Octets, errors};
use crate::daemon::audit::By;
use crate::daemon::peer::Peer;
use crate::error_code::ErrorCode;

/// The longest time for a query to arrive: enough for a megabyte over a slow line.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

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

/// The routes for queries and calls of functions.
pub(crate) fn routes() -> OpenApiRouter<Answering> {
    OpenApiRouter::new()
        .routes(routes!(query_evaluate))
        .routes(routes!(query_default))
        .routes(routes!(query_function))
}

errors! {
    EvaluateErrors:
        ModuleNotFound, ModuleLoading, QueryUnsupported, NoEvaluate, QueryOverloaded, QueryNotBegun,
        ModuleSuspended, ModuleRemoved, ModuleStartFailed, ModuleReturnedError, ModuleTrapped,
        LimitExceeded, DeadlineExceeded, AnswerTooLarge, QueryFailed,
}
errors! {
    CallErrors:
        ModuleNotFound, ModuleLoading, FunctionNotFound, FunctionReadOnly, FunctionChanged,
        InvalidArguments, InvalidResult, CallerUnknown, QueryOverloaded, QueryNotBegun,
        ModuleSuspended, ModuleNotRunning, ModuleRemoved, ModuleStartFailed, ModuleReturnedError,
        ModuleTrapped, LimitExceeded, DeadlineExceeded, AnswerTooLarge, QueryFailed,
}

/// Send a question in bytes to a module
///
/// The body has any bytes, at most 1 MiB, and so has the answer.
#[utoipa::path(
    post, path = "/v1/query/{module}", tag = "queries",
    params(("module" = String, Path, description = "The module")),
    request_body(content = Octets, content_type = "application/octet-stream", description = "The question"),
    responses((status = 200, description = "The answer", body = Octets, content_type = "application/octet-stream"), EvaluateErrors)
)]
async fn query_evaluate(
    State(answering): State<Answering>,
    PathOf(name): PathOf<String>,
    request: Request,
) -> Result<Response, ApiError> {
    audit(&request, false);
    let (name, module) = find(&answering.host, &name, &request)?;
    let pool = module.queries.ok_or(SteerError::NoQueries(name))?;
    let input = read(request.into_body(), BODY_TIME_MAX).await?;
    let output = pool.call(&input).await?;
    Ok((headers("application/octet-stream"), output).into_response())
}

/// Call the default function of a module
#[utoipa::path(
    post, path = "/v1/query/{module}/", tag = "queries",
    params(("module" = String, Path, description = "The module")),
    request_body(content = serde_json::Value, description = "The arguments by name, or an array by position"),
    responses((status = 200, description = "The result", body = serde_json::Value), CallErrors)
)]
async fn query_default(
    State(answering): State<Answering>,
    PathOf(name): PathOf<String>,
    request: Request,
) -> Result<Response, ApiError> {
    call(&answering, &name, None, request).await
}

/// Call a function of a module
#[utoipa::path(
    post, path = "/v1/query/{module}/{function}", tag = "queries",
    params(
        ("module" = String, Path, description = "The module"),
        ("function" = String, Path, description = "The function"),
    ),
    request_body(content = serde_json::Value, description = "The arguments by name, or an array by position"),
    responses((status = 200, description = "The result", body = serde_json::Value), CallErrors)
)]
async fn query_function(
    State(answering): State<Answering>,
    PathOf((name, function)): PathOf<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    call(&answering, &name, Some(&function), request).await
}

async fn call(
    answering: &Answering,
    name: &str,
    function: Option<&str>,
    request: Request,
) -> Result<Response, ApiError> {
    audit(&request, false);
    let (_, module) = find(&answering.host, name, &request)?;
    let is_writeable = |called: &module::Function| Some(called.name.as_str()) == function && called.is_writeable;
    let mut functions = module.queries.iter().flat_map(|pool| pool.module().functions.iter());
    audit(&request, functions.any(is_writeable));
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

/// Requires an audit record of a request that may change a module's state. A request on the query port
/// has none: the port has no authentication.
fn audit(request: &Request, changes_state: bool) {
    if let Some(by) = request.extensions().get::<By>() {
        by.changes_state(changes_state);
    }
}

/// Finds the module that a request asks.
fn find(host: &HostHandle, name: &str, request: &Request) -> Result<(ModuleName, RunningModule), ApiError> {
    // A page in a browser could otherwise reach modules that only this machine can reach.
    if request.headers().contains_key(header::ORIGIN) {
        return Err(ApiError::new(
            ErrorCode::BrowserRefused,
            "a page in a browser cannot send queries",
        ));
    }
    let name = name_of(name)?;
    // First, so that a module that starts meanwhile is one or the other.
    let is_loading = host.is_loading(&name);
    match host.get(&name) {
        Ok(module) => Ok((name, module)),
        Err(_) if is_loading => {
            let error = format!("the module {name} is being loaded");
            Err(ApiError::new(ErrorCode::ModuleLoading, error))
        }
        Err(error) => Err(error.into()),
    }
}

/// The client of a request, from its connection.
fn caller(request: &Request) -> Result<Caller, ApiError> {
    let extensions = request.extensions();
    let address = extensions.get::<ConnectInfo<SocketAddr>>();
    let address = address.map(|ConnectInfo(address)| Caller::Address(address.to_string()));
    let uid = || {
        extensions
            .get::<ConnectInfo<Peer>>()
            .and_then(|ConnectInfo(peer)| peer.uid)
    };
    let caller = address.or_else(|| uid().map(Caller::Uid));
    caller.ok_or_else(|| ApiError::new(ErrorCode::CallerUnknown, "the system does not say who calls"))
}

async fn read(body: Body, time_max: Duration) -> Result<Vec<u8>, ApiError> {
    let read = Limited::new(body, QueryPool::INPUT_BYTES_MAX).collect();
    match tokio::time::timeout(time_max, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let error = format!("a question has {} bytes at most", QueryPool::INPUT_BYTES_MAX);
            Err(ApiError::new(ErrorCode::BodyTooLarge, error))
        }
        Ok(Err(_)) => Err(ApiError::new(ErrorCode::InvalidRequest, "the question broke off")),
        Err(_) => {
            let error = "the question took too long to arrive";
            Err(ApiError::new(ErrorCode::BodyTimeout, error))
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let code = code_of(&error);
        match error {
            QueryError::Suspended { left, .. } => {
                let seconds = left.as_secs() + 1;
                let text = format!("the module is suspended, because it failed too often; ask again in {seconds} s");
                Self::new(code, text).with_retry_after(seconds)
            }
            QueryError::Trapped { request, .. } => Self::new(
                code,
                format!("the module trapped; the log says where, at request {request}"),
            ),
            QueryError::Failed { request, .. } => Self::new(
                code,
                format!("nexum cannot serve it; the log says why, at request {request}"),
            ),
            QueryError::Start { .. } => Self::new(code, "the module does not start; the log says why"),
            QueryError::Returned(host_error) => {
                let text = QueryError::Returned(host_error.clone()).to_string();
                Self::new(code, text).with_host_error(host_error.into())
            }
            error => Self::new(code, error.to_string()),
        }
    }
}

fn code_of(error: &QueryError) -> ErrorCode {
    match error {
        QueryError::InputTooLarge { .. } => ErrorCode::BodyTooLarge,
        QueryError::Overloaded { .. } => ErrorCode::QueryOverloaded,
        QueryError::NoEvaluate => ErrorCode::NoEvaluate,
        QueryError::NoFunctions | QueryError::NoFunction { .. } => ErrorCode::FunctionNotFound,
        QueryError::Arguments(_) => ErrorCode::InvalidArguments,
        QueryError::ReadOnly { .. } => ErrorCode::FunctionReadOnly,
        QueryError::TimedOut { .. } | QueryError::NotBegun { .. } => ErrorCode::QueryNotBegun,
        QueryError::Suspended { .. } => ErrorCode::ModuleSuspended,
        QueryError::NotRunning { .. } => ErrorCode::ModuleNotRunning,
        QueryError::Reloaded => ErrorCode::FunctionChanged,
        QueryError::Gone => ErrorCode::ModuleRemoved,
        QueryError::Result { .. } => ErrorCode::InvalidResult,
        QueryError::Returned(_) => ErrorCode::ModuleReturnedError,
        QueryError::Limit(exceeded) if exceeded.limit == Limit::Deadline => ErrorCode::DeadlineExceeded,
        QueryError::Limit(_) => ErrorCode::LimitExceeded,
        QueryError::Trapped { .. } => ErrorCode::ModuleTrapped,
        QueryError::OutputTooLarge { .. } => ErrorCode::AnswerTooLarge,
        QueryError::Start { .. } => ErrorCode::ModuleStartFailed,
        QueryError::Failed { .. } => ErrorCode::QueryFailed,
        _ => ErrorCode::InternalError,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use axum::Router;
    use axum::routing::post;

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
