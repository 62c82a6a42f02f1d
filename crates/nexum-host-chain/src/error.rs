//! What can go wrong with a request.

mod answer;
mod guest;
mod received;

use std::fmt;
use std::io;
use std::time::Duration;

use nexum_core::bindings::nexum::host::types::HostErrorKind;
use nexum_net::TlsFault;

pub use self::answer::AnswerKind;
pub use self::received::MESSAGE_BYTES_MAX;

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
    /// No connection. Nothing was sent.
    #[error("the endpoint cannot be reached{}", said(*cause))]
    Unreachable {
        /// What the operating system said, if it said something.
        cause: Option<io::ErrorKind>,
    },
    /// No TLS. Nothing was sent.
    #[error("the endpoint {0}")]
    Tls(TlsFault),
    /// The connection broke before the answer.
    #[error("the connection to the endpoint was lost{}", said(*cause))]
    Lost {
        /// What the operating system said, if it said something.
        cause: Option<io::ErrorKind>,
    },
    /// An HTTP status in place of an answer.
    #[error("the endpoint answered with HTTP status {status}{}", said(message.as_deref()))]
    Status {
        /// The status.
        status: u16,
        /// How long the endpoint asks to be left alone.
        retry_after: Option<Duration>,
        /// The endpoint's text, shortened and without secrets: the message of a JSON-RPC error, or the first line of a body
        /// that is plain text.
        message: Option<String>,
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
    /// The results of a batch have more bytes than the caller takes. Its other requests may have been answered.
    #[error("the results of the batch have more than {bytes_max} bytes")]
    OverBudget {
        /// How many the caller takes.
        bytes_max: u64,
    },
    /// A message that is larger than the configured size ended the connection, over which there were other requests: any of them
    /// may be the one with that answer.
    #[error("the connection ended because an answer on it is larger than {bytes_max} bytes")]
    CutOff {
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
        /// What it means.
        kind: AnswerKind,
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

    /// Where the request may be sent again after this failure, if it does no harm twice. This is the only place that decides it.
    ///
    /// An error in words proves nothing about the request, because expired keys and used-up quotas are reported with every code
    /// there is. Only a revert does: the endpoint ran the call.
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
                AnswerKind::NoMethod | AnswerKind::TooMuch | AnswerKind::Invalid | AnswerKind::Other => {
                    Retry::Elsewhere
                }
            },
        }
    }

    /// Whether the failure shows that the endpoint does not work, whatever it is asked. An HTTP status and an error in an
    /// answer do not: a module can provoke them by what it asks.
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

    /// Whether the endpoint has answered and does not do what it was asked, for a reason that waiting a moment does not mend.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status != 429,
            Self::Answer { kind, .. } => !matches!(
                kind,
                AnswerKind::Revert | AnswerKind::RateLimit | AnswerKind::UnknownBlock
            ),
            _ => false,
        }
    }

    /// Whether the endpoint may have refused the form of the parameters, and would answer the question in another form.
    pub(crate) fn may_refuse_form(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == 400,
            Self::Answer { kind, .. } => {
                matches!(kind, AnswerKind::Invalid | AnswerKind::Trouble | AnswerKind::Other)
            }
            _ => false,
        }
    }

    /// Whether the endpoint does not have the block that it was asked about.
    pub(crate) fn is_unknown_block(&self) -> bool {
        matches!(self, Self::Answer { kind, .. } if *kind == AnswerKind::UnknownBlock)
    }

    /// Whether the endpoint does not have the method.
    pub(crate) fn is_no_method(&self) -> bool {
        matches!(self, Self::Answer { kind, .. } if *kind == AnswerKind::NoMethod)
    }

    /// Whether an HTTP status shows that the endpoint does not answer the method, whatever the parameters are: a wrong key, a
    /// wrong path, a paywall. The others can be provoked by parameters.
    pub(crate) fn refuses_method(&self) -> bool {
        match self {
            Self::Status { status, .. } => !matches!(status, 400 | 408 | 413 | 414 | 429 | 431 | 500..),
            _ => false,
        }
    }

    /// This failure, where the request was the host's own and says nothing about what a module has asked: whatever the words
    /// are, the endpoint is in trouble.
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

    /// Whether the answer is larger than the endpoint gives, or this host takes.
    pub(crate) fn is_too_large(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::CutOff { .. } => true,
            Self::Status { status, .. } => *status == 413,
            Self::Answer { kind, .. } => *kind == AnswerKind::TooMuch,
            _ => false,
        }
    }

    /// Whether the endpoint asks for fewer requests.
    pub(crate) fn is_rate_limit(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == 429,
            Self::Answer { kind, .. } => *kind == AnswerKind::RateLimit,
            _ => false,
        }
    }

    /// How long the endpoint asks to be left alone, if it says so.
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

    /// Null in answer to what asks for a block: the endpoint does not have it.
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

/// Where a request may be sent again, the widest choice last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retry {
    /// Nowhere: it would fail in the same way.
    Never,
    /// To another endpoint.
    Elsewhere,
    /// To another endpoint, or to the same one a while later.
    Anywhere,
}

/// The reason that the operating system or the endpoint gave, as the end of a sentence.
fn said(reason: Option<impl fmt::Display>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}
