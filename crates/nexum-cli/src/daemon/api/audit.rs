//! The audit records of requests.
//!
//! Every request that is not a GET leaves one record, unless its handler says that it changes nothing
//! ([`By::changes_state`]).

use std::net::SocketAddr;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use nexum_config::harmless::harmless;
use tokio_util::task::TaskTracker;

use super::error::ApiError;
use super::openapi::Operations;
use crate::daemon::audit::{Actor, Asked, By};
use crate::daemon::peer::Peer;
use crate::error_code::ErrorCode;
use crate::protocol::reason::{REASON_BYTES_MAX, REASON_HEADER, decoded};

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let by = parts.extensions.get::<Self>().cloned();
        by.ok_or_else(|| ApiError::new(ErrorCode::InternalError, "the request has no sender"))
    }
}

/// Adds [`By`] to a request, and writes its record. A command runs in a task of its own, so that it ends
/// and leaves its record even if the client leaves.
pub(super) async fn audit(
    State((operations, commands)): State<(Operations, TaskTracker)>,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let reason = match reason(request.headers()) {
        Ok(reason) => reason,
        Err(error) => return error.into_response(),
    };
    let extensions = request.extensions();
    let path = extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let parameter = |wanted: &[&str]| {
        let mut parameters = parameters.iter().flat_map(RawPathParams::iter);
        let found = parameters.find(|(name, _)| wanted.contains(name));
        found.map(|(_, value)| value.to_owned())
    };
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let by = By::of(Asked {
        actor: actor(&request),
        reason,
        command: operations.id(request.method(), path),
        module: parameter(&["name", "module"]),
        event: parameter(&["event"]),
        effect: parameter(&["number"]).and_then(|number| number.parse().ok()),
        is_read,
    });
    request.extensions_mut().insert(by.clone());
    if is_read {
        return next.run(request).await;
    }
    let command = async move {
        let response = next.run(request).await;
        let code = response.extensions().get::<ErrorCode>();
        by.ended(code.map_or(Ok(()), |code| Err(code.word())));
        response
    };
    let ended = commands.spawn(command).await;
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn actor(request: &Request) -> Actor {
    let extensions = request.extensions();
    let process = extensions.get::<ConnectInfo<Peer>>();
    let process = process.map(|ConnectInfo(peer)| Actor::Process(*peer));
    let token = || {
        let address = extensions.get::<ConnectInfo<SocketAddr>>();
        address.map(|ConnectInfo(address)| Actor::Token(*address))
    };
    process.or_else(token).unwrap_or(Actor::Unknown)
}

/// The operator's reason, without control characters.
fn reason(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(REASON_HEADER) else {
        return Ok(None);
    };
    let reason = decoded(value.as_bytes()).map(|reason| harmless(&reason).into_owned());
    match reason.filter(|reason| reason.len() <= REASON_BYTES_MAX) {
        Some(reason) => Ok(Some(reason).filter(|reason| !reason.is_empty())),
        None => {
            let error =
                format!("{REASON_HEADER}: expected UTF-8 text, percent-encoded, of at most {REASON_BYTES_MAX} bytes");
            Err(ApiError::new(ErrorCode::InvalidRequest, error))
        }
    }
}

/// Refuses a command that names a file of the daemon's machine, if it came over TCP.
///
/// # Errors
///
/// If the sender is not a process on the socket.
pub(super) fn must_be_local(by: &By) -> Result<(), ApiError> {
    match by.actor() {
        Actor::Process(_) | Actor::Hangup => Ok(()),
        Actor::Token(_) | Actor::Unknown => {
            let error = "a command that names a file is accepted only on the socket";
            Err(ApiError::new(ErrorCode::LocalOnly, error))
        }
    }
}
