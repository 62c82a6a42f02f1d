//! The part of a failure that a guest sees.

use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};

use super::{AnswerKind, RequestError};

/// The `domain` of every host error of this crate: the interface.
const DOMAIN: &str = "chain";

impl RequestError {
    /// What a guest sees. This is the only place that decides it.
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

/// The code in the contract's 32 bits, or 0 for a code that does not fit: no known code is larger.
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

/// The kind of an endpoint's error. An unknown error counts as the endpoint's trouble.
fn answer_kind(kind: AnswerKind) -> HostErrorKind {
    match kind {
        AnswerKind::Revert | AnswerKind::Invalid | AnswerKind::TooMuch => HostErrorKind::InvalidInput,
        AnswerKind::NoMethod => HostErrorKind::Unsupported,
        AnswerKind::RateLimit => HostErrorKind::RateLimited,
        AnswerKind::UnknownBlock | AnswerKind::Trouble | AnswerKind::Other => HostErrorKind::Unavailable,
    }
}
