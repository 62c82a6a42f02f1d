//! The error that a guest sees.

use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};

use super::{AnswerKind, RequestError};

/// The `domain` of every host error of this crate: the interface.
const DOMAIN: &str = "chain";

impl RequestError {
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
