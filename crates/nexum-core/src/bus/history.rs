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
    /// Oldest first, each the parent of the next. A number between two of them has no block.
    canonical: VecDeque<Position>,
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
        self.orphans.remove(&position.hash);
        self.canonical.push_back(position);
        if self.canonical.len() > CANONICAL_MAX {
            self.canonical.pop_front();
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
            self.canonical.push_back(to);
        }
        while self.lost.len() > ORPHANS_MAX {
            if let Some(oldest) = self.lost.pop_front() {
                self.orphans.remove(&oldest);
            }
        }
    }

    pub(super) fn head(&self) -> Option<Position> {
        self.canonical.back().copied()
    }

    /// All canonical blocks below this number.
    pub(super) fn below(&self, number: u64) -> impl Iterator<Item = Position> {
        self.canonical.range(..self.count_below(number)).copied()
    }

    /// The newest canonical block with at most this number. `None` if it is older than the history,
    /// or if the number is above the head.
    pub(super) fn at_or_below(&self, number: u64) -> Option<Position> {
        self.head().filter(|head| number <= head.number)?;
        let above = self.canonical.partition_point(|held| held.number <= number);
        self.canonical.get(above.checked_sub(1)?).copied()
    }

    /// The oldest canonical block with at least this number. `None` if the history cannot tell which
    /// one it is.
    pub(super) fn first_from(&self, number: u64) -> Option<Position> {
        let below = self.count_below(number);
        let first = *self.canonical.get(below)?;
        (below > 0 || first.number == number).then_some(first)
    }

    pub(super) fn hash_at(&self, number: u64) -> Option<BlockHash> {
        let newest = self.at_or_below(number)?;
        (newest.number == number).then_some(newest.hash)
    }

    /// The canonical block with this hash.
    pub(super) fn find(&self, hash: &BlockHash) -> Option<Position> {
        self.canonical.iter().rev().find(|held| held.hash == *hash).copied()
    }

    /// The number of the newest block that `count` blocks follow. Below the history, every number
    /// counts as a block. `None` if the chain has no such block.
    pub(super) fn followed_by(&self, count: u64) -> Option<u64> {
        let followers = self.canonical.len().checked_sub(1)? as u64;
        match followers.checked_sub(count) {
            Some(index) => Some(self.canonical.get(usize::try_from(index).ok()?)?.number),
            None => self.canonical.front()?.number.checked_sub(count - followers),
        }
    }

    fn count_below(&self, number: u64) -> usize {
        self.canonical.partition_point(|held| held.number < number)
    }

    /// The fork point of a lost block. The fork point may have been lost since.
    pub(super) fn fork_of(&self, lost: &Position) -> Option<Position> {
        self.orphans.get(&lost.hash).copied()
    }
}
