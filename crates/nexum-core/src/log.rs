//! The bus: one bounded log of entries per chain, that sources append to and runners read at their own pace.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::event::{Advance, BlockHash, ChainId, Position};

/// How many entries a log holds: about three and a half hours of twelve-second blocks, or half an hour of two-second ones,
/// in some 300 kB. A runner that is further behind reads the gap from the source.
pub const LOG_ENTRIES_MAX: usize = 1_024;

/// One step of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The chain grew by a block.
    Advance(Arc<Advance>),
    /// The blocks after this position are no longer part of the chain.
    Revert(Position),
}

/// What a reader finds at a place of the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// The entry.
    Entry(Entry),
    /// Nothing has been appended there yet.
    Pending,
    /// The entry is no longer held.
    Gone,
}

/// How a reader whose last block is known goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Resume {
    /// Read on at this sequence number.
    At(u64),
    /// The log is empty: ask again after the next append.
    Pending,
    /// First replay these blocks from the source, then ask again.
    Replay(RangeInclusive<u64>),
    /// The log holds the numbers that would follow, but not on top of this block: it was reorganised away.
    Diverged,
}

/// The recent history of one chain. Shared by one source, which appends, and any number of runners.
#[derive(Debug)]
pub struct EventLog {
    chain_id: ChainId,
    inner: Mutex<Inner>,
    /// Apart from `inner`, so that a runner which has been woken can read while the others are still being woken.
    wakers: Mutex<Vec<Arc<Notify>>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The sequence number of the first entry held.
    first: u64,
    entries: VecDeque<Entry>,
    head: Option<Position>,
}

impl EventLog {
    /// An empty log.
    pub fn new(chain_id: ChainId) -> Self {
        Self {
            chain_id,
            inner: Mutex::default(),
            wakers: Mutex::default(),
        }
    }

    /// The chain that it is about.
    pub fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// Appends a block. Called by the source alone, which has checked that it extends the [`head`](Self::head).
    pub fn append(&self, advance: Arc<Advance>) {
        let position = advance.position;
        self.push(Entry::Advance(advance), position);
    }

    /// Takes back every block after `to`. Called by the source alone, with a block that it found on the old chain and the
    /// new one.
    pub fn revert(&self, to: Position) {
        self.push(Entry::Revert(to), to);
    }

    fn push(&self, entry: Entry, head: Position) {
        let mut inner = lock(&self.inner);
        if inner.entries.len() == LOG_ENTRIES_MAX {
            inner.entries.pop_front();
            inner.first += 1;
        }
        inner.entries.push_back(entry);
        inner.head = Some(head);
        drop(inner);
        lock(&self.wakers).iter().for_each(|waker| waker.notify_one());
    }

    /// The newest block of the chain, as far as the log knows.
    pub fn head(&self) -> Option<Position> {
        lock(&self.inner).head
    }

    /// The hash of the canonical block of this number, if the log still holds it.
    pub fn hash_at(&self, number: u64) -> Option<BlockHash> {
        let inner = lock(&self.inner);
        let mut below = u64::MAX;
        for entry in inner.entries.iter().rev() {
            match entry {
                Entry::Revert(to) if to.number == number && number <= below => return Some(to.hash),
                Entry::Revert(to) => below = below.min(to.number),
                Entry::Advance(block) if block.position.number == number && number <= below => {
                    return Some(block.position.hash);
                }
                Entry::Advance(_) => {}
            }
        }
        None
    }

    /// Reads the entry with this sequence number.
    pub fn read(&self, sequence: u64) -> Read {
        let inner = lock(&self.inner);
        let Some(offset) = sequence.checked_sub(inner.first) else {
            return Read::Gone;
        };
        let entry = usize::try_from(offset)
            .ok()
            .and_then(|offset| inner.entries.get(offset));
        entry.map_or(Read::Pending, |entry| Read::Entry(entry.clone()))
    }

    /// The sequence number of the oldest entry held, or of the next one where none is.
    pub fn first_sequence(&self) -> u64 {
        lock(&self.inner).first
    }

    /// The sequence number that the next entry will have: where a reader without a past begins.
    pub fn next_sequence(&self) -> u64 {
        let inner = lock(&self.inner);
        inner.first + inner.entries.len() as u64
    }

    /// Where a reader whose last block is `last` goes on.
    pub fn resume(&self, last: Position) -> Resume {
        let inner = lock(&self.inner);
        let held = inner.entries.iter().enumerate().rev().find(|(_, entry)| match entry {
            Entry::Advance(block) => block.position == last,
            Entry::Revert(to) => *to == last,
        });
        if let Some((index, _)) = held {
            return Resume::At(inner.first + index as u64 + 1);
        }
        let oldest = inner.entries.iter().find_map(|entry| match entry {
            Entry::Advance(block) => Some(block.position.number),
            Entry::Revert(_) => None,
        });
        let next = last.number.saturating_add(1);
        match oldest {
            None => Resume::Pending,
            Some(oldest) if next < oldest => Resume::Replay(next..=oldest - 1),
            Some(oldest) if next == oldest && inner.extends(last) => Resume::At(inner.first),
            Some(_) => Resume::Diverged,
        }
    }

    /// Has `waker` notified after each append, for as long as the log lives.
    pub fn wake(&self, waker: Arc<Notify>) {
        lock(&self.wakers).push(waker);
    }
}

/// Locks without minding a panic elsewhere: none of the calls made under these locks can leave half a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Whether the oldest block held has `last` as its parent.
    fn extends(&self, last: Position) -> bool {
        self.entries.iter().find_map(|entry| match entry {
            Entry::Advance(block) => Some(block.parent_hash == last.hash),
            Entry::Revert(_) => None,
        }) == Some(true)
    }
}
