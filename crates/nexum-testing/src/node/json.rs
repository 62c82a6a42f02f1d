//! Blocks, receipts and logs as JSON-RPC shows them.

use alloy_consensus::ReceiptEnvelope;
use alloy_primitives::{Address, B64, B256, Bytes, U64};
use serde::Serialize;
use serde_json::{Value, json};

use super::block::{Block, LOGS_PER_TRANSACTION, TRANSACTION_GAS};
use super::log::Log;

impl Block {
    /// The block as JSON-RPC shows it, with the hashes of its transactions.
    pub fn to_json(&self) -> Value {
        let transactions: Vec<_> = self.transactions().map(|logs| logs[0].transaction_hash).collect();
        let gas_used = TRANSACTION_GAS * transactions.len() as u64;
        let zero = B256::ZERO;
        json!({
            "number": format!("{:#x}", self.number),
            "hash": B256::from(self.hash),
            "parentHash": B256::from(self.parent_hash),
            "timestamp": format!("{:#x}", self.timestamp_s),
            "logsBloom": self.logs_bloom(),
            "receiptsRoot": self.receipts_root(),
            "sha3Uncles": zero, "stateRoot": zero, "transactionsRoot": zero, "mixHash": zero,
            "miner": Address::ZERO, "nonce": B64::ZERO, "extraData": "0x", "difficulty": "0x0", "size": "0x220",
            "gasLimit": "0x1c9c380", "gasUsed": format!("{gas_used:#x}"), "baseFeePerGas": "0x7",
            "transactions": transactions, "uncles": [],
        })
    }

    /// The receipts of its transactions as `eth_getBlockReceipts` shows them.
    pub fn receipts_json(&self) -> Value {
        let receipts = self.receipts();
        let transactions = self.transactions().zip(&receipts);
        transactions
            .map(|(logs, receipt)| self.receipt_json(logs, receipt))
            .collect()
    }

    fn receipt_json(&self, logs: &[Log], receipt: &ReceiptEnvelope) -> Value {
        let first = &logs[0];
        json!({
            "type": format!("{:#x}", receipt.tx_type() as u8),
            "status": format!("{:#x}", u8::from(receipt.status())),
            "cumulativeGasUsed": format!("{:#x}", receipt.cumulative_gas_used()),
            "logs": logs.iter().map(|log| log.to_json(self)).collect::<Value>(),
            "logsBloom": receipt.logs_bloom(),
            "transactionHash": first.transaction_hash,
            "transactionIndex": format!("{:#x}", first.transaction_index),
            "blockHash": B256::from(self.hash),
            "blockNumber": format!("{:#x}", self.number),
            "gasUsed": format!("{TRANSACTION_GAS:#x}"),
            "effectiveGasPrice": "0x7",
            "from": Address::ZERO,
            "to": first.address,
            "contractAddress": null,
        })
    }
}

impl Log {
    /// The log as `eth_getLogs` shows it when it is of this block.
    pub fn to_json(&self, block: &Block) -> Value {
        serde_json::to_value(self.in_block(block)).expect("strings alone")
    }

    pub(super) fn in_block<'a>(&'a self, block: &Block) -> RpcLog<'a> {
        RpcLog {
            address: &self.address,
            topics: &self.topics,
            data: &self.data,
            block_number: U64::from(block.number),
            block_hash: block.hash.into(),
            block_timestamp: U64::from(block.timestamp_s),
            transaction_hash: &self.transaction_hash,
            transaction_index: U64::from(self.transaction_index),
            log_index: U64::from(self.index),
            removed: false,
        }
    }
}

/// A log's JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RpcLog<'a> {
    address: &'a Address,
    topics: &'a [B256],
    data: &'a Bytes,
    block_number: U64,
    block_hash: B256,
    block_timestamp: U64,
    transaction_hash: &'a B256,
    transaction_index: U64,
    log_index: U64,
    removed: bool,
}

impl RpcLog<'_> {
    pub(super) fn index_in_transaction(&mut self) {
        let before = self.transaction_index.to::<u64>() * LOGS_PER_TRANSACTION as u64;
        self.log_index = U64::from(self.log_index.to::<u64>().saturating_sub(before));
    }
}
