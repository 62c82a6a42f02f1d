//! Requests that change something: transactions, and what `extra_methods` allow. nexum has each of them once.

use alloy_primitives::{hex, keccak256};
use nexum_config::topic::ChainId;
use nexum_core::capability::{EffectCall, EffectClass, EffectJournal, EffectOutcome, EffectPlan, Sending};

use crate::capability::chain::CountedChains;
use crate::error::RequestError;
use crate::methods::SEND_RAW;

/// The type of a transaction with blobs (EIP-4844). It is sent with them, and its hash does not cover them.
const BLOB_TYPE: u8 = 3;

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
            Some((bytes, hash)) => EffectCall {
                kind: "transaction",
                target: &target,
                request: bytes,
                class: EffectClass::Repeatable,
                stand_in: Some(hash.as_bytes()),
                is_strict: false,
            },
            None => EffectCall {
                kind: "rpc",
                target: &target,
                request: content.as_bytes(),
                class: EffectClass::Once,
                stand_in: None,
                is_strict: true,
            },
        };
        Ok(match journal.begin(&call).await? {
            EffectPlan::Send(sending) => Ok(sending),
            EffectPlan::Answered(answer) => Err(String::from_utf8(answer).map_err(|_| RequestError::Internal)),
            EffectPlan::Denied(reason) => Err(Err(RequestError::denied(reason))),
            EffectPlan::Failed(error) => Err(Err(RequestError::Recorded(Box::new(error)))),
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
            Err(error) if error.is_without_effect() => EffectOutcome::Refused,
            Err(error) => EffectOutcome::Unknown(error.to_string()),
        };
        (answer, outcome)
    }

    /// Whether the chain or the endpoint has the transaction although the endpoint refused it.
    async fn is_there(&self, chains: &CountedChains, hash: &str, error: &RequestError, is_repeated: bool) -> bool {
        if error.is_known_transaction() {
            return true;
        }
        let RequestError::Answer { message, .. } = error else {
            return false;
        };
        if !is_repeated && !message.to_ascii_lowercase().contains("nonce") {
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
    let hash = match without_blobs(&bytes) {
        Some(fields) => keccak256([&[BLOB_TYPE], fields].concat()),
        None => keccak256(&bytes),
    };
    (!bytes.is_empty()).then(|| (bytes, format!("\"{hash}\"")))
}

/// The fields of a transaction that is sent with its blobs: the first item of the outer list.
fn without_blobs(bytes: &[u8]) -> Option<&[u8]> {
    let (BLOB_TYPE, outer) = bytes.split_first().map(|(kind, outer)| (*kind, outer))? else {
        return None;
    };
    let (start, _) = list(outer)?;
    let fields = outer.get(start..)?;
    // Without blobs, the first item is a number.
    let (start, length) = list(fields)?;
    fields.get(..start.checked_add(length)?)
}

/// The lengths of the header and of the content of the RLP list at the beginning of `bytes`.
fn list(bytes: &[u8]) -> Option<(usize, usize)> {
    const SHORT: u8 = 0xc0;
    const LONG: u8 = 0xf7;
    let first = *bytes.first()?;
    if first <= LONG {
        return Some((1, usize::from(first.checked_sub(SHORT)?)));
    }
    let digits = usize::from(first - LONG);
    let length = bytes.get(1..=digits)?;
    let length = length.iter().try_fold(0_usize, |length, digit| {
        length.checked_mul(256)?.checked_add(usize::from(*digit))
    })?;
    Some((1 + digits, length))
}

#[cfg(test)]
mod tests {
    use nexum_testing::{Answer, Node, TEST_CHAIN_ID};
    use serde_json::{Value, json};

    use super::*;
    use crate::{ChainConfig, Chains, EndpointUrl};

    const TRANSACTION: &str = r#"["0x00"]"#;
    const HASH: &str = "\"0xbc36789e7a1e281436464229828f817d6612f7b477d66591ff96a9e064bcc98a\"";

    /// The guest's answer to a transaction that a node answers so, and its outcome. The chain has `found` by the
    /// transaction's hash.
    async fn sent(answer: Answer, found: Value, is_repeated: bool) -> (Option<String>, &'static str) {
        let node = Node::start().await;
        node.on(SEND_RAW, move |_| answer.clone());
        node.on("eth_getTransactionByHash", move |_| Answer::Result(found.clone()));
        let mut config = ChainConfig::new(TEST_CHAIN_ID, EndpointUrl::parse(&node.http_url()).expect("a URL"));
        config.extra_methods.insert(SEND_RAW.to_owned());
        config.retries = 0;
        let chains = CountedChains {
            chains: Chains::new([config]),
            module: "test".into(),
        };
        let change = Change::new(TEST_CHAIN_ID, SEND_RAW, TRANSACTION).expect("a transaction");
        let answer = chains.request_at(None, TEST_CHAIN_ID, SEND_RAW, TRANSACTION).await;
        let (answer, outcome) = change.conclude(&chains, answer, is_repeated).await;
        let outcome = match outcome {
            EffectOutcome::Done(_) => "done",
            EffectOutcome::Refused => "refused",
            EffectOutcome::Unknown(_) => "unknown",
        };
        (answer.ok(), outcome)
    }

    fn error(message: &str) -> Answer {
        Answer::Error {
            code: -32_000,
            message: message.to_owned(),
            data: None,
        }
    }

    /// ethereum/execution-apis#245 and NethermindEth/nethermind#4148.
    #[tokio::test]
    async fn a_transaction_that_a_node_has_already_is_done_whatever_the_node_says() {
        for message in [
            "already known",
            "AlreadyKnown",
            "AlreadyKnown, 0xbc36",
            "Known transaction",
            "known transaction: bc36",
            "Transaction with the same hash was already imported.",
        ] {
            let found = sent(error(message), json!(null), false).await;
            assert_eq!(found, (Some(HASH.to_owned()), "done"), "{message}");
        }
        let found = sent(error("unknown transaction type"), json!(null), false).await;
        assert_eq!(found, (None, "refused"));
    }

    #[tokio::test]
    async fn a_nonce_that_is_too_low_is_done_only_if_the_chain_has_the_transaction() {
        let there = json!({ "hash": "0xbc" });
        for is_repeated in [false, true] {
            let found = sent(error("nonce too low"), there.clone(), is_repeated).await;
            assert_eq!(found, (Some(HASH.to_owned()), "done"));
            let found = sent(error("nonce too low"), json!(null), is_repeated).await;
            assert_eq!(found, (None, "refused"));
        }
        // A node that has it may refuse a repetition for any reason.
        let found = sent(error("insufficient funds"), there.clone(), true).await;
        assert_eq!(found, (Some(HASH.to_owned()), "done"));
        assert_eq!(sent(error("insufficient funds"), there, false).await, (None, "refused"));
    }

    /// A node's hash may be that of another transaction.
    #[tokio::test]
    async fn the_hash_of_a_transaction_is_computed_and_not_believed() {
        let found = sent(Answer::Result(json!("0xdead")), json!(null), false).await;
        assert_eq!(found, (Some(HASH.to_owned()), "done"));
    }

    #[test]
    fn the_hash_of_a_transaction_with_blobs_does_not_cover_them() {
        // The fields `[1, 2]`, alone and in a list with three more items.
        let alone = transaction(r#"["0x03c20102"]"#).expect("a transaction");
        let sent = transaction(r#"["0x03c6c20102c0c0c0"]"#).expect("a transaction");
        assert_eq!(alone.1, sent.1);
        assert_ne!(alone.0, sent.0);
        let long = format!("03f8{:02x}c20102{}", 3 + 60, "c0".repeat(60));
        assert_eq!(
            transaction(&format!("[\"0x{long}\"]")).expect("a transaction").1,
            alone.1
        );
        for broken in ["03", "03c6", "03c6f8", "03f9ffffc20102", "03c6c3", "03c3ffffff"] {
            assert!(transaction(&format!("[\"0x{broken}\"]")).is_some(), "{broken}");
        }
    }

    #[test]
    fn a_transaction_has_the_hash_of_its_bytes() {
        let (bytes, hash) = transaction(TRANSACTION).expect("a transaction");
        assert_eq!((bytes.as_slice(), hash.as_str()), ([0].as_slice(), HASH));
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
}
