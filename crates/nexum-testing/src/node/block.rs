//! The blocks of a model chain.

use std::fmt;
use std::sync::{Arc, OnceLock};

use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_consensus::proofs::calculate_receipt_root;
use alloy_consensus::{Receipt, ReceiptEnvelope};
use alloy_primitives::{B256, Bloom};

use super::log::{Log, LogSpec};

/// The timestamp of every model chain's genesis block, in seconds.
const GENESIS_TIMESTAMP_S: u64 = 1_700_000_000;

/// The time between two blocks.
const BLOCK_TIME_S: u64 = 12;

/// The number of logs per transaction. With more than one, a log's index differs from its
/// transaction's index and from its index in the transaction.
pub(super) const LOGS_PER_TRANSACTION: usize = 2;

/// The gas of each transaction.
pub(super) const TRANSACTION_GAS: u64 = 50_000;

/// A block of a model chain. It has as many transactions as its logs need, with two logs each, and
/// no others.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    /// The block's number.
    pub number: u64,
    /// The block's hash. It is unique, and readable in test output: it starts with the number and
    /// the fork.
    pub hash: [u8; 32],
    /// The hash of the previous block.
    pub parent_hash: [u8; 32],
    /// The block's time, in seconds since the Unix epoch.
    pub timestamp_s: u64,
    /// None for a block without logs.
    contents: Option<Arc<Contents>>,
}

/// The logs of a block and the values that depend on them.
struct Contents {
    logs: Vec<Log>,
    /// Computed at the first request for a header. Most headers of a long chain are never
    /// requested.
    commitments: OnceLock<Commitments>,
}

/// The header's fields that depend on the logs.
struct Commitments {
    logs_bloom: Bloom,
    receipts_root: B256,
}

impl Block {
    pub(super) fn genesis() -> Self {
        Self {
            number: 0,
            hash: label(0xb1, 0, 0).0,
            parent_hash: [0; 32],
            timestamp_s: GENESIS_TIMESTAMP_S,
            contents: None,
        }
    }

    /// The next block after this one. `skipped` numbers in between have no block.
    pub(super) fn child(&self, skipped: u64, fork: u64, logs: impl FnOnce(u64, u64) -> Vec<LogSpec>) -> Self {
        let number = self.number + 1 + skipped;
        Self {
            number,
            hash: label(0xb1, number, fork).0,
            parent_hash: self.hash,
            timestamp_s: self.timestamp_s + BLOCK_TIME_S * (1 + skipped),
            contents: Contents::new(number, fork, logs(number, fork)),
        }
    }

    /// The block number in a block's hash.
    pub(super) fn number_in(hash: &[u8; 32]) -> u64 {
        u64_at(hash, 0)
    }

    /// The fork of the block. A chain begins on fork 0. Each reorganisation and each
    /// [`start_on`](super::Node::start_on) begins another fork.
    pub fn fork(&self) -> u64 {
        u64_at(&self.hash, 8)
    }

    /// The block's logs, in order.
    pub fn logs(&self) -> &[Log] {
        self.contents.as_ref().map_or(&[], |contents| contents.logs.as_slice())
    }

    /// The bloom filter of the block's logs.
    pub fn logs_bloom(&self) -> Bloom {
        self.commitments()
            .map_or(Bloom::ZERO, |commitments| commitments.logs_bloom)
    }

    /// The root of the trie of the block's receipts.
    pub fn receipts_root(&self) -> B256 {
        self.commitments()
            .map_or(EMPTY_ROOT_HASH, |commitments| commitments.receipts_root)
    }

    /// The receipts of the block's transactions. Legacy and EIP-1559 transactions alternate.
    pub fn receipts(&self) -> Vec<ReceiptEnvelope> {
        receipts(self.logs())
    }

    /// The logs of each transaction.
    pub(super) fn transactions(&self) -> impl Iterator<Item = &[Log]> {
        self.logs().chunks(LOGS_PER_TRANSACTION)
    }

    fn commitments(&self) -> Option<&Commitments> {
        let contents = self.contents.as_ref()?;
        Some(contents.commitments.get_or_init(|| Commitments::new(&contents.logs)))
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("number", &self.number)
            .field("fork", &self.fork())
            .field("logs", &self.logs().len())
            .finish_non_exhaustive()
    }
}

impl Contents {
    fn new(number: u64, fork: u64, specs: Vec<LogSpec>) -> Option<Arc<Self>> {
        let logs: Vec<_> = specs
            .into_iter()
            .enumerate()
            .map(|(index, spec)| {
                let transaction_index = index / LOGS_PER_TRANSACTION;
                let mut transaction_hash = label(0x7a, number, fork);
                transaction_hash[16..24].copy_from_slice(&(transaction_index as u64).to_be_bytes());
                Log::new(spec, transaction_hash, transaction_index as u64, index as u64)
            })
            .collect();
        (!logs.is_empty()).then(|| {
            Arc::new(Self {
                logs,
                commitments: OnceLock::new(),
            })
        })
    }
}

/// Compares only the logs, because the commitments depend on them.
impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        self.logs == other.logs
    }
}

impl Eq for Contents {}

impl Commitments {
    fn new(logs: &[Log]) -> Self {
        let receipts = receipts(logs);
        let mut logs_bloom = Bloom::ZERO;
        for receipt in &receipts {
            logs_bloom.accrue_bloom(receipt.logs_bloom());
        }
        Self {
            logs_bloom,
            receipts_root: calculate_receipt_root(&receipts),
        }
    }
}

fn receipts(logs: &[Log]) -> Vec<ReceiptEnvelope> {
    let transactions = (1..).zip(logs.chunks(LOGS_PER_TRANSACTION));
    let receipt = |(count, logs): (u64, &[Log])| {
        let receipt = Receipt {
            status: true.into(),
            cumulative_gas_used: count * TRANSACTION_GAS,
            logs: logs.iter().map(Log::to_consensus).collect(),
        };
        if count % 2 == 0 {
            ReceiptEnvelope::Legacy(receipt.with_bloom())
        } else {
            ReceiptEnvelope::Eip1559(receipt.with_bloom())
        }
    };
    transactions.map(receipt).collect()
}

/// A readable hash. It is never zero, because zero is the parent hash of a genesis block.
fn label(filling: u8, number: u64, fork: u64) -> B256 {
    let mut hash = B256::repeat_byte(filling);
    hash[..8].copy_from_slice(&number.to_be_bytes());
    hash[8..16].copy_from_slice(&fork.to_be_bytes());
    hash
}

fn u64_at(hash: &[u8; 32], at: usize) -> u64 {
    u64::from_be_bytes(hash[at..at + 8].try_into().expect("eight bytes"))
}
