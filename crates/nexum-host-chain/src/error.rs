//! What can go wrong with a request, and what of it a guest sees.

use std::error::Error as StdError;
use std::io;

use alloy_json_rpc::{ErrorPayload, RpcError};
use alloy_primitives::Bytes;
use alloy_transport::{TransportError, TransportErrorKind};
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};

use crate::endpoint_url::EndpointUrl;

/// The `domain` of every host error of this crate: the interface.
const DOMAIN: &str = "chain";

/// How much of an endpoint's error text is passed on: a sentence or two, as all known ones are.
pub const MESSAGE_BYTES_MAX: usize = 1_024;

/// How deep the cause of a transport error is looked for: deeper than the libraries below nest theirs.
const CAUSES_MAX: usize = 16;

/// Why a request has no result. No text in it holds a URL, a key or a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The module asks for what it may not, or in a way that nobody understands. Nothing was sent.
    #[error("{reason}")]
    Refused {
        /// `denied`, `invalid-input` or `unsupported`.
        kind: HostErrorKind,
        /// What is wrong with it.
        reason: String,
    },
    /// No connection, or one that broke before the answer.
    #[error("the endpoint cannot be reached{}", cause.map(|cause| format!(": {cause}")).unwrap_or_default())]
    Unreachable {
        /// What the operating system said, if it said something.
        cause: Option<io::ErrorKind>,
    },
    /// An HTTP status in place of an answer.
    #[error("the endpoint answered with HTTP status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// No answer in time.
    #[error("the endpoint did not answer within {timeout_ms} ms")]
    Timeout {
        /// The configured bound.
        timeout_ms: u64,
    },
    /// An answer over the configured size.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The configured bound.
        bytes_max: usize,
    },
    /// An answer that is not JSON-RPC, or not to what was asked.
    #[error("the endpoint's answer is not a JSON-RPC response to the request")]
    Malformed,
    /// The endpoint serves another chain than it is configured for.
    #[error("the endpoint serves chain {actual}, not chain {expected}")]
    WrongChain {
        /// The configured chain id.
        expected: u64,
        /// The one that the endpoint says.
        actual: u64,
    },
    /// The endpoint's own error.
    #[error("{message}")]
    Answer {
        /// The JSON-RPC code.
        code: i64,
        /// The endpoint's text, shortened and without secrets.
        message: String,
        /// What a contract reverted with, as `0x` and hex; `Some("0x")` if it reverted with nothing.
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

    /// What alloy says, without the texts that it or the libraries below it put URLs into.
    pub(crate) fn from_alloy(error: TransportError, url: &EndpointUrl) -> Self {
        match error {
            RpcError::ErrorResp(payload) => Self::from_payload(&payload, url),
            RpcError::DeserError { .. } | RpcError::NullResp => Self::Malformed,
            RpcError::Transport(TransportErrorKind::MissingBatchResponse(_)) => Self::Malformed,
            RpcError::Transport(TransportErrorKind::Custom(error)) => match error.downcast::<Self>() {
                Ok(own) => *own,
                Err(foreign) => Self::from_connect(&*foreign),
            },
            RpcError::Transport(TransportErrorKind::BackendGone) => Self::Unreachable { cause: None },
            _ => Self::Internal,
        }
    }

    fn from_payload(payload: &ErrorPayload, url: &EndpointUrl) -> Self {
        let message = url.redact(&payload.message);
        let end = message.floor_char_boundary(MESSAGE_BYTES_MAX);
        Self::Answer {
            code: payload.code,
            message: message[..end].to_owned(),
            revert_data: revert_data(payload).map(|data| data.to_string()),
        }
    }

    /// A connection that could not be made.
    pub(crate) fn from_connect(error: &(dyn StdError + 'static)) -> Self {
        let causes =
            std::iter::successors(Some(error), |&error: &&(dyn StdError + 'static)| error.source()).take(CAUSES_MAX);
        for cause in causes {
            if let Some(tungstenite::Error::Http(response)) = cause.downcast_ref() {
                return Self::Status {
                    status: response.status().as_u16(),
                };
            }
            if let Some(error) = cause.downcast_ref::<io::Error>() {
                return Self::Unreachable {
                    cause: Some(error.kind()),
                };
            }
        }
        Self::Unreachable { cause: None }
    }

    /// Whether another node may stand behind the endpoint after this, so that its chain id has to be checked again.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status } => *status >= 500,
            _ => false,
        }
    }

    /// Whether the endpoint asks for fewer requests.
    pub(crate) fn is_rate_limit(&self) -> bool {
        self.kind_and_code().0 == HostErrorKind::RateLimited
    }

    /// What a guest sees. This is the only place that decides it.
    pub fn to_host_error(&self) -> HostError {
        let (kind, code) = self.kind_and_code();
        let data = match self {
            Self::Answer { revert_data, .. } => revert_data.clone(),
            _ => None,
        };
        HostError {
            code,
            data,
            ..HostError::new(DOMAIN, kind, self.to_string())
        }
    }

    fn kind_and_code(&self) -> (HostErrorKind, i32) {
        match self {
            Self::Refused { kind, .. } => (*kind, 0),
            Self::Unreachable { .. } | Self::Malformed | Self::WrongChain { .. } => (HostErrorKind::Unavailable, 0),
            Self::Status { status } => (status_kind(*status), i32::from(*status)),
            Self::Timeout { .. } => (HostErrorKind::Timeout, 0),
            Self::TooLarge { .. } => (HostErrorKind::Denied, 0),
            Self::Answer {
                revert_data: Some(_),
                code,
                ..
            } => (HostErrorKind::InvalidInput, narrow(*code)),
            Self::Answer { code, .. } => (code_kind(*code), narrow(*code)),
            Self::Internal => (HostErrorKind::Internal, 0),
        }
    }
}

/// A code that does not fit the contract's 32 bits is no code that anybody knows.
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

/// The codes of JSON-RPC 2.0 and EIP-1474, and those that large providers use for their limits. What is not known counts as
/// the far side's trouble: -32000 is what nodes say when a block has not reached them yet.
fn code_kind(code: i64) -> HostErrorKind {
    match code {
        3 | -32_003 | -32_600 | -32_602 | -32_700 => HostErrorKind::InvalidInput,
        -32_601 | -32_004 => HostErrorKind::Unsupported,
        429 | -32_005 | -32_029 => HostErrorKind::RateLimited,
        _ => HostErrorKind::Unavailable,
    }
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
