//! One node's view of the chain.

use serde_json::Value;

use super::answer::Answer;
use super::block::Block;
use super::chain::{Chain, Finality};

/// The position of a node relative to the chain.
pub(super) struct Standpoint {
    /// The number of blocks that the node is behind.
    pub(super) lag: u64,
    /// The chain at the time when the node stopped following it.
    pub(super) frozen: Option<Chain>,
    /// The newest block that was the node's head. The node announces later blocks.
    tip: Block,
}

impl Standpoint {
    pub(super) fn new(chain: &Chain) -> Self {
        Self {
            lag: 0,
            frozen: None,
            tip: chain.head().clone(),
        }
    }

    pub(super) fn view<'a>(&'a self, chain: &'a Chain) -> View<'a> {
        match &self.frozen {
            Some(frozen) => View {
                chain: frozen,
                head: frozen.head().number,
            },
            None => View {
                chain,
                head: chain.behind_head(self.lag).number,
            },
        }
    }

    /// Follows the chain up to the visible head, and returns the blocks that are new since the last
    /// tip.
    pub(super) fn follow<'a>(&mut self, chain: &'a Chain) -> &'a [Block] {
        if self.frozen.is_some() {
            return &[];
        }
        let mut known = &self.tip;
        while !chain.is_canonical(known) {
            known = chain.by_hash(&known.parent_hash).expect("the chain has every parent");
        }
        let new = chain.range(known.number + 1..=self.view(chain).head);
        self.tip = new.last().unwrap_or(known).clone();
        new
    }
}

/// The readable part of a node: the canonical blocks up to its head, and replaced blocks by hash.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    chain: &'a Chain,
    head: u64,
}

impl<'a> View<'a> {
    pub(super) fn head(self) -> &'a Block {
        self.chain
            .by_number(self.head)
            .expect("the head is a block of the chain")
    }

    pub(super) fn by_number(self, number: u64) -> Option<&'a Block> {
        self.chain.by_number(number).filter(|_| number <= self.head)
    }

    pub(super) fn by_hash(self, hash: &[u8; 32]) -> Option<&'a Block> {
        self.chain.by_hash(hash).filter(|block| block.number <= self.head)
    }

    /// The canonical blocks in this range of numbers, as far as they exist.
    pub(super) fn range(self, first: u64, last: u64) -> &'a [Block] {
        self.chain.range(first..=last.min(self.head))
    }

    /// The number for a tag or a quantity. The block may not exist.
    pub(super) fn number(self, id: &Value) -> Result<u64, Answer> {
        let finality = self.chain.finality();
        let depth_of_head = (self.chain.canonical().len() - self.range(0, self.head).len()) as u64;
        let behind = |depth: fn(Finality) -> u64| {
            finality.map_or(0, |by| self.chain.behind_head(depth_of_head + depth(by)).number)
        };
        match id.as_str() {
            Some("latest" | "pending") => Ok(self.head),
            Some("safe") => Ok(behind(|by| by.safe_depth)),
            Some("finalized") => Ok(behind(|by| by.finalized_depth)),
            Some("earliest") => Ok(0),
            id => id
                .and_then(|id| u64::from_str_radix(id.strip_prefix("0x")?, 16).ok())
                .ok_or_else(|| Answer::error(-32_602, "invalid block number")),
        }
    }
}
