//! The logs of a model chain.

use alloy_primitives::{Address, B256, Bytes};

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

/// A log in a [`Block`](super::Block).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The contract.
    pub address: Address,
    /// At most four. The first one is the event's signature.
    pub topics: Vec<B256>,
    /// The event's data.
    pub data: Bytes,
    /// The hash of the transaction. It is unique and readable, as [`Block::hash`](super::Block::hash) is.
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

    /// The log in the encoding of receipts.
    pub(super) fn to_consensus(&self) -> alloy_primitives::Log {
        alloy_primitives::Log::new_unchecked(self.address, self.topics.clone(), self.data.clone())
    }
}
