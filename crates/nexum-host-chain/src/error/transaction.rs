//! The meaning of an error for a transaction that was sent.

use super::{AnswerKind, RequestError};

/// The texts of nodes about a transaction that they have, in lower case. They do not agree on the answer
/// (ethereum/execution-apis#245, NethermindEth/nethermind#4148).
const KNOWN: [&str; 5] = [
    "already known",
    "alreadyknown",
    "known transaction",
    "already imported",
    "already exists",
];

/// The text of a node about a transaction that it does not know.
const UNKNOWN: &str = "unknown transaction";

impl RequestError {
    /// Whether the endpoint says that it has the transaction already.
    pub(crate) fn is_known_transaction(&self) -> bool {
        let Self::Answer { message, .. } = self else {
            return false;
        };
        let message = message.to_ascii_lowercase();
        KNOWN.iter().any(|known| message.contains(known)) && !message.contains(UNKNOWN)
    }

    /// Whether no endpoint has acted on the request.
    pub(crate) fn is_without_effect(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Unreachable { .. } | Self::Tls(_) | Self::WrongChain { .. } => true,
            Self::Status { status, .. } => (400..500).contains(status) && *status != 408,
            Self::Answer { kind, .. } => *kind != AnswerKind::Trouble,
            Self::Lost { .. }
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::OverBudget { .. }
            | Self::CutOff { .. }
            | Self::Malformed
            | Self::Recorded(_)
            | Self::Internal => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_endpoint_that_has_certainly_not_acted_refuses() {
        let answer = |kind| RequestError::Answer {
            code: -32_000,
            message: "no".to_owned(),
            kind,
            revert_data: None,
        };
        let status = |status| RequestError::Status {
            status,
            retry_after: None,
            message: None,
        };
        for (error, expected) in [
            (answer(AnswerKind::Other), true),
            (answer(AnswerKind::Trouble), false),
            (status(401), true),
            (status(408), false),
            (status(429), true),
            (status(502), false),
            (RequestError::Unreachable { cause: None }, true),
            (RequestError::Lost { cause: None }, false),
            (RequestError::Timeout { timeout_ms: 1 }, false),
            (RequestError::Malformed, false),
        ] {
            assert_eq!(error.is_without_effect(), expected, "{error:?}");
        }
    }
}
