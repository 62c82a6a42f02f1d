//! Audit records: the sender of each command, the reason, and the outcome.
//!
//! Every request that is not a GET leaves one record, unless its handler says that it changes nothing
//! ([`By::changes_state`]). So does a reload that SIGHUP requests ([`By::hangup`]).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use nexum_config::harmless::harmless;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use super::error::ApiError;
use super::openapi::Operations;
use crate::daemon::feed::AUDIT;
use crate::daemon::peer::Peer;
use crate::error_code::ErrorCode;
use crate::protocol::reason::{REASON_BYTES_MAX, REASON_HEADER, decoded};

/// The outcome of a command that succeeded.
const OK: &str = "ok";

/// The outcome of a command whose connection ended before it was carried out.
const CUT_OFF: &str = "cut-off";

/// The sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A process on the socket.
    Process(Peer),
    /// A client with the token, at this address.
    Token(SocketAddr),
    /// SIGHUP. The system does not name its sender.
    Hangup,
    /// The system does not tell.
    Unknown,
}

/// `uid 1000`, `token` or `SIGHUP`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(Peer { uid: Some(uid), .. }) => write!(f, "uid {uid}"),
            Self::Token(_) => f.write_str("token"),
            Self::Hangup => f.write_str("SIGHUP"),
            Self::Process(_) | Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// The sender of a request and the reason: an argument of a handler.
#[derive(Clone, Debug)]
pub(crate) struct By(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    actor: Actor,
    reason: Option<String>,
    command: Arc<str>,
    /// The event of a dead letter.
    event: Option<String>,
    record: Mutex<Record>,
}

/// The handler's contribution to the record.
#[derive(Debug, Default)]
struct Record {
    /// The command, if it is not the operation.
    command: Option<&'static str>,
    module: Option<String>,
    /// Whether the response writes no record.
    is_left_out: bool,
}

impl By {
    /// The sender of this command is SIGHUP.
    pub(crate) fn hangup(command: &str) -> Self {
        Self(Arc::new(Inner {
            actor: Actor::Hangup,
            reason: None,
            command: command.into(),
            event: None,
            record: Mutex::default(),
        }))
    }

    pub(crate) fn actor(&self) -> Actor {
        self.0.actor
    }

    /// The operator's reason, of at most [`REASON_BYTES_MAX`] bytes, without control characters.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Names the module that the command concerns, if the path does not name it.
    pub(crate) fn concerns(&self, module: impl Into<String>) {
        self.0.record.lock().module = Some(module.into());
    }

    /// Names the command, if one path has several.
    pub(crate) fn is(&self, command: &'static str) {
        self.0.record.lock().command = Some(command);
    }

    /// Says whether the request changes anything. One that changes nothing needs no record.
    pub(crate) fn changes_state(&self, changes: bool) {
        self.0.record.lock().is_left_out = !changes;
    }

    /// The command continues after the response begins. Returns the record, to write at its end.
    pub(crate) fn continues(&self) -> Pending {
        self.changes_state(false);
        Pending(Some(self.clone()))
    }

    /// Refuses a command that names a file of the daemon's machine, if it came over TCP.
    ///
    /// # Errors
    ///
    /// If the sender is not a process on the socket.
    pub(crate) fn must_be_local(&self) -> Result<(), ApiError> {
        match self.actor() {
            Actor::Process(_) | Actor::Hangup => Ok(()),
            Actor::Token(_) | Actor::Unknown => {
                let error = "a command that names a file is accepted only on the socket";
                Err(ApiError::new(ErrorCode::LocalOnly, error))
            }
        }
    }

    fn write(&self, outcome: &str) {
        let Inner {
            actor,
            command,
            event,
            record,
            ..
        } = &*self.0;
        let record = record.lock();
        let (pid, address) = match actor {
            Actor::Process(peer) => (peer.pid, None),
            Actor::Token(address) => (None, Some(address.to_string())),
            Actor::Hangup | Actor::Unknown => (None, None),
        };
        tracing::info!(
            target: AUDIT,
            by = %actor,
            pid,
            address,
            command = record.command.unwrap_or(command),
            module = record.module.as_deref(),
            event,
            reason = self.reason(),
            outcome,
            "command"
        );
    }
}

/// The record of a command that has not ended.
pub(crate) struct Pending(Option<By>);

impl Pending {
    /// Writes the record of a command that ended well, or with the code of an error.
    pub(crate) fn ended(mut self, outcome: Result<(), &str>) {
        if let Some(by) = self.0.take() {
            by.write(outcome.err().unwrap_or(OK));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(by) = self.0.take() {
            by.write(CUT_OFF);
        }
    }
}

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
    let by = By(Arc::new(Inner {
        actor: actor(&request),
        reason,
        command: operations.id(request.method(), path),
        event: parameter(&["event"]),
        record: Mutex::new(Record {
            command: None,
            module: parameter(&["name", "module"]),
            is_left_out: is_read,
        }),
    }));
    request.extensions_mut().insert(by.clone());
    if is_read {
        return next.run(request).await;
    }
    let command = async move {
        let response = next.run(request).await;
        if !by.0.record.lock().is_left_out {
            let code = response.extensions().get::<ErrorCode>();
            by.write(code.map_or(OK, |code| code.word()));
        }
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
