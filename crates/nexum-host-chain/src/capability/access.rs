//! The chains, for a part of the host that sends transactions.

use alloy_primitives::hex;
use async_trait::async_trait;
use nexum_config::topic::ChainId;
use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::{ChainAccess, Submission, SubmitError, SubmitTo, Submitted};
use serde_json::value::to_raw_value;

use super::chains::Chains;
use crate::error::{AnswerKind, RequestError};
use crate::methods::{self, SEND_RAW};
use crate::redact::printable;
use crate::rpc::endpoint::Answer;
use crate::rpc::submit::has_transaction;

/// The requests count for the endpoints that receive them, and for no module.
#[async_trait]
impl ChainAccess for Chains {
    fn chains(&self) -> Vec<ChainId> {
        self.ids().collect()
    }

    async fn read(&self, chain_id: ChainId, method: &str, params: &str) -> Result<String, HostError> {
        // `extra_methods` is for modules.
        let answer = match methods::is_read(method) {
            true => self.request(chain_id, method, params).await,
            false => Err(RequestError::denied(format!("the method {method} does not only read"))),
        };
        answer.map_err(|error| error.to_host_error())
    }

    async fn submit(&self, chain_id: ChainId, transaction: &[u8], to: SubmitTo) -> Vec<Submitted> {
        let Some(places) = self.submit_places(chain_id) else {
            return Vec::new();
        };
        let Ok(params) = to_raw_value(&[hex::encode_prefixed(transaction)]) else {
            return Vec::new();
        };
        let answers = places.submit(&(SEND_RAW.into(), params), to).await;
        answers.into_iter().map(submitted).collect()
    }

    fn submission(&self, chain_id: ChainId) -> Submission {
        self.submit_places(chain_id)
            .map(|places| places.submission())
            .unwrap_or_default()
    }
}

/// Whether the place has answered with an error about the transaction.
fn is_about_transaction(error: &RequestError) -> bool {
    let RequestError::Answer { kind, .. } = error else {
        return false;
    };
    *kind != AnswerKind::Trouble && !error.is_rate_limit()
}

fn submitted((endpoint, answer): (String, Answer)) -> Submitted {
    let has_it = has_transaction(&answer);
    let result = match answer {
        Err(error) if !has_it => Err(SubmitError {
            message: printable(&error.to_string()),
            is_refusal: is_about_transaction(&error),
        }),
        _ => Ok(()),
    };
    Submitted { endpoint, result }
}
