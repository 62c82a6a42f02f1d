//! What can go wrong with a request, and what of it a guest sees.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_cow_errors::{Class, classify, find};
use serde::Deserialize;

/// The `domain` of every host error of this crate: the interface.
const DOMAIN: &str = "cow-api";

/// How much of a reason is passed on: a sentence or two.
const REASON_BYTES_MAX: usize = 1_024;

/// How long a word may be that is taken for an `errorType`: twice the longest known one.
const ERROR_TYPE_BYTES_MAX: usize = 64;

/// Why a request did not succeed. No text in it holds a URL, a key or a path of the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The module asks for what it may not, or in a way that nobody understands. Nothing was sent.
    #[error("{reason}")]
    Refused {
        /// `invalid-input` or `unsupported`.
        kind: HostErrorKind,
        /// What is wrong with it.
        reason: String,
    },
    /// Its turn would have come after its deadline, because of the limit on requests. Nothing was sent.
    #[error("too many requests wait for the order book, or it asked to be left alone")]
    NoTurn,
    /// No connection. Nothing was sent.
    #[error("the order book cannot be reached{}", said(*cause))]
    Unreachable {
        /// What the operating system said, if it said something.
        cause: Option<io::ErrorKind>,
    },
    /// The connection broke before the end of the answer.
    #[error("the connection to the order book was lost{}", said(*cause))]
    Lost {
        /// What the operating system said, if it said something.
        cause: Option<io::ErrorKind>,
    },
    /// No answer in time.
    #[error("the order book did not answer within {timeout_ms} ms")]
    Timeout {
        /// How long it was waited for.
        timeout_ms: u64,
    },
    /// An answer over the bound.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// A status that is no success.
    #[error("{0}")]
    Answer(ErrorAnswer),
    /// A success that does not say which order was accepted, or says another one.
    #[error("the order book's answer is not the UID of the order")]
    Malformed,
    /// A fault of this host.
    #[error("the request could not be made")]
    Internal,
}

/// An answer with a status that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The `errorType` in the body, if there is one.
    pub error_type: Option<String>,
    /// How long the order book asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The body as it came, without what may be a key in the order book's address.
    pub body: String,
}

impl std::fmt::Display for ErrorAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the order book answered with HTTP status {}", self.status)?;
        // A word that is not known could be anything, and is in the body.
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

    /// What is to be done about it.
    pub fn class(&self) -> Class {
        classify(self.status, self.error_type.as_deref())
    }

    /// Whether the order book's word for it says that it will not pass.
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

/// When a request may be sent again after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would fail in the same way.
    Never,
    /// If doing it twice does no harm: it may have been done.
    IfRepeatable,
    /// In any case: it was not done.
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

    pub(crate) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Refused {
            kind: HostErrorKind::Unsupported,
            reason: reason.into(),
        }
    }

    /// When the request may be sent again. This is the only place that decides it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { .. } | Self::NoTurn | Self::TooLarge { .. } | Self::Malformed | Self::Internal => {
                Retry::Never
            }
            Self::Unreachable { .. } => Retry::Always,
            Self::Lost { .. } | Self::Timeout { .. } => Retry::IfRepeatable,
            Self::Answer(answer) => match answer.status {
                429 => Retry::Always,
                408 => Retry::IfRepeatable,
                500.. if !answer.is_final() => Retry::IfRepeatable,
                _ => Retry::Never,
            },
        }
    }

    /// Whether the order book has looked at what it was sent, and does not want it.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Answer(answer) if (400..=499).contains(&answer.status) && !matches!(answer.status, 408 | 429))
    }

    /// What is to be done about the order book's answer, if there was one.
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Answer(answer) => Some(answer.class()),
            _ => None,
        }
    }

    /// What a guest sees. This is the only place that decides it.
    pub fn to_host_error(&self) -> HostError {
        let kind = match self {
            Self::Refused { kind, .. } => *kind,
            Self::NoTurn => HostErrorKind::RateLimited,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Malformed => HostErrorKind::Unavailable,
            Self::Timeout { .. } => HostErrorKind::Timeout,
            Self::TooLarge { .. } => HostErrorKind::Denied,
            Self::Answer(answer) => answer.kind(),
            Self::Internal => HostErrorKind::Internal,
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

/// What the operating system said, as the end of a sentence.
fn said(cause: Option<io::ErrorKind>) -> String {
    cause.map(|cause| format!(": {cause}")).unwrap_or_default()
}
