//! The model chain that scripted nodes serve.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::block::Block;
use super::log::LogSpec;

/// A chain with a history of forks. As on real nodes, replaced blocks stay readable by hash.
///
/// Clones are independent of each other.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Never empty, in the order of the numbers.
    canonical: Vec<Block>,
    /// The numbers between the head and the next block, which have no block.
    skipped: u64,
    orphans: HashMap<[u8; 32], Block>,
    /// The fork of the next blocks.
    fork: u64,
    /// The number of forks in this chain and its clones, so that two of them never create equal
    /// blocks.
    forks: Arc<AtomicU64>,
    logs: Logs,
    finality: Option<Finality>,
}

/// The distance of the tags from the head, in blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finality {
    pub(super) safe_depth: u64,
    pub(super) finalized_depth: u64,
}

/// A function from a future block to its logs.
#[derive(Clone)]
struct Logs(Arc<dyn Fn(u64, u64) -> Vec<LogSpec> + Send + Sync>);

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logs")
    }
}

impl Chain {
    /// A chain with only a genesis block.
    pub(super) fn new() -> Self {
        Self {
            canonical: vec![Block::genesis()],
            skipped: 0,
            orphans: HashMap::new(),
            fork: 0,
            forks: Arc::default(),
            logs: Logs(Arc::new(|_, _| Vec::new())),
            finality: None,
        }
    }

    /// The newest block.
    pub fn head(&self) -> &Block {
        self.canonical.last().expect("a chain has a genesis block")
    }

    /// The block that this many blocks follow, or the genesis block.
    pub(super) fn behind_head(&self, blocks: u64) -> &Block {
        let blocks = usize::try_from(blocks).unwrap_or(usize::MAX);
        &self.canonical[(self.canonical.len() - 1).saturating_sub(blocks)]
    }

    /// The canonical blocks, genesis first.
    pub fn canonical(&self) -> &[Block] {
        &self.canonical
    }

    /// The canonical block with this number.
    pub fn by_number(&self, number: u64) -> Option<&Block> {
        let index = self.canonical.binary_search_by_key(&number, |block| block.number);
        index.ok().map(|index| &self.canonical[index])
    }

    /// The canonical blocks with these numbers.
    pub fn range(&self, numbers: RangeInclusive<u64>) -> &[Block] {
        let below = |number: u64| self.canonical.partition_point(|block| block.number < number);
        let end = numbers.end().checked_add(1).map_or(self.canonical.len(), below);
        self.canonical.get(below(*numbers.start())..end).unwrap_or_default()
    }

    /// The block with this hash, canonical or replaced.
    pub fn by_hash(&self, hash: &[u8; 32]) -> Option<&Block> {
        self.by_number(Block::number_in(hash))
            .filter(|block| block.hash == *hash)
            .or_else(|| self.orphans.get(hash))
    }

    /// The chain without the blocks above `number`, as a node without those blocks sees it.
    #[must_use]
    pub fn up_to(&self, number: u64) -> Self {
        Self {
            canonical: self.range(0..=number).to_vec(),
            ..self.clone()
        }
    }

    pub(super) fn is_canonical(&self, block: &Block) -> bool {
        self.by_number(block.number)
            .is_some_and(|other| other.hash == block.hash)
    }

    pub(super) fn finality(&self) -> Option<Finality> {
        self.finality
    }

    pub(super) fn set_finality(&mut self, finality: Finality) {
        self.finality = Some(finality);
    }

    pub(super) fn set_logs(&mut self, logs: impl Fn(u64, u64) -> Vec<LogSpec> + Send + Sync + 'static) {
        self.logs = Logs(Arc::new(logs));
    }

    /// Starts a fork: later blocks differ from the blocks of every other fork.
    pub(super) fn begin_fork(&mut self) {
        self.fork = self.forks.fetch_add(1, Ordering::Relaxed) + 1;
    }

    pub(super) fn skip(&mut self, numbers: u64) {
        self.skipped += numbers;
    }

    pub(super) fn mine(&mut self, blocks: u64) -> Vec<Block> {
        let mut mined = Vec::with_capacity(usize::try_from(blocks).expect("a chain that fits into memory"));
        for _ in 0..blocks {
            let skipped = std::mem::take(&mut self.skipped);
            let parent = mined.last().unwrap_or_else(|| self.head());
            mined.push(parent.child(skipped, self.fork, &*self.logs.0));
        }
        self.canonical.extend_from_slice(&mined);
        mined
    }

    pub(super) fn reorg(&mut self, depth: u64, new_blocks: u64) -> Vec<Block> {
        let depth = usize::try_from(depth).expect("a depth that fits into memory");
        assert!(
            depth < self.canonical.len(),
            "a reorg of depth {depth} would replace the genesis block"
        );
        let replaced = self.canonical.drain(self.canonical.len() - depth..);
        self.orphans.extend(replaced.map(|block| (block.hash, block)));
        self.begin_fork();
        self.mine(new_blocks)
    }
}
