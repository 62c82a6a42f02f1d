//! Errors of the libraries and of the endpoint as errors of this crate.

use std::error::Error as StdError;
use std::time::Duration;

use alloy_json_rpc::{ErrorPayload, RpcError};
use alloy_primitives::Bytes;
use alloy_transport::{TransportError, TransportErrorKind};
use nexum_config::causes::causes;
use nexum_net::{TlsFault, io_cause, retry_after};

use super::{AnswerKind, MESSAGE_BYTES_MAX, RequestError};
use crate::redact::Secrets;

impl RequestError {
    /// Converts an alloy error. Drops the texts into which alloy and the libraries below it put
    /// URLs.
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

    /// Converts an HTTP status, with the endpoint's text from the body. The text still contains
    /// secrets, which [`Self::from_alloy`] removes.
    pub(crate) fn from_status(status: u16, retry_after: Option<Duration>, message: Option<String>) -> Self {
        Self::Status {
            status,
            retry_after,
            message,
        }
    }

    /// Removes secrets from an endpoint's text.
    fn redacted(mut self, secrets: &Secrets) -> Self {
        if let Self::Status {
            message: Some(message), ..
        } = &mut self
        {
            *message = redact(message, secrets);
        }
        self
    }

    /// Whether an endpoint's error has a known meaning.
    pub(crate) fn is_specific(payload: &ErrorPayload) -> bool {
        let kind = AnswerKind::of(payload.code, &payload.message);
        revert_data(payload).is_some() || !matches!(kind, AnswerKind::Other | AnswerKind::Trouble)
    }

    /// Converts an error of connecting.
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

/// The data of a revert. By the specification of the execution API, code 3 is a revert. Older nodes
/// report reverts with -32000 or -32015 and a text.
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
