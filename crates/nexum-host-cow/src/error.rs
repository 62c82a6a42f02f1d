//! The errors of a request, and the part that a guest sees.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_cow_errors::{Class, classify, find};
use nexum_net::TlsFault;
use serde::Deserialize;

/// The `domain` of every host error of this crate: the interface.
const DOMAIN: &str = "cow-api";

/// The most characters of a reason in an error: a sentence or two.
const REASON_BYTES_MAX: usize = 1_024;

/// The longest word that counts as an `errorType`, in bytes: twice the longest known one.
const ERROR_TYPE_BYTES_MAX: usize = 64;

/// Why a request failed. No message contains a URL, a key or a path of the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The request is malformed, or asks for something that is not allowed. Nothing was sent.
    #[error("{reason}")]
    Refused {
        /// `invalid-input`, `denied` or `unsupported`.
        kind: HostErrorKind,
        /// The fault.
        reason: String,
    },
    /// The rate limit left no turn before the deadline. Nothing was sent.
    #[error("the rate limit of the order book left no turn in time")]
    NoTurn,
    /// No connection. Nothing was sent.
    #[error("the order book cannot be reached{}", said(*cause))]
    Unreachable {
        /// The operating system's cause, if there is one.
        cause: Option<io::ErrorKind>,
    },
    /// No TLS. Nothing was sent.
    #[error("the order book {0}")]
    Tls(TlsFault),
    /// The connection broke before the end of the response.
    #[error("the connection to the order book was lost{}", said(*cause))]
    Lost {
        /// The operating system's cause, if there is one.
        cause: Option<io::ErrorKind>,
    },
    /// No response in time.
    #[error("the order book did not respond within {timeout_ms} ms")]
    Timeout {
        /// The time limit, in milliseconds.
        timeout_ms: u64,
    },
    /// A response above the size bound.
    #[error("the response is larger than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// A status other than 2xx.
    #[error("{0}")]
    Answer(ErrorAnswer),
    /// A success without a UID.
    #[error("the order book's response is not the UID of an order")]
    Malformed,
    /// The order has another UID at the order book: the order book belongs to another settlement
    /// contract or chain than the one that the order is signed for.
    #[error(
        "the order book gives the order another UID: it belongs to another settlement contract or chain than the order \
         is signed for; compare `settlement` of the chain's [cow] table with the order book's"
    )]
    AnotherUid,
    /// The error that the guest got when the replayed event happened.
    #[error("{}", .0.message)]
    Recorded(Box<HostError>),
    /// A fault of this host.
    #[error("the request could not be made")]
    Internal,
}

/// A response with a status other than 2xx.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The `errorType` in the body, if there is one.
    pub error_type: Option<String>,
    /// The wait that the order book requests.
    pub retry_after: Option<Duration>,
    /// The body as received, without possible keys of the order book's URL.
    pub body: String,
}

impl std::fmt::Display for ErrorAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the order book responded with HTTP status {}", self.status)?;
        // An unknown word could be anything. It is in the body.
        match self.error_type.as_deref().and_then(find) {
            Some(row) => write!(f, " ({})", row.error_type),
            None => Ok(()),
        }
    }
}

impl ErrorAnswer {
    pub(crate) fn new(status: u16, retry_after: Option<Duration>, body: String) -> Self {
        #[derive(Deserialize)]
        struct Envelope<'a> {
            #[serde(borrow, rename = "errorType")]
            error_type: Cow<'a, str>,
        }
        let error_type = serde_json::from_str::<Envelope<'_>>(&body)
            .ok()
            .map(|envelope| envelope.error_type.into_owned());
        Self {
            status,
            error_type: error_type.filter(|error_type| error_type.len() <= ERROR_TYPE_BYTES_MAX),
            retry_after,
            body,
        }
    }

    /// The class of the error, which names the action to take.
    pub fn class(&self) -> Class {
        classify(self.status, self.error_type.as_deref())
    }

    /// Whether the `errorType` says that a retry cannot succeed.
    fn is_final(&self) -> bool {
        let row = self.error_type.as_deref().and_then(find);
        row.is_some_and(|row| !matches!(row.class, Class::BackOff(_)))
    }

    fn kind(&self) -> HostErrorKind {
        match self.status {
            401 | 403 => HostErrorKind::Denied,
            408 | 504 => HostErrorKind::Timeout,
            429 => HostErrorKind::RateLimited,
            400..=499 => HostErrorKind::InvalidInput,
            500.. if self.is_final() => HostErrorKind::InvalidInput,
            _ => HostErrorKind::Unavailable,
        }
    }
}

/// Whether nexum may retry a request after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// A retry would fail too.
    Never,
    /// Only if a repetition is harmless: the order book may have processed the request.
    IfRepeatable,
    /// Always: the order book did not process the request.
    Always,
}

impl RequestError {
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        Self::Refused {
            kind: HostErrorKind::InvalidInput,
            reason,
        }
    }

    pub(crate) fn denied(reason: impl Into<String>) -> Self {
        Self::Refused {
            kind: HostErrorKind::Denied,
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Refused {
            kind: HostErrorKind::Unsupported,
            reason: reason.into(),
        }
    }

    /// Whether nexum may retry the request. No other place decides this.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { .. }
            | Self::NoTurn
            | Self::TooLarge { .. }
            | Self::Malformed
            | Self::AnotherUid
            | Self::Recorded(_)
            | Self::Internal => Retry::Never,
            Self::Unreachable { .. } | Self::Tls(_) => Retry::Always,
            Self::Lost { .. } | Self::Timeout { .. } => Retry::IfRepeatable,
            Self::Answer(answer) => match answer.status {
                429 => Retry::Always,
                408 => Retry::IfRepeatable,
                500.. if !answer.is_final() => Retry::IfRepeatable,
                _ => Retry::Never,
            },
        }
    }

    /// Whether the order book processed the request and rejected it.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Answer(answer) if (400..=499).contains(&answer.status) && !matches!(answer.status, 408 | 429))
    }

    /// Whether the order book may have processed the request.
    pub(crate) fn leaves_doubt(&self) -> bool {
        self.retry() == Retry::IfRepeatable || matches!(self, Self::Malformed | Self::TooLarge { .. })
    }

    /// Whether the order book may refuse an order in this way because it has the order.
    pub(crate) fn may_hide_existing(&self) -> bool {
        let Self::Answer(answer) = self else { return false };
        let row = answer.error_type.as_deref().and_then(find);
        row.is_some_and(|row| row.may_hide_existing)
    }

    /// The class of the order book's error response, if there was one.
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Answer(answer) => Some(answer.class()),
            _ => None,
        }
    }

    /// The error that a guest sees. No other place maps errors for guests.
    pub fn to_host_error(&self) -> HostError {
        let kind = match self {
            Self::Refused { kind, .. } => *kind,
            Self::NoTurn => HostErrorKind::RateLimited,
            Self::Unreachable { .. } | Self::Tls(_) | Self::Lost { .. } | Self::Malformed => HostErrorKind::Unavailable,
            Self::Timeout { .. } => HostErrorKind::Timeout,
            Self::TooLarge { .. } => HostErrorKind::Denied,
            Self::Answer(answer) => answer.kind(),
            Self::AnotherUid | Self::Internal => HostErrorKind::Internal,
            Self::Recorded(error) => return (**error).clone(),
        };
        let (code, data) = match self {
            Self::Answer(answer) => (i32::from(answer.status), Some(answer.body.clone())),
            _ => (0, None),
        };
        HostError {
            code,
            data,
            ..HostError::new(DOMAIN, kind, self.to_string())
        }
    }
}

/// The operating system's cause, as the end of a message.
fn said(cause: Option<io::ErrorKind>) -> String {
    cause.map(|cause| format!(": {cause}")).unwrap_or_default()
}
