//! The errors of a fetch that a guest of `wasi:http` sees.

use std::io;

use nexum_net::TlsFault;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::bindings::http::types::{DnsErrorPayload, ErrorCode};

use crate::client::RESPONSE_HEADER_BYTES_MAX;
use crate::error::{FetchError, Phase, RequestPart};
use crate::policy::Rule;
use crate::request::{REQUEST_BODY_BYTES_MAX, REQUEST_HEADER_BYTES_MAX};

impl FetchError {
    /// The error that a guest of `wasi:http` sees.
    pub fn to_error_code(&self) -> ErrorCode {
        match self {
            Self::Invalid { part, .. } => of_request(*part),
            Self::Denied {
                rule: Rule::Address(_), ..
            } => ErrorCode::DestinationIpProhibited,
            Self::Denied { .. } => ErrorCode::HttpRequestDenied,
            Self::Unresolved => ErrorCode::DnsError(DnsErrorPayload {
                rcode: None,
                info_code: None,
            }),
            Self::Unreachable {
                cause: Some(io::ErrorKind::ConnectionRefused),
            } => ErrorCode::ConnectionRefused,
            Self::Unreachable { .. } => ErrorCode::DestinationUnavailable,
            Self::Tls(TlsFault::Issuer | TlsFault::Name | TlsFault::Time | TlsFault::Certificate) => {
                ErrorCode::TlsCertificateError
            }
            Self::Tls(_) => ErrorCode::TlsProtocolError,
            Self::Lost { .. } | Self::Cancelled => ErrorCode::ConnectionTerminated,
            Self::Timeout { phase, .. } => match phase {
                Phase::Connect => ErrorCode::ConnectionTimeout,
                Phase::NextByte => ErrorCode::ConnectionReadTimeout,
                Phase::FirstByte | Phase::Total => ErrorCode::HttpResponseTimeout,
            },
            Self::TooLarge { part: "headers", .. } => {
                ErrorCode::HttpResponseHeaderSectionSize(Some(RESPONSE_HEADER_BYTES_MAX))
            }
            Self::TooLarge { bytes_max, .. } => ErrorCode::HttpResponseBodySize(Some(*bytes_max)),
            Self::BadRedirect => ErrorCode::HttpProtocolError,
            // The ledger has no errors of `wasi:http`.
            Self::Recorded(_) | Self::Internal => ErrorCode::InternalError(None),
        }
    }
}

/// The error for a part that breaks a rule. A `fields` refuses a header when the guest sets it, so
/// here a header is one that the guest copied from a response.
fn of_request(part: RequestPart) -> ErrorCode {
    match part {
        RequestPart::Method => ErrorCode::HttpRequestMethodInvalid,
        RequestPart::Url => ErrorCode::HttpRequestUriInvalid,
        RequestPart::Header => ErrorCode::HttpRequestDenied,
        RequestPart::HeaderSection => {
            ErrorCode::HttpRequestHeaderSectionSize(u32::try_from(REQUEST_HEADER_BYTES_MAX).ok())
        }
        RequestPart::Body => ErrorCode::HttpRequestBodySize(Some(REQUEST_BODY_BYTES_MAX as u64)),
        RequestPart::Timeout => ErrorCode::ConfigurationError,
    }
}

impl From<FetchError> for Error {
    fn from(error: FetchError) -> Self {
        error.to_error_code().into()
    }
}
