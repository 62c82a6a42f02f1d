//! The canonical blocks of a chain, and the fork points of the blocks that were reorganised away.

use std::collections::{HashMap, VecDeque};

use crate::event::{BlockHash, Position};

/// The most canonical blocks in the history: more than the deepest reorganisation, and as many as a
/// log has entries.
const CANONICAL_MAX: usize = 1_024;

/// The most reorganised blocks in the history, in about 400 kB. Chains lose a few blocks per day,
/// so a module that hangs for weeks still finds the fork point of its last block.
const ORPHANS_MAX: usize = 4_096;

/// The recent past of a chain. It is longer than the log, so that a reader that has fallen behind
/// finds the common ancestor.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The number of the first hash in `canonical`.
    first: u64,
    canonical: VecDeque<BlockHash>,
    /// The fork point of each lost block, at the time of its loss.
    orphans: HashMap<BlockHash, Position>,
    /// The keys of `orphans`, oldest first.
    lost: VecDeque<BlockHash>,
}

impl History {
    /// Adds known blocks from before the first one.
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

    /// Reverts the blocks after `to`.
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

    /// The fork point of a lost block. The fork point may have been lost since.
    pub(super) fn fork_of(&self, lost: &Position) -> Option<Position> {
        self.orphans.get(&lost.hash).copied()
    }
}
