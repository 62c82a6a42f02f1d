//! Requests that change something: transactions, and what `extra_methods` allow. nexum has each of them once.

use alloy_primitives::{hex, keccak256};
use nexum_config::topic::ChainId;
use nexum_core::capability::{EffectCall, EffectClass, EffectJournal, EffectOutcome, EffectPlan, Sending};

use crate::capability::chains::CountedChains;
use crate::error::{AnswerKind, RequestError};
use crate::methods::SEND_RAW;

/// What nodes say about a transaction that they have, in lower case. They do not agree on the answer
/// (ethereum/execution-apis#245).
const KNOWN: [&str; 5] = [
    "already known",
    "alreadyknown",
    "known transaction",
    "already imported",
    "already exists",
];

/// A request that changes something.
pub(super) struct Change<'a> {
    chain_id: ChainId,
    method: &'a str,
    params: &'a str,
    /// The transaction's bytes, and its hash as JSON.
    transaction: Option<(Vec<u8>, String)>,
}

impl<'a> Change<'a> {
    /// A request of a method that may change something.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] for a transaction that is no transaction.
    pub(super) fn new(chain_id: ChainId, method: &'a str, params: &'a str) -> Result<Self, RequestError> {
        let transaction = match method {
            SEND_RAW => Some(transaction(params).ok_or_else(|| {
                RequestError::invalid(format!(
                    "the parameters of {SEND_RAW} are one signed transaction in hex"
                ))
            })?),
            _ => None,
        };
        Ok(Self {
            chain_id,
            method,
            params,
            transaction,
        })
    }

    /// Plans the effect. Returns the answer if there is no request to send.
    pub(super) async fn begin(
        &self,
        journal: &EffectJournal,
    ) -> wasmtime::Result<Result<Sending, Result<String, RequestError>>> {
        let target = format!("chain {}", self.chain_id);
        let content = format!("{}\n{}", self.method, self.params);
        let call = match &self.transaction {
            Some((bytes, _)) => EffectCall {
                kind: "transaction",
                target: &target,
                request: bytes,
                class: EffectClass::Repeatable,
                is_strict: false,
            },
            None => EffectCall {
                kind: "rpc",
                target: &target,
                request: content.as_bytes(),
                class: EffectClass::Once,
                is_strict: true,
            },
        };
        Ok(match journal.begin(&call).await? {
            EffectPlan::Send(sending) => Ok(sending),
            EffectPlan::Answered(answer) => Err(String::from_utf8(answer).map_err(|_| RequestError::Internal)),
            EffectPlan::Denied(reason) => Err(Err(RequestError::denied(reason))),
        })
    }

    /// The meaning of the endpoint's answer: that of the guest, and the outcome of the effect.
    pub(super) async fn conclude(
        &self,
        chains: &CountedChains,
        answer: Result<String, RequestError>,
        is_repeated: bool,
    ) -> (Result<String, RequestError>, EffectOutcome) {
        let answer = match (&self.transaction, answer) {
            // The endpoint's hash may be that of another transaction.
            (Some((_, hash)), Ok(_)) => Ok(hash.clone()),
            (Some((_, hash)), Err(error)) => match self.is_there(chains, hash, &error, is_repeated).await {
                true => Ok(hash.clone()),
                false => Err(error),
            },
            (None, answer) => answer,
        };
        let outcome = match &answer {
            Ok(result) => EffectOutcome::Done(result.clone().into_bytes()),
            Err(error) if is_refusal(error) => EffectOutcome::Refused,
            Err(error) => EffectOutcome::Unknown(error.to_string()),
        };
        (answer, outcome)
    }

    /// Whether the chain or the endpoint has the transaction although the endpoint refused it.
    async fn is_there(&self, chains: &CountedChains, hash: &str, error: &RequestError, is_repeated: bool) -> bool {
        let RequestError::Answer { message, .. } = error else {
            return false;
        };
        let message = message.to_ascii_lowercase();
        if KNOWN.iter().any(|known| message.contains(known)) {
            return true;
        }
        if !is_repeated && !message.contains("nonce") {
            return false;
        }
        let found = chains
            .request_at(None, self.chain_id, "eth_getTransactionByHash", &format!("[{hash}]"))
            .await;
        found.is_ok_and(|found| found.trim() != "null")
    }
}

/// The bytes of the transaction in the parameters, and its hash as JSON.
fn transaction(params: &str) -> Option<(Vec<u8>, String)> {
    let [text] = serde_json::from_str::<[String; 1]>(params).ok()?;
    let bytes = hex::decode(text.strip_prefix("0x")?).ok()?;
    let hash = format!("\"{}\"", keccak256(&bytes));
    (!bytes.is_empty()).then_some((bytes, hash))
}

/// Whether no endpoint has acted on the request.
fn is_refusal(error: &RequestError) -> bool {
    match error {
        RequestError::Refused { .. }
        | RequestError::Unreachable { .. }
        | RequestError::Tls(_)
        | RequestError::WrongChain { .. } => true,
        RequestError::Status { status, .. } => (400..500).contains(status) && *status != 408,
        RequestError::Answer { kind, .. } => *kind != AnswerKind::Trouble,
        RequestError::Lost { .. }
        | RequestError::Timeout { .. }
        | RequestError::TooLarge { .. }
        | RequestError::OverBudget { .. }
        | RequestError::CutOff { .. }
        | RequestError::Malformed
        | RequestError::Internal => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_has_the_hash_of_its_bytes() {
        let (bytes, hash) = transaction(r#"["0x00"]"#).expect("a transaction");
        assert_eq!(bytes, [0]);
        assert_eq!(
            hash,
            "\"0xbc36789e7a1e281436464229828f817d6612f7b477d66591ff96a9e064bcc98a\""
        );
        for params in [
            "[]",
            r#"["00"]"#,
            r#"["0x"]"#,
            r#"["0x0"]"#,
            r#"["0x00", "0x01"]"#,
            "{}",
            "[7]",
        ] {
            assert!(transaction(params).is_none(), "{params}");
        }
    }

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
            assert_eq!(is_refusal(&error), expected, "{error:?}");
        }
    }
}
