//! The logs of a model chain.

use alloy_primitives::{Address, B256, Bytes};

/// How many topics the virtual machine can give a log: there is no `LOG5`.
const TOPICS_MAX: usize = 4;

/// What a contract says: a [`Log`] that has no place in a block yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSpec {
    /// The contract.
    pub address: Address,
    /// At most four; the first is the event's signature.
    pub topics: Vec<B256>,
    /// The rest of the event, ABI-encoded by real contracts.
    pub data: Bytes,
}

/// A log in a [`Block`](super::Block).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The contract.
    pub address: Address,
    /// At most four; the first is the event's signature.
    pub topics: Vec<B256>,
    /// The rest of the event.
    pub data: Bytes,
    /// The hash of its transaction: unique, and readable as [`Block::hash`](super::Block::hash) is.
    pub transaction_hash: B256,
    /// The place of its transaction in the block.
    pub transaction_index: u64,
    /// Its place in the block.
    pub index: u64,
}

impl Log {
    pub(super) fn new(spec: LogSpec, transaction_hash: B256, transaction_index: u64, index: u64) -> Self {
        assert!(spec.topics.len() <= TOPICS_MAX, "a log of {} topics", spec.topics.len());
        Self {
            address: spec.address,
            topics: spec.topics,
            data: spec.data,
            transaction_hash,
            transaction_index,
            index,
        }
    }

    /// What the receipt's encoding holds of it.
    pub(super) fn to_consensus(&self) -> alloy_primitives::Log {
        alloy_primitives::Log::new_unchecked(self.address, self.topics.clone(), self.data.clone())
    }
}
