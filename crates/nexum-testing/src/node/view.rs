//! The chain as one node shows it.

use serde_json::Value;

use super::answer::Answer;
use super::block::Block;
use super::chain::{Chain, Finality};

/// How a node stands to the chain that it serves.
pub(super) struct Standpoint {
    /// How many blocks it is behind.
    pub(super) lag: u64,
    /// The chain as it was when the node stopped following it.
    pub(super) frozen: Option<Chain>,
    /// The newest block that it has had for its head: what comes after it is announced.
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
                head: chain.head().number.saturating_sub(self.lag),
            },
        }
    }

    /// Follows the chain to the head that can be seen of it; returns the blocks that are new on the way there.
    pub(super) fn follow<'a>(&mut self, chain: &'a Chain) -> &'a [Block] {
        if self.frozen.is_some() {
            return &[];
        }
        let mut known = &self.tip;
        while !chain.is_canonical(known) {
            known = chain.by_hash(&known.parent_hash).expect("the chain has every parent");
        }
        let first = usize::try_from(known.number).expect("a block of this chain") + 1;
        let head = usize::try_from(self.view(chain).head).expect("a block of this chain");
        let new = chain.canonical().get(first..=head).unwrap_or_default();
        self.tip = new.last().unwrap_or(known).clone();
        new
    }
}

/// What can be read from a node: the canonical blocks up to its head, and what it knows of others.
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

    /// The canonical blocks with these numbers, as far as there are any.
    pub(super) fn range(self, first: u64, last: u64) -> &'a [Block] {
        let bounds = usize::try_from(first)
            .ok()
            .zip(usize::try_from(last.min(self.head)).ok());
        bounds
            .and_then(|(first, last)| self.chain.canonical().get(first..=last))
            .unwrap_or_default()
    }

    /// The number that a tag or a quantity stands for, whether or not there is such a block.
    pub(super) fn number(self, id: &Value) -> Result<u64, Answer> {
        let finality = self.chain.finality();
        let behind = |depth: fn(Finality) -> u64| finality.map_or(0, |by| self.head.saturating_sub(depth(by)));
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
