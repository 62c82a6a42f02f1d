//! The error that a guest sees.

use alloy_primitives::hex;
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};

use crate::bindings::trigger::nexum::host::chain::{ChainError, RpcError};

use super::{AnswerKind, RequestError};

/// The `domain` of every host error of this crate: the interface.
const DOMAIN: &str = "chain";

impl RequestError {
    /// The error that a guest sees. No other file maps errors for guests.
    pub fn to_host_error(&self) -> HostError {
        if let Self::Recorded(error) = self {
            return (**error).clone();
        }
        let (kind, code) = self.kind_and_code();
        let data = self.revert_data().map(str::to_owned);
        HostError {
            code,
            data,
            ..HostError::new(DOMAIN, kind, self.to_string())
        }
    }

    /// The error that a trigger module sees: an endpoint's own error, or a fault. An HTTP status is a
    /// fault, because no endpoint of the chain need have sent it.
    pub(crate) fn to_chain_error(&self) -> ChainError {
        let error = self.to_host_error();
        match self {
            Self::Answer { .. } => ChainError::Rpc(RpcError {
                code: error.code,
                message: error.message,
                data: error.data.and_then(|data| hex::decode(data).ok()),
            }),
            _ => ChainError::Fault(error.into()),
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
            Self::Recorded(error) => (error.kind, error.code),
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

#[cfg(test)]
mod tests {
    use nexum_core::bindings::trigger::nexum::host::types::Fault;

    use super::*;

    #[test]
    fn a_trigger_module_sees_an_error_of_the_endpoint_or_a_fault() {
        let answer = |code, kind, revert_data: Option<&str>| RequestError::Answer {
            code,
            message: "no".to_owned(),
            kind,
            revert_data: revert_data.map(str::to_owned),
        };
        let rpc = |code, data: Option<&[u8]>| {
            ChainError::Rpc(RpcError {
                code,
                message: "no".to_owned(),
                data: data.map(<[u8]>::to_vec),
            })
        };
        let status = |status| RequestError::Status {
            status,
            retry_after: None,
            message: None,
        };
        let told = |error: &RequestError| error.to_string();
        let timeout = RequestError::Timeout { timeout_ms: 5 };
        let refused = |kind| RequestError::Refused {
            kind,
            reason: "no".to_owned(),
        };
        let table = [
            (
                answer(3, AnswerKind::Revert, Some("0x08c379a0")),
                rpc(3, Some(&[8, 195, 121, 160])),
            ),
            (answer(-32_000, AnswerKind::Revert, Some("0x")), rpc(-32_000, Some(&[]))),
            (answer(-32_602, AnswerKind::Invalid, None), rpc(-32_602, None)),
            (answer(-32_005, AnswerKind::RateLimit, None), rpc(-32_005, None)),
            (answer(0, AnswerKind::Other, None), rpc(0, None)),
            (answer(i64::MAX, AnswerKind::Other, None), rpc(0, None)),
            (status(429), ChainError::Fault(Fault::RateLimited)),
            (status(503), ChainError::Fault(Fault::Unavailable(told(&status(503))))),
            (status(413), ChainError::Fault(Fault::InvalidInput(told(&status(413))))),
            (timeout, ChainError::Fault(Fault::Timeout)),
            (
                RequestError::Malformed,
                ChainError::Fault(Fault::Unavailable(told(&RequestError::Malformed))),
            ),
            (
                RequestError::Internal,
                ChainError::Fault(Fault::Internal(told(&RequestError::Internal))),
            ),
            (
                refused(HostErrorKind::Denied),
                ChainError::Fault(Fault::Denied("no".to_owned())),
            ),
            (
                refused(HostErrorKind::InvalidInput),
                ChainError::Fault(Fault::InvalidInput("no".to_owned())),
            ),
            (
                refused(HostErrorKind::Unsupported),
                ChainError::Fault(Fault::Unsupported("no".to_owned())),
            ),
        ];
        for (error, expected) in table {
            assert_eq!(error.to_chain_error(), expected, "{error:?}");
        }
    }
}
