//! The errors of a fetch, and the part that a guest sees.

use std::error::Error as StdError;
use std::io;

use nexum_config::causes::causes;
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_net::{ReadError, TlsFault, contents, io_cause};

use crate::policy::Rule;
use crate::resolver::ResolveError;

/// The `domain` of every host error of this crate: the interface.
const DOMAIN: &str = "http";

/// Why a fetch has no response. No message contains a URL, a host, or a header's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The request is malformed or breaks a rule. Nothing was sent.
    #[error("{reason}")]
    Invalid {
        /// The part that breaks the rule.
        part: RequestPart,
        /// The broken rule.
        reason: String,
    },
    /// The destination is not allowed, also after a redirect. Nothing was sent there.
    #[error("{}{rule}", if *redirected { "after a redirect: " } else { "" })]
    Denied {
        /// The rule that denies it.
        rule: Rule,
        /// Whether a redirect named the destination.
        redirected: bool,
    },
    /// The host's name has no address.
    #[error("the host's name cannot be resolved")]
    Unresolved,
    /// No connection. Nothing was sent.
    #[error("the host cannot be reached{}", said(*cause))]
    Unreachable {
        /// The operating system's cause, if there is one.
        cause: Option<io::ErrorKind>,
    },
    /// No TLS. Nothing was sent.
    #[error("the host {0}")]
    Tls(TlsFault),
    /// The connection broke before the end of the response, or the response is not HTTP.
    #[error("the connection to the host was lost{}", said(*cause))]
    Lost {
        /// The operating system's cause, if there is one.
        cause: Option<io::ErrorKind>,
    },
    /// A part of the fetch exceeded its time limit.
    #[error("{phase} took longer than {timeout_ms} ms")]
    Timeout {
        /// The part of the fetch.
        phase: Phase,
        /// The time limit, in milliseconds.
        timeout_ms: u64,
    },
    /// A response above a size bound.
    #[error("the response has more than {bytes_max} bytes of {part}")]
    TooLarge {
        /// The body, or the headers.
        part: &'static str,
        /// The bound.
        bytes_max: u64,
    },
    /// A redirect whose target is not a URL.
    #[error("the response redirects to an invalid URL")]
    BadRedirect,
    /// The event ended before the response arrived.
    #[error("the event ended before the response arrived")]
    Cancelled,
    /// The error that the guest got when the replayed event happened.
    #[error("{}", .0.message)]
    Recorded(Box<HostError>),
    /// A fault of this host.
    #[error("the request could not be made")]
    Internal,
}

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestPart {
    /// The method.
    Method,
    /// The URL.
    Url,
    /// One header.
    Header,
    /// All headers together.
    HeaderSection,
    /// The body.
    Body,
    /// The timeout.
    Timeout,
}

/// A part of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Phase {
    /// Name resolution, connection and TLS handshake.
    #[error("connecting")]
    Connect,
    /// From the request to the first byte of the response.
    #[error("the first byte of the response")]
    FirstByte,
    /// From one piece of the response's body to the next.
    #[error("the next byte of the response")]
    NextByte,
    /// The whole fetch.
    #[error("the fetch")]
    Total,
}

impl FetchError {
    /// A request that nexum does not send for a reason of its own.
    pub(crate) fn withheld(reason: &'static str) -> Self {
        Self::Denied {
            rule: Rule::Effect(reason),
            redirected: false,
        }
    }

    pub(crate) fn invalid(part: RequestPart, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Invalid { part, reason }
    }

    /// Maps an error of the client. The client's text contains the URL, so only known causes are
    /// kept.
    pub(crate) fn of_sending(error: &reqwest::Error, connect_timeout_ms: u64) -> Self {
        match find::<ResolveError>(error) {
            Some(ResolveError::NotPublic(what)) => {
                return Self::Denied {
                    rule: Rule::Address(what),
                    redirected: false,
                };
            }
            Some(ResolveError::NoAddress) => return Self::Unresolved,
            None => {}
        }
        if let Some(fault) = TlsFault::of(error) {
            return Self::Tls(fault);
        }
        let cause = io_cause(error);
        if error.is_builder() {
            Self::invalid(RequestPart::Url, "the URL is not valid in HTTP")
        } else if error.is_connect() && error.is_timeout() {
            Self::Timeout {
                phase: Phase::Connect,
                timeout_ms: connect_timeout_ms,
            }
        } else if error.is_connect() {
            Self::Unreachable { cause }
        } else {
            Self::Lost { cause }
        }
    }

    /// Maps an error of reading a body with this bound.
    pub(crate) fn of_reading(error: &ReadError, bytes_max: u64) -> Self {
        match error {
            ReadError::Lost(error) => Self::Lost { cause: io_cause(error) },
            _ => Self::TooLarge {
                part: "body",
                bytes_max,
            },
        }
    }

    /// Marks the error as one after a redirect.
    pub(crate) fn after_redirect(self) -> Self {
        match self {
            Self::Denied { rule, .. } => Self::Denied { rule, redirected: true },
            error => error,
        }
    }

    /// Whether the request has certainly not reached the server. A redirect's request is another one.
    pub(crate) fn is_unsent(&self) -> bool {
        match self {
            Self::Denied { redirected, .. } => !redirected,
            Self::Invalid { .. }
            | Self::Unresolved
            | Self::Unreachable { .. }
            | Self::Tls(_)
            | Self::Timeout {
                phase: Phase::Connect, ..
            } => true,
            Self::Lost { .. }
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::BadRedirect
            | Self::Cancelled
            | Self::Recorded(_)
            | Self::Internal => false,
        }
    }

    /// The error that a guest of `nexum:host/http` sees. [`to_error_code`](Self::to_error_code) is the
    /// one that a guest of `wasi:http` sees. No other place maps errors for guests.
    pub fn to_host_error(&self) -> HostError {
        let kind = match self {
            Self::Invalid { .. } => HostErrorKind::InvalidInput,
            Self::Denied { .. } | Self::TooLarge { .. } => HostErrorKind::Denied,
            Self::Timeout { .. } => HostErrorKind::Timeout,
            Self::Unresolved
            | Self::Unreachable { .. }
            | Self::Tls(_)
            | Self::Lost { .. }
            | Self::BadRedirect
            | Self::Cancelled => HostErrorKind::Unavailable,
            Self::Internal => HostErrorKind::Internal,
            Self::Recorded(error) => return (**error).clone(),
        };
        HostError::new(DOMAIN, kind, self.to_string())
    }
}

/// The first cause of this type. An `io::Error` that wraps another error skips it in `source`, so
/// this function looks inside as well.
fn find<E: StdError + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error)
        .flat_map(contents)
        .find_map(|cause| cause.downcast_ref::<E>())
}

/// The operating system's cause, as the end of a message.
fn said(cause: Option<io::ErrorKind>) -> String {
    cause.map(|cause| format!(": {cause}")).unwrap_or_default()
}
