//! The errors of a request, and the part that a guest sees.

mod answer;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use alloy_json_rpc::{ErrorPayload, RpcError};
use alloy_primitives::Bytes;
use alloy_transport::{TransportError, TransportErrorKind};
use nexum_config::causes::causes;
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_net::{TlsFault, io_cause, retry_after};

use crate::redact::Secrets;

pub use self::answer::AnswerKind;

/// The `domain` of every host error of this crate: the interface.
const DOMAIN: &str = "chain";

/// The most bytes of an endpoint's error text: all known texts are a sentence or two.
pub const MESSAGE_BYTES_MAX: usize = 1_024;

/// Why a request has no result. No text contains a URL, a key or a path of the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The request is malformed, or asks for something that is not allowed. Nothing was sent.
    #[error("{reason}")]
    Refused {
        /// `denied`, `invalid-input` or `unsupported`.
        kind: HostErrorKind,
        /// The fault.
        reason: String,
    },
    /// No connection. Nothing was sent.
    #[error("the endpoint cannot be reached{}", said(*cause))]
    Unreachable {
        /// The operating system's cause, if there is one.
        cause: Option<io::ErrorKind>,
    },
    /// No TLS. Nothing was sent.
    #[error("the endpoint {0}")]
    Tls(TlsFault),
    /// The connection broke before the end of the answer.
    #[error("the connection to the endpoint was lost{}", said(*cause))]
    Lost {
        /// The operating system's cause, if there is one.
        cause: Option<io::ErrorKind>,
    },
    /// An HTTP status without an answer.
    #[error("the endpoint answered with HTTP status {status}{}", said(message.as_deref()))]
    Status {
        /// The status.
        status: u16,
        /// The wait that the endpoint requests.
        retry_after: Option<Duration>,
        /// The endpoint's text, shortened and without secrets: the message of a JSON-RPC error, or
        /// the first line of a plain text body.
        message: Option<String>,
    },
    /// No answer in time.
    #[error("the endpoint did not answer within {timeout_ms} ms")]
    Timeout {
        /// The configured limit.
        timeout_ms: u64,
    },
    /// An answer above the configured size.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The configured limit.
        bytes_max: usize,
    },
    /// The results of a batch exceed the caller's budget. The endpoint may have answered the other
    /// requests.
    #[error("the results of the batch have more than {bytes_max} bytes")]
    OverBudget {
        /// The caller's budget, in bytes.
        bytes_max: u64,
    },
    /// A message above the configured size ended the connection while several requests were
    /// waiting. The message may be the answer to any of them.
    #[error("the connection ended because an answer on it is larger than {bytes_max} bytes")]
    CutOff {
        /// The configured limit.
        bytes_max: usize,
    },
    /// An answer that is not JSON-RPC, or does not belong to the request.
    #[error("the endpoint's answer is not a JSON-RPC response to the request")]
    Malformed,
    /// The endpoint serves another chain than the configured one.
    #[error("the endpoint serves chain {actual}, not chain {expected}")]
    WrongChain {
        /// The configured chain id.
        expected: u64,
        /// The endpoint's chain id.
        actual: u64,
    },
    /// The endpoint's own error.
    #[error("{message}")]
    Answer {
        /// The JSON-RPC code.
        code: i64,
        /// The endpoint's text, shortened and without secrets.
        message: String,
        /// The meaning of the error.
        kind: AnswerKind,
        /// The data of a contract's revert, as `0x` and hex. `Some("0x")` for a revert without
        /// data.
        revert_data: Option<String>,
    },
    /// A fault of this host.
    #[error("the request could not be made")]
    Internal,
}

impl RequestError {
    pub(crate) fn denied(reason: impl Into<String>) -> Self {
        Self::Refused {
            kind: HostErrorKind::Denied,
            reason: reason.into(),
        }
    }

    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Refused {
            kind: HostErrorKind::InvalidInput,
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Refused {
            kind: HostErrorKind::Unsupported,
            reason: reason.into(),
        }
    }

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

    /// Which endpoints may receive the request again after this failure, if a repetition is
    /// harmless. No other place decides this.
    ///
    /// The text of an error proves nothing about the request, because providers report expired keys
    /// and used-up quotas with any code. Only a revert does: the endpoint ran the call.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { .. } | Self::TooLarge { .. } | Self::OverBudget { .. } | Self::Internal => Retry::Never,
            Self::CutOff { .. }
            | Self::Unreachable { .. }
            | Self::Tls(_)
            | Self::Lost { .. }
            | Self::Timeout { .. }
            | Self::Malformed => Retry::Anywhere,
            Self::Status { status, .. } => match status {
                408 | 429 | 500.. => Retry::Anywhere,
                _ => Retry::Elsewhere,
            },
            Self::WrongChain { .. } => Retry::Elsewhere,
            Self::Answer { kind, .. } => match kind {
                AnswerKind::Revert => Retry::Never,
                AnswerKind::RateLimit | AnswerKind::UnknownBlock | AnswerKind::Trouble => Retry::Anywhere,
                AnswerKind::NullRound
                | AnswerKind::NoMethod
                | AnswerKind::TooMuch
                | AnswerKind::Invalid
                | AnswerKind::Other => Retry::Elsewhere,
            },
        }
    }

    /// Whether the failure shows that the endpoint fails regardless of the request. An HTTP status
    /// and a JSON-RPC error do not, because a module's request can cause them.
    pub(crate) fn is_endpoints_fault(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Tls(_)
            | Self::Lost { .. }
            | Self::Timeout { .. }
            | Self::Malformed
            | Self::WrongChain { .. } => true,
            Self::Status { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::OverBudget { .. }
            | Self::CutOff { .. }
            | Self::Answer { .. }
            | Self::Internal => false,
        }
    }

    /// Whether the endpoint has answered, but refuses the request for a reason that a short wait
    /// does not change.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status != 429,
            Self::Answer { kind, .. } => !matches!(
                kind,
                AnswerKind::Revert | AnswerKind::RateLimit | AnswerKind::UnknownBlock | AnswerKind::NullRound
            ),
            _ => false,
        }
    }

    /// Whether the endpoint may have refused the form of the parameters, and may accept another
    /// form.
    pub(crate) fn may_refuse_form(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == 400,
            Self::Answer { kind, .. } => {
                matches!(kind, AnswerKind::Invalid | AnswerKind::Trouble | AnswerKind::Other)
            }
            _ => false,
        }
    }

    /// Whether the endpoint does not have the requested block.
    pub(crate) fn is_unknown_block(&self) -> bool {
        matches!(self, Self::Answer { kind, .. } if *kind == AnswerKind::UnknownBlock)
    }

    /// Whether the endpoint says that the chain has no block of the number that it was asked about.
    pub(crate) fn is_null_round(&self) -> bool {
        matches!(self, Self::Answer { kind, .. } if *kind == AnswerKind::NullRound)
    }

    /// Whether the endpoint does not have the method.
    pub(crate) fn is_no_method(&self) -> bool {
        matches!(self, Self::Answer { kind, .. } if *kind == AnswerKind::NoMethod)
    }

    /// Whether an HTTP status shows that the endpoint refuses the method, whatever the parameters
    /// are: because of a wrong key, a wrong path or a paywall. Parameters can cause the other
    /// statuses.
    pub(crate) fn refuses_method(&self) -> bool {
        match self {
            Self::Status { status, .. } => !matches!(status, 400 | 408 | 413 | 414 | 429 | 431 | 500..),
            _ => false,
        }
    }

    /// This failure of a request that the host itself made, which no module influenced: any error
    /// is the endpoint's trouble.
    pub(crate) fn into_trouble(self) -> Self {
        match self {
            Self::Answer {
                code, message, kind, ..
            } if kind != AnswerKind::RateLimit => Self::Answer {
                code,
                message,
                kind: AnswerKind::Trouble,
                revert_data: None,
            },
            error => error,
        }
    }

    /// Whether the answer is larger than the endpoint's or this host's limit.
    pub(crate) fn is_too_large(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::CutOff { .. } => true,
            Self::Status { status, .. } => *status == 413,
            Self::Answer { kind, .. } => *kind == AnswerKind::TooMuch,
            _ => false,
        }
    }

    /// Whether the endpoint requests a lower rate.
    pub(crate) fn is_rate_limit(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == 429,
            Self::Answer { kind, .. } => *kind == AnswerKind::RateLimit,
            _ => false,
        }
    }

    /// The wait that the endpoint requests, if it requests one.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn revert_data(&self) -> Option<&str> {
        match self {
            Self::Answer { revert_data, .. } => revert_data.as_deref(),
            _ => None,
        }
    }

    /// A null result for a block: the endpoint does not have it.
    pub(crate) fn unknown_block() -> Self {
        Self::Answer {
            // EIP-1474: resource not found.
            code: -32_001,
            message: "the endpoint does not have the block".to_owned(),
            kind: AnswerKind::UnknownBlock,
            revert_data: None,
        }
    }

    /// The error that a guest sees. No other place maps errors for guests.
    pub fn to_host_error(&self) -> HostError {
        let (kind, code) = self.kind_and_code();
        let data = self.revert_data().map(str::to_owned);
        HostError {
            code,
            data,
            ..HostError::new(DOMAIN, kind, self.to_string())
        }
    }

    fn kind_and_code(&self) -> (HostErrorKind, i32) {
        match self {
            Self::Refused { kind, .. } => (*kind, 0),
            Self::Unreachable { .. }
            | Self::Tls(_)
            | Self::Lost { .. }
            | Self::CutOff { .. }
            | Self::Malformed
            | Self::WrongChain { .. } => (HostErrorKind::Unavailable, 0),
            Self::Status { status, .. } => (status_kind(*status), i32::from(*status)),
            Self::Timeout { .. } => (HostErrorKind::Timeout, 0),
            Self::TooLarge { .. } | Self::OverBudget { .. } => (HostErrorKind::Denied, 0),
            Self::Answer { kind, code, .. } => (answer_kind(*kind), narrow(*code)),
            Self::Internal => (HostErrorKind::Internal, 0),
        }
    }
}

/// The endpoints that may receive a request again, from the narrowest choice to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retry {
    /// None: the request would fail again.
    Never,
    /// Another endpoint.
    Elsewhere,
    /// Another endpoint, or after a wait the same one.
    Anywhere,
}

/// The reason of the operating system or of the endpoint, as the end of a message.
fn said(reason: Option<impl fmt::Display>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

/// An endpoint's text without secrets, shortened to [`MESSAGE_BYTES_MAX`].
fn redact(text: &str, secrets: &Secrets) -> String {
    let mut text = secrets.redact(text);
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
    text
}

/// Converts a code to the contract's 32 bits. A larger code becomes 0: no known one is larger.
fn narrow(code: i64) -> i32 {
    i32::try_from(code).unwrap_or_default()
}

fn status_kind(status: u16) -> HostErrorKind {
    match status {
        408 | 504 => HostErrorKind::Timeout,
        413 => HostErrorKind::InvalidInput,
        429 => HostErrorKind::RateLimited,
        _ => HostErrorKind::Unavailable,
    }
}

/// The host error of an endpoint's error. An unknown meaning counts as the endpoint's trouble.
fn answer_kind(kind: AnswerKind) -> HostErrorKind {
    match kind {
        AnswerKind::Revert | AnswerKind::Invalid | AnswerKind::TooMuch => HostErrorKind::InvalidInput,
        AnswerKind::NoMethod => HostErrorKind::Unsupported,
        AnswerKind::RateLimit => HostErrorKind::RateLimited,
        AnswerKind::UnknownBlock | AnswerKind::NullRound | AnswerKind::Trouble | AnswerKind::Other => {
            HostErrorKind::Unavailable
        }
    }
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
