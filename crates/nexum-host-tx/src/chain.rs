//! The questions to a chain, and the reading of the answers. Every answer may be wrong.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U64, U256};
use nexum_config::topic::ChainId;
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_core::capability::{ChainAccess, SubmitTo, Submitted};
use serde::Deserialize;
use serde_json::json;

use crate::error::SendError;
use crate::fees::{HISTORY_PARAMS, Market};
use crate::request::SendRequest;

/// A part of the estimated gas that a transaction has in addition, in percent: the state can change before its block.
const GAS_MARGIN_PERCENT: u64 = 25;

/// One chain.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    access: Arc<dyn ChainAccess>,
    id: ChainId,
}

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: u64,
    pub(crate) hash: B256,
}

/// The receipt of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) block: Head,
    pub(crate) fee: U256,
    pub(crate) is_success: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBlock {
    number: U64,
    hash: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReceipt {
    transaction_hash: B256,
    block_number: U64,
    block_hash: B256,
    gas_used: U64,
    #[serde(default)]
    effective_gas_price: Option<U256>,
    #[serde(default)]
    status: Option<U64>,
}

impl Chain {
    pub(crate) fn new(access: &Arc<dyn ChainAccess>, id: ChainId) -> Self {
        Self {
            access: Arc::clone(access),
            id,
        }
    }

    async fn read(&self, method: &'static str, params: serde_json::Value) -> Result<String, HostError> {
        self.access.read(self.id, method, &params.to_string()).await
    }

    /// The gas that the call takes. An error of the node about the call is [`SendError::Simulated`].
    pub(crate) async fn simulate(&self, request: &SendRequest) -> Result<u64, SendError> {
        const METHOD: &str = "eth_estimateGas";
        let estimated = self.read(METHOD, json!([request.call(), "pending"])).await;
        let estimated = estimated.map_err(|error| match is_about_request(&error) {
            true => SendError::Simulated(error),
            false => SendError::Chain(error),
        })?;
        let gas: U64 = serde_json::from_str(&estimated).map_err(|_| SendError::Malformed(METHOD))?;
        Ok(gas.to())
    }

    /// The limit of gas for a transaction that takes this much now.
    pub(crate) fn with_margin(gas: u64) -> u64 {
        gas.saturating_add(gas.saturating_mul(GAS_MARGIN_PERCENT) / 100)
    }

    /// The fees that transactions pay now.
    pub(crate) async fn market(&self) -> Result<Market, SendError> {
        let history = self.access.read(self.id, "eth_feeHistory", HISTORY_PARAMS).await;
        let market = match history {
            Ok(history) => Market::of_history(&history)?,
            // A chain without a base fee need not have the method.
            Err(error) if error.kind == HostErrorKind::Unsupported => None,
            Err(error) => return Err(SendError::Chain(error)),
        };
        match market {
            Some(market) => Ok(market),
            None => {
                let price = self.read("eth_gasPrice", json!([])).await;
                Market::of_price(&price.map_err(SendError::Chain)?)
            }
        }
    }

    /// The number of transactions of an account, in the latest block or in those that a node has pending too.
    pub(crate) async fn transactions(&self, account: Address, at: &'static str) -> Result<u64, SendError> {
        const METHOD: &str = "eth_getTransactionCount";
        let count = self.read(METHOD, json!([account, at])).await;
        let count: Result<U64, _> = serde_json::from_str(&count.map_err(SendError::Chain)?);
        count.map(|count| count.to()).map_err(|_| SendError::Malformed(METHOD))
    }

    /// The latest block, or the finalized one. `None` if the chain does not know such a block.
    pub(crate) async fn head(&self, tag: &'static str) -> Result<Option<Head>, SendError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let block = self.read(METHOD, json!([tag, false])).await.map_err(SendError::Chain)?;
        let block: Option<RawBlock> = serde_json::from_str(&block).map_err(|_| SendError::Malformed(METHOD))?;
        Ok(block.map(|block| Head {
            number: block.number.to(),
            hash: block.hash,
        }))
    }

    /// The receipt of a transaction, if a block has it.
    pub(crate) async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, SendError> {
        const METHOD: &str = "eth_getTransactionReceipt";
        let receipt = self.read(METHOD, json!([hash])).await.map_err(SendError::Chain)?;
        let receipt: Option<RawReceipt> = serde_json::from_str(&receipt).map_err(|_| SendError::Malformed(METHOD))?;
        let Some(receipt) = receipt else { return Ok(None) };
        if receipt.transaction_hash != hash {
            return Err(SendError::Malformed(METHOD));
        }
        Ok(Some(Receipt {
            block: Head {
                number: receipt.block_number.to(),
                hash: receipt.block_hash,
            },
            fee: receipt
                .effective_gas_price
                .unwrap_or_default()
                .saturating_mul(U256::from(receipt.gas_used)),
            is_success: receipt.status.is_none_or(|status| !status.is_zero()),
        }))
    }

    /// Whether a node has the transaction, in a block or waiting.
    pub(crate) async fn knows(&self, hash: B256) -> Result<bool, SendError> {
        let found = self.read("eth_getTransactionByHash", json!([hash])).await;
        Ok(found.map_err(SendError::Chain)?.trim() != "null")
    }

    pub(crate) async fn submit(&self, transaction: &[u8], to: SubmitTo) -> Vec<Submitted> {
        self.access.submit(self.id, transaction, to).await
    }
}

/// Whether a node's error is about the call, so that it has the same outcome again.
fn is_about_request(error: &HostError) -> bool {
    let text = error.message.to_ascii_lowercase();
    let is_about_funds = text.contains("insufficient funds") || text.contains("gas required exceeds");
    error.kind == HostErrorKind::InvalidInput || error.data.is_some() || is_about_funds
}
