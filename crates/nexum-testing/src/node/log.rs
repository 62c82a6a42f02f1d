//! The logs of a model chain.

use alloy_primitives::{Address, B256, Bytes, U64};
use serde::Serialize;
use serde_json::Value;

use super::block::{Block, LOGS_PER_TRANSACTION};

/// The most topics of a log in the EVM, which has no `LOG5`.
const TOPICS_MAX: usize = 4;

/// A log without a position in a block. In a block it becomes a [`Log`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSpec {
    /// The contract.
    pub address: Address,
    /// At most four. The first one is the event's signature.
    pub topics: Vec<B256>,
    /// The event's data. Real contracts ABI-encode it.
    pub data: Bytes,
}

/// A log in a [`Block`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The contract.
    pub address: Address,
    /// At most four. The first one is the event's signature.
    pub topics: Vec<B256>,
    /// The event's data.
    pub data: Bytes,
    /// The hash of the transaction. It is unique and readable, as [`Block::hash`] is.
    pub transaction_hash: B256,
    /// The index of the transaction in the block.
    pub transaction_index: u64,
    /// The index of the log in the block.
    pub index: u64,
}

impl Log {
    pub(super) fn new(spec: LogSpec, transaction_hash: B256, transaction_index: u64, index: u64) -> Self {
        assert!(
            spec.topics.len() <= TOPICS_MAX,
            "a log with {} topics",
            spec.topics.len()
        );
        Self {
            address: spec.address,
            topics: spec.topics,
            data: spec.data,
            transaction_hash,
            transaction_index,
            index,
        }
    }

    /// The log of this block in the form of `eth_getLogs`.
    pub fn to_json(&self, block: &Block) -> Value {
        serde_json::to_value(self.in_block(block)).expect("only strings")
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

    /// The log in the receipt's encoding.
    pub(super) fn to_consensus(&self) -> alloy_primitives::Log {
        alloy_primitives::Log::new_unchecked(self.address, self.topics.clone(), self.data.clone())
    }
}

/// The JSON form of a log.
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
