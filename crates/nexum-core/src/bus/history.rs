//! Which blocks are canonical, and where those that no longer are left the chain.

use std::collections::{HashMap, VecDeque};

use crate::event::{BlockHash, Position};

/// How many canonical blocks are remembered: more than a reorganisation can take back, and as many as a log has entries.
const CANONICAL_MAX: usize = 1_024;

/// How many blocks are remembered that were reorganised away. Chains lose a few blocks a day, so that a module that hangs for
/// weeks still learns where its last block left the chain; in about 400 kB.
const ORPHANS_MAX: usize = 4_096;

/// The recent past of a chain. It outlasts the log's entries, so that a reader that has fallen behind finds back.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The number of the first hash in `canonical`.
    first: u64,
    canonical: VecDeque<BlockHash>,
    /// Where each lost block's chain left the canonical one when it was lost.
    orphans: HashMap<BlockHash, Position>,
    /// The keys of `orphans`, oldest first.
    lost: VecDeque<BlockHash>,
}

impl History {
    /// Makes blocks known from before the first one.
    pub(super) fn seed(&mut self, known: &[Position]) {
        let surplus = known.len().saturating_sub(CANONICAL_MAX);
        known[surplus..].iter().for_each(|position| self.append(*position));
    }

    /// Adds the block after the head.
    pub(super) fn append(&mut self, position: Position) {
        if self.canonical.is_empty() {
            self.first = position.number;
        }
        self.orphans.remove(&position.hash);
        self.canonical.push_back(position.hash);
        if self.canonical.len() > CANONICAL_MAX {
            self.canonical.pop_front();
            self.first += 1;
        }
    }

    /// Takes back what is after `to`.
    pub(super) fn revert(&mut self, to: Position) {
        while let Some(head) = self.head().filter(|head| head.number > to.number) {
            self.canonical.pop_back();
            if self.orphans.insert(head.hash, to).is_none() {
                self.lost.push_back(head.hash);
            }
        }
        if self.canonical.is_empty() {
            self.first = to.number;
            self.canonical.push_back(to.hash);
        }
        while self.lost.len() > ORPHANS_MAX {
            if let Some(oldest) = self.lost.pop_front() {
                self.orphans.remove(&oldest);
            }
        }
    }

    pub(super) fn head(&self) -> Option<Position> {
        let hash = *self.canonical.back()?;
        Some(Position {
            number: self.first + self.canonical.len() as u64 - 1,
            hash,
        })
    }

    pub(super) fn hash_at(&self, number: u64) -> Option<BlockHash> {
        let offset = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.canonical.get(offset).copied()
    }

    /// Where the chain of a lost block left the canonical one. That place may have been lost since.
    pub(super) fn fork_of(&self, lost: &Position) -> Option<Position> {
        self.orphans.get(&lost.hash).copied()
    }
}
