//! What can go wrong with a fetch, and what of it a guest sees.

use std::error::Error as StdError;
use std::io;

use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_net::{CAUSES_MAX, ReadError, causes, io_cause};
use rustls::CertificateError;

use crate::policy::Rule;
use crate::resolver::ResolveError;

/// The `domain` of every host error of this crate: the interface.
const DOMAIN: &str = "http";

/// Why a fetch has no answer. No text in it holds a URL, a host, or a header's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The request is none, or breaks a rule. Nothing was sent.
    #[error("{reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// The destination is not allowed, or one that an answer redirects to. Nothing was sent there.
    #[error("{}{rule}", if *redirected { "after a redirect: " } else { "" })]
    Denied {
        /// What forbids it.
        rule: Rule,
        /// Whether it was an answer that named the destination.
        redirected: bool,
    },
    /// The host's name has no address.
    #[error("the host's name cannot be resolved")]
    Unresolved,
    /// No connection. Nothing was sent.
    #[error("the host cannot be reached{}", said(*cause))]
    Unreachable {
        /// What the operating system said, if it said something.
        cause: Option<io::ErrorKind>,
    },
    /// No TLS. Nothing was sent.
    #[error("the host {0}")]
    Tls(TlsFault),
    /// The connection broke before the end of the answer, or what came is not HTTP.
    #[error("the connection to the host was lost{}", said(*cause))]
    Lost {
        /// What the operating system said, if it said something.
        cause: Option<io::ErrorKind>,
    },
    /// It took too long.
    #[error("{phase} took longer than {timeout_ms} ms")]
    Timeout {
        /// What did.
        phase: Phase,
        /// How long it was waited for.
        timeout_ms: u64,
    },
    /// An answer over a bound.
    #[error("the answer has more than {bytes_max} bytes of {part}")]
    TooLarge {
        /// The body, or the headers.
        part: &'static str,
        /// The bound.
        bytes_max: u64,
    },
    /// A redirect to what is no URL.
    #[error("the answer redirects to what is no URL")]
    BadRedirect,
    /// A fault of this host.
    #[error("the request could not be made")]
    Internal,
}

/// Why there is no TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// Nobody who is trusted has signed the certificate.
    #[error("has a certificate of an issuer that is not trusted")]
    Issuer,
    /// The certificate is for others.
    #[error("has a certificate for another name")]
    Name,
    /// The certificate is too old, or not valid yet.
    #[error("has a certificate that is not valid at this time")]
    Time,
    /// Anything else about the certificate.
    #[error("has a certificate that is not valid")]
    Certificate,
    /// Anything else about the protocol.
    #[error("speaks no TLS that is known here")]
    Protocol,
}

/// A part of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Phase {
    /// Resolving, connecting, agreeing on TLS.
    #[error("connecting")]
    Connect,
    /// From the request to the beginning of the answer.
    #[error("the beginning of the answer")]
    FirstByte,
    /// All of it.
    #[error("the fetch")]
    Total,
}

impl FetchError {
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into() }
    }

    /// Of a client that sends a request. The text of its errors has the URL in it: only what is known is kept.
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
        if let Some(fault) = find::<rustls::Error>(error).map(TlsFault::of) {
            return Self::Tls(fault);
        }
        let cause = io_cause(error);
        if error.is_builder() {
            Self::invalid("the URL is none that HTTP can carry")
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

    /// Of reading a body with this bound.
    pub(crate) fn of_reading(error: &ReadError, bytes_max: u64) -> Self {
        match error {
            ReadError::Lost(error) => Self::Lost { cause: io_cause(error) },
            _ => Self::TooLarge {
                part: "body",
                bytes_max,
            },
        }
    }

    /// The same of a request that an answer redirected to.
    pub(crate) fn after_redirect(self) -> Self {
        match self {
            Self::Denied { rule, .. } => Self::Denied { rule, redirected: true },
            error => error,
        }
    }

    /// What a guest sees. This is the only place that decides it.
    pub fn to_host_error(&self) -> HostError {
        let kind = match self {
            Self::Invalid { .. } => HostErrorKind::InvalidInput,
            Self::Denied { .. } | Self::TooLarge { .. } => HostErrorKind::Denied,
            Self::Timeout { .. } => HostErrorKind::Timeout,
            Self::Unresolved | Self::Unreachable { .. } | Self::Tls(_) | Self::Lost { .. } | Self::BadRedirect => {
                HostErrorKind::Unavailable
            }
            Self::Internal => HostErrorKind::Internal,
        };
        HostError::new(DOMAIN, kind, self.to_string())
    }
}

impl TlsFault {
    fn of(error: &rustls::Error) -> Self {
        use CertificateError as Bad;
        let rustls::Error::InvalidCertificate(error) = error else {
            return Self::Protocol;
        };
        match error {
            Bad::UnknownIssuer => Self::Issuer,
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Self::Name,
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. } => Self::Time,
            _ => Self::Certificate,
        }
    }
}

/// The first cause of this type. An `io::Error` that holds another error gives that one's source as its own, and not itself: so
/// what is in one is looked at too.
fn find<E: StdError + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error)
        .flat_map(contents)
        .find_map(|cause| cause.downcast_ref::<E>())
}

/// An error, and what is in it if it is an `io::Error`, which may hold another one.
fn contents<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let content = |error: &&'a (dyn StdError + 'static)| -> Option<&'a (dyn StdError + 'static)> {
        Some(error.downcast_ref::<io::Error>()?.get_ref()?)
    };
    std::iter::successors(Some(error), content).take(CAUSES_MAX)
}

/// What the operating system said, as the end of a sentence.
fn said(cause: Option<io::ErrorKind>) -> String {
    cause.map(|cause| format!(": {cause}")).unwrap_or_default()
}
