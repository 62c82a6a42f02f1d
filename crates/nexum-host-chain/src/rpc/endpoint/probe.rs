//! Probes whether a rested endpoint can be followed again.

use std::sync::atomic::AtomicBool;

use alloy_primitives::{Address, B256};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Endpoint, parse};
use crate::error::RequestError;

/// A block's hash, and its parent's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hashes {
    hash: B256,
    parent_hash: B256,
}

impl Endpoint {
    /// Sends the requests that following needs of every endpoint (the chain id, the head's number,
    /// the head), and the request in which following failed last.
    ///
    /// # Errors
    ///
    /// If one of the answers cannot be used.
    pub(crate) async fn probe(&self) -> Result<(), RequestError> {
        self.reach().await?;
        self.look_at_head().await?;
        let head = self
            .ask("eth_getBlockByNumber", r#"["latest",false]"#.to_owned())
            .await?;
        let head: Hashes = parse(&head)?;
        // Some nodes behind a proxy may not have the head itself.
        let block = if head.parent_hash.is_zero() {
            head.hash
        } else {
            head.parent_hash
        };
        match self.health.suspect() {
            Some(method @ "eth_getLogs") => {
                let filter = format!(r#"[{{"blockHash":"{block}","address":"{}"}}]"#, Address::ZERO);
                parse::<Vec<IgnoredAny>>(&self.ask(method, filter).await?).map(drop)
            }
            Some(method @ "eth_getBlockReceipts") => {
                let receipts = self.ask(method, format!(r#"["{block}"]"#)).await?;
                parse::<Vec<IgnoredAny>>(&receipts).map(drop)
            }
            Some("eth_subscribe") => self.heads().await.map(drop),
            _ => Ok(()),
        }
    }

    /// Sends one batch, and fails if the endpoint does not answer each of its requests.
    pub(crate) async fn answers_batches(&self) -> Result<(), RequestError> {
        let params = || RawValue::from_string("[]".to_owned()).map_err(|_| RequestError::Internal);
        let requests = [("eth_chainId".into(), params()?), ("eth_blockNumber".into(), params()?)];
        let sent = AtomicBool::new(false);
        let answers = self.within_timeout(&sent, async {
            let connection = self.connect(&self.following, &sent).await?;
            connection.call_batch(&requests, self.following.secrets()).await
        });
        let answers = answers.await.map_err(|failure| failure.error)?;
        answers.into_iter().try_for_each(|answer| answer.map(drop))
    }

    /// Sends one request. Fails during a pause of the endpoint.
    pub(super) async fn ask(&self, method: &'static str, params: String) -> Result<Box<RawValue>, RequestError> {
        let params = RawValue::from_string(params).map_err(|_| RequestError::Internal)?;
        let request = (method.into(), params);
        let answer = self.attempt_over(&self.following, &request, Instant::now()).await;
        answer.map_err(|failure| failure.error)
    }
}
