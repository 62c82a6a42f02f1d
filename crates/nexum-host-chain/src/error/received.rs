//! Errors of alloy and of an endpoint as a [`RequestError`], without secrets.

use std::error::Error as StdError;
use std::time::Duration;

use alloy_json_rpc::{ErrorPayload, RpcError};
use alloy_primitives::Bytes;
use alloy_transport::{TransportError, TransportErrorKind};
use nexum_net::{TlsFault, causes, io_cause, retry_after};

use super::{AnswerKind, RequestError};
use crate::redact::Secrets;

/// How much of an endpoint's error text is passed on: a sentence or two, as all known ones are.
pub const MESSAGE_BYTES_MAX: usize = 1_024;

impl RequestError {
    /// What alloy says, without the texts that it or the libraries below it put URLs into.
    pub(crate) fn from_alloy(error: TransportError, secrets: &Secrets) -> Self {
        match error {
            RpcError::ErrorResp(payload) => Self::from_payload(&payload, secrets),
            RpcError::DeserError { .. } | RpcError::NullResp => Self::Malformed,
            RpcError::Transport(TransportErrorKind::MissingBatchResponse(_)) => Self::Malformed,
            RpcError::Transport(TransportErrorKind::Custom(error)) => match error.downcast::<Self>() {
                Ok(own) => own.redacted(secrets),
                Err(foreign) => Self::from_connect(&*foreign),
            },
            RpcError::Transport(TransportErrorKind::BackendGone) => Self::Lost { cause: None },
            _ => Self::Internal,
        }
    }

    fn from_payload(payload: &ErrorPayload, secrets: &Secrets) -> Self {
        let revert_data = revert_data(payload).map(|data| data.to_string());
        let kind = match &revert_data {
            Some(_) => AnswerKind::Revert,
            None => AnswerKind::of(payload.code, &payload.message),
        };
        Self::Answer {
            code: payload.code,
            message: redact(&payload.message, secrets),
            kind,
            revert_data,
        }
    }

    /// An HTTP status, with the text that the endpoint put into the body. Strikes out no secret yet: [`Self::from_alloy`] does.
    pub(crate) fn from_status(status: u16, retry_after: Option<Duration>, message: Option<String>) -> Self {
        Self::Status {
            status,
            retry_after,
            message,
        }
    }

    /// Strikes secrets out of an endpoint's text that has been kept as it came in.
    fn redacted(mut self, secrets: &Secrets) -> Self {
        if let Self::Status {
            message: Some(message), ..
        } = &mut self
        {
            *message = redact(message, secrets);
        }
        self
    }

    /// Whether an endpoint's error has a name here.
    pub(crate) fn is_specific(payload: &ErrorPayload) -> bool {
        let kind = AnswerKind::of(payload.code, &payload.message);
        revert_data(payload).is_some() || !matches!(kind, AnswerKind::Other | AnswerKind::Trouble)
    }

    /// A connection that could not be made.
    pub(crate) fn from_connect(error: &(dyn StdError + 'static)) -> Self {
        let handshake = causes(error).find_map(|cause| match cause.downcast_ref() {
            Some(tokio_tungstenite::tungstenite::Error::Http(response)) => Some(response),
            _ => None,
        });
        match handshake {
            Some(response) => Self::Status {
                status: response.status().as_u16(),
                retry_after: retry_after(response.headers()),
                message: None,
            },
            None => match TlsFault::of(error) {
                Some(fault) => Self::Tls(fault),
                None => Self::Unreachable { cause: io_cause(error) },
            },
        }
    }
}

/// An endpoint's text without secrets, shortened to [`MESSAGE_BYTES_MAX`].
fn redact(text: &str, secrets: &Secrets) -> String {
    let mut text = secrets.redact(text);
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
    text
}

/// Code 3 is a revert by the execution API's specification; older nodes say so with -32000 or -32015 and a text alone.
fn revert_data(payload: &ErrorPayload) -> Option<Bytes> {
    let says_so = matches!(payload.code, -32_000 | -32_015) && payload.message.contains("revert");
    if payload.code != 3 && !says_so {
        return None;
    }
    let found = payload
        .as_revert_data()
        .or_else(|| payload.try_data_as().and_then(Result::ok));
    Some(found.unwrap_or_default())
}
