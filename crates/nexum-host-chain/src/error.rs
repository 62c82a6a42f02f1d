//! The errors of a request. `received.rs` makes them, `guest.rs` has the part that a guest sees, and
//! `transaction.rs` their meaning for a transaction.

mod answer;
mod guest;
mod received;
mod transaction;

use std::fmt;
use std::io;
use std::time::Duration;

use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_net::TlsFault;

pub use self::answer::AnswerKind;

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
        /// `request_timeout_ms`, or the time that the caller's event had left.
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
    /// The error that the guest got when the replayed event happened.
    #[error("{}", .0.message)]
    Recorded(Box<HostError>),
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
    /// Which endpoints may receive the request again after this failure, if a repetition is
    /// harmless. No other place decides this.
    ///
    /// The text of an error proves nothing about the request, because providers report expired keys
    /// and used-up quotas with any code. Only a revert does: the endpoint ran the call.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::OverBudget { .. }
            | Self::Recorded(_)
            | Self::Internal => Retry::Never,
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
            | Self::Recorded(_)
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
