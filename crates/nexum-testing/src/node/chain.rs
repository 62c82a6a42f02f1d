//! The model of a chain that a scripted node serves.

use std::collections::HashMap;

use serde_json::{Value, json};

/// The timestamp of every model chain's genesis block, in seconds.
const GENESIS_TIMESTAMP_S: u64 = 1_700_000_000;

/// The time between two blocks.
const BLOCK_TIME_S: u64 = 12;

/// A block of a model chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its number.
    pub number: u64,
    /// Its hash: unique, and readable in a test's output, as it begins with the number and the fork.
    pub hash: [u8; 32],
    /// The hash of the block before.
    pub parent_hash: [u8; 32],
    /// When it was made, in seconds since the Unix epoch.
    pub timestamp_s: u64,
    /// The bloom of its logs.
    pub logs_bloom: Vec<u8>,
}

impl Block {
    fn genesis() -> Self {
        Self {
            number: 0,
            hash: hash(0, 0),
            parent_hash: [0; 32],
            timestamp_s: GENESIS_TIMESTAMP_S,
            logs_bloom: vec![0; 256],
        }
    }

    fn child(&self, fork: u64) -> Self {
        let number = self.number + 1;
        Self {
            number,
            hash: hash(number, fork),
            parent_hash: self.hash,
            timestamp_s: self.timestamp_s + BLOCK_TIME_S,
            logs_bloom: vec![0; 256],
        }
    }

    /// The block as JSON-RPC shows it, without transactions.
    pub fn to_json(&self) -> Value {
        let zero = hex(&[0; 32]);
        json!({
            "number": format!("{:#x}", self.number),
            "hash": hex(&self.hash),
            "parentHash": hex(&self.parent_hash),
            "timestamp": format!("{:#x}", self.timestamp_s),
            "logsBloom": hex(&self.logs_bloom),
            "sha3Uncles": zero, "stateRoot": zero, "transactionsRoot": zero, "receiptsRoot": zero, "mixHash": zero,
            "miner": hex(&[0; 20]), "nonce": hex(&[0; 8]), "extraData": "0x", "difficulty": "0x0", "size": "0x220",
            "gasLimit": "0x1c9c380", "gasUsed": "0x0", "baseFeePerGas": "0x7",
            "transactions": [], "uncles": [],
        })
    }
}

/// A chain with a history of forks. The blocks that a reorg has replaced can still be read by their hash, as with real nodes.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Never empty; the index is the number.
    canonical: Vec<Block>,
    by_hash: HashMap<[u8; 32], Block>,
    forks: u64,
}

impl Chain {
    /// A chain of a genesis block.
    pub(super) fn new() -> Self {
        let genesis = Block::genesis();
        Self {
            by_hash: HashMap::from([(genesis.hash, genesis.clone())]),
            canonical: vec![genesis],
            forks: 0,
        }
    }

    /// The newest block.
    pub fn head(&self) -> &Block {
        self.canonical.last().expect("a chain has a genesis block")
    }

    /// The canonical blocks, genesis first.
    pub fn canonical(&self) -> &[Block] {
        &self.canonical
    }

    /// The canonical block with this number.
    pub fn by_number(&self, number: u64) -> Option<&Block> {
        self.canonical.get(usize::try_from(number).ok()?)
    }

    /// The block with this hash, canonical or not.
    pub fn by_hash(&self, hash: &[u8; 32]) -> Option<&Block> {
        self.by_hash.get(hash)
    }

    pub(super) fn mine(&mut self, blocks: u64) -> Vec<Block> {
        let mined: Vec<Block> = std::iter::successors(Some(self.head().child(self.forks)), |block| {
            Some(block.child(self.forks))
        })
        .take(usize::try_from(blocks).expect("a chain that fits into memory"))
        .collect();
        self.by_hash
            .extend(mined.iter().map(|block| (block.hash, block.clone())));
        self.canonical.extend_from_slice(&mined);
        mined
    }

    pub(super) fn reorg(&mut self, depth: u64, new_blocks: u64) -> Vec<Block> {
        let depth = usize::try_from(depth).expect("a depth that fits into memory");
        assert!(
            depth < self.canonical.len(),
            "a reorg of depth {depth} would replace the genesis block"
        );
        self.canonical.truncate(self.canonical.len() - depth);
        self.forks += 1;
        self.mine(new_blocks)
    }
}

/// Never zero, because a genesis block's parent is.
fn hash(number: u64, fork: u64) -> [u8; 32] {
    let mut hash = [0xb1; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    hash[8..16].copy_from_slice(&fork.to_be_bytes());
    hash
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
