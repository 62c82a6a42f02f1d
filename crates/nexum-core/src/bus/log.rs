//! The log of a topic: a bounded list of entries. The source appends, and runners read at their own
//! pace.

mod entry;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nexum_config::log_filter::LogFilter;
use nexum_config::topic::ChainTopic;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::entry::{LogEntry, Origin, Routed, Subscriber};
use super::history::History;
use super::router::{Router, SubscriberId};
use crate::event::{Advance, BlockHash, Position};
use crate::state::HeaderStore;

/// The most entries of a log: about three and a half hours of twelve-second blocks, or half an hour
/// of two-second blocks, in about 300 kB without contract logs. A runner that is further behind
/// reads the gap from the source.
pub(crate) const LOG_ENTRIES_MAX: usize = 1_024;

/// The most bytes of a log's entries, including contract logs: room for the logs of some hundred
/// full blocks, and small enough for a dozen chains in one process. The newest entry stays at any
/// size.
pub(crate) const LOG_BYTES_MAX: usize = 64 << 20;

/// The result of a read at a position of the log.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadResult {
    /// The entry.
    Entry(LogEntry),
    /// The log has no entry at this position yet.
    Pending,
    /// The log no longer has the entry.
    Gone,
    /// The source gave up for this reason, and appends no more entries.
    Closed(Arc<str>),
}

/// How a reader continues after its last block.
#[derive(Debug, PartialEq, Eq)]
pub enum Resume {
    /// Continue at this sequence number.
    At(u64),
    /// The log is empty, or ends before the block: ask again after the next append.
    Pending,
    /// First replay the blocks of these numbers from the source, then ask again.
    Replay(RangeInclusive<u64>),
    /// The block was reorganised away: first revert to this one.
    Revert(Position),
    /// The log has this block in place of the last one or below it, and does not know the common
    /// ancestor.
    Diverged(Position),
    /// The source gave up for this reason, and appends no more entries.
    Closed(Arc<str>),
}

/// The recent history of one topic. One source appends to it, and any number of runners read it.
#[derive(Debug)]
pub struct EventLog {
    topic: ChainTopic,
    /// The stored headers of the log's blocks. `None` if another log of the chain stores them.
    headers: Option<HeaderStore>,
    inner: Mutex<Inner>,
    /// The number of times that a subscriber added filters to one of the chain's logs.
    revision: Arc<AtomicU64>,
    /// Separate from `inner`, so that a woken runner can read while the log still wakes the others.
    wakers: Mutex<Vec<(SubscriberId, Arc<Notify>)>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The sequence number of the first entry in the log.
    first: u64,
    entries: VecDeque<LogEntry>,
    bytes: usize,
    history: History,
    /// The number of the first block ever appended.
    origin: Option<u64>,
    router: Router,
    subscribers: SubscriberId,
    closed: Option<Arc<str>>,
}

impl EventLog {
    /// Creates an empty log.
    pub fn new(topic: ChainTopic) -> Self {
        Self::of_chain(topic, Arc::default())
    }

    /// Creates an empty log of a chain, whose logs share the revision of their filters.
    pub(crate) fn of_chain(topic: ChainTopic, revision: Arc<AtomicU64>) -> Self {
        Self {
            topic,
            headers: None,
            inner: Mutex::default(),
            revision,
            wakers: Mutex::default(),
        }
    }

    /// Stores the headers of this log's blocks.
    pub(crate) fn with_headers(self, headers: HeaderStore) -> Self {
        Self {
            headers: Some(headers),
            ..self
        }
    }

    /// The log's topic.
    pub fn topic(&self) -> ChainTopic {
        self.topic
    }

    /// Adds a reader. Each append notifies `waker`, and the log routes the contract logs that match
    /// one of `filters` to the returned subscriber, until [`unsubscribe`](Self::unsubscribe).
    pub fn subscribe(&self, waker: Arc<Notify>, filters: impl IntoIterator<Item = LogFilter>) -> Subscriber {
        let mut inner = self.inner.lock();
        let id = inner.subscribers;
        inner.subscribers += 1;
        filters.into_iter().for_each(|filter| inner.router.add(id, filter));
        // The revision grows after the filters are added and before the next append, so a source
        // that reads this revision also reads the filters.
        let since = self.revision.fetch_add(1, Ordering::SeqCst) + 1;
        drop(inner);
        self.wakers.lock().push((id, waker));
        Subscriber { id, since }
    }

    /// Removes a reader.
    pub fn unsubscribe(&self, subscriber: Subscriber) {
        self.wakers.lock().retain(|(id, _)| *id != subscriber.id);
        self.inner.lock().router.remove(subscriber.id);
    }

    /// All filters of all subscribers, without duplicates.
    pub fn filters(&self) -> Vec<LogFilter> {
        let mut filters: Vec<_> = self.inner.lock().router.filters().cloned().collect();
        filters.sort_unstable();
        filters.dedup();
        filters
    }

    /// Adds known blocks from before the first append. Each is the child of the one before it, and
    /// the last is the parent of the first appended block.
    ///
    /// Only the source calls this, once. With these blocks, a deep reorganisation finds the fork
    /// point for readers of older blocks.
    pub fn seed(&self, known: &[Position]) {
        if let Some(headers) = &self.headers {
            headers.seed(known);
        }
        self.inner.lock().history.seed(known);
    }

    /// Appends a block. Only the source calls this, after a check that the block extends the
    /// [`head`](Self::head).
    pub fn append(&self, block: Arc<Advance>) {
        self.append_from(None, block);
    }

    /// As [`append`](Self::append), for a block that came in a known way.
    pub fn append_from(&self, origin: Option<Arc<Origin>>, block: Arc<Advance>) {
        // The header comes before the entry, so that every durable cursor has the header of its
        // block in the store.
        if let Some(headers) = &self.headers {
            headers.append(block.position, Some(block.parent_hash));
        }
        let mut inner = self.inner.lock();
        let routes = inner.router.route(&block.logs);
        inner.history.append(block.position);
        inner.origin.get_or_insert(block.position.number);
        let revision = block.revision.min(self.revision.load(Ordering::SeqCst));
        let routed = Routed {
            block,
            at: Instant::now(),
            origin,
            routes,
            revision,
        };
        inner.push(LogEntry::Advance(Arc::new(routed)));
        drop(inner);
        self.wake();
    }

    /// Reverts every block after `to`. Only the source calls this, with a block that is on the old
    /// chain and on the new one.
    pub fn revert(&self, to: Position) {
        let mut inner = self.inner.lock();
        inner.history.revert(to);
        inner.push(LogEntry::Revert(to));
        drop(inner);
        self.wake();
    }

    /// Closes the log with a reason: the source appends no more entries. Readers receive the reason
    /// after the last entry.
    pub fn close(&self, reason: &str) {
        self.inner.lock().closed = Some(reason.into());
        self.wake();
    }

    fn wake(&self) {
        self.wakers.lock().iter().for_each(|(_, waker)| waker.notify_one());
    }

    /// The newest block of the topic that the log knows.
    pub fn head(&self) -> Option<Position> {
        self.inner.lock().history.head()
    }

    /// The number of the first block ever appended.
    pub fn origin(&self) -> Option<u64> {
        self.inner.lock().origin
    }

    /// The hash of the canonical block of this number, if the log still knows it.
    pub fn hash_at(&self, number: u64) -> Option<BlockHash> {
        self.inner.lock().history.hash_at(number)
    }

    /// The newest canonical block with at most this number. `None` if the log no longer knows it, or
    /// if the number is above the head.
    pub fn at_or_below(&self, number: u64) -> Option<Position> {
        self.inner.lock().history.at_or_below(number)
    }

    /// The known canonical blocks below this number, oldest first.
    pub fn below(&self, number: u64) -> Vec<Position> {
        self.inner.lock().history.below(number).collect()
    }

    /// The canonical block with this hash, if the log still knows it.
    pub fn find(&self, hash: &BlockHash) -> Option<Position> {
        self.inner.lock().history.find(hash)
    }

    /// The number of the newest block that `count` blocks follow. Below the blocks that the log
    /// knows, every number counts as a block. `None` if the chain has no such block.
    pub fn followed_by(&self, count: u64) -> Option<u64> {
        self.inner.lock().history.followed_by(count)
    }

    /// The canonical blocks of these numbers that the log still has, oldest first.
    pub fn blocks(&self, numbers: RangeInclusive<u64>) -> Vec<Arc<Advance>> {
        let inner = self.inner.lock();
        let newest_first = inner.entries.iter().rev().filter_map(|entry| match entry {
            LogEntry::Advance(routed) => Some(&routed.block),
            LogEntry::Revert(_) => None,
        });
        let mut blocks: Vec<_> = newest_first
            .filter(|block| numbers.contains(&block.position.number))
            .filter(|block| inner.history.hash_at(block.position.number) == Some(block.position.hash))
            .cloned()
            .collect();
        blocks.reverse();
        blocks.dedup_by_key(|block| block.position.number);
        blocks
    }

    /// Reads the entry with this sequence number.
    pub fn read(&self, sequence: u64) -> ReadResult {
        let inner = self.inner.lock();
        let Some(offset) = sequence.checked_sub(inner.first) else {
            return ReadResult::Gone;
        };
        let entry = usize::try_from(offset)
            .ok()
            .and_then(|offset| inner.entries.get(offset));
        match (entry, &inner.closed) {
            (Some(entry), _) => ReadResult::Entry(entry.clone()),
            (None, Some(reason)) => ReadResult::Closed(reason.clone()),
            (None, None) => ReadResult::Pending,
        }
    }

    /// How a reader continues after the block `last`.
    pub fn resume(&self, last: Position) -> Resume {
        let inner = self.inner.lock();
        if let Some(fork) = inner.history.fork_of(&last) {
            return Resume::Revert(fork);
        }
        let held = inner.entries.iter().enumerate().rev().find(|(_, entry)| match entry {
            LogEntry::Advance(routed) => routed.block.position == last,
            LogEntry::Revert(to) => *to == last,
        });
        if let Some((index, _)) = held {
            return Resume::At(inner.first + index as u64 + 1);
        }
        let canonical = inner.history.at_or_below(last.number);
        if let Some(canonical) = canonical.filter(|canonical| *canonical != last) {
            return Resume::Diverged(canonical);
        }
        let next = last.number.saturating_add(1);
        inner
            .from(next, |oldest| oldest.parent_hash == last.hash)
            .unwrap_or_else(|| {
                let hash = inner.history.hash_at(last.number).unwrap_or_default();
                Resume::Diverged(Position { hash, ..last })
            })
    }

    /// How a reader starts with the first block from this number on.
    pub fn begin(&self, number: u64) -> Resume {
        let inner = self.inner.lock();
        let first = inner.history.first_from(number);
        let held = inner.entries.iter().enumerate().rev().find(|(_, entry)| match entry {
            LogEntry::Advance(routed) => Some(routed.block.position) == first,
            LogEntry::Revert(_) => false,
        });
        match held {
            Some((index, _)) => Resume::At(inner.first + index as u64),
            None => inner.from(number, |_| false).unwrap_or(Resume::Pending),
        }
    }
}

impl Inner {
    fn push(&mut self, entry: LogEntry) {
        self.bytes += entry.size_bytes();
        self.entries.push_back(entry);
        while self.entries.len() > LOG_ENTRIES_MAX || (self.bytes > LOG_BYTES_MAX && self.entries.len() > 1) {
            let Some(gone) = self.entries.pop_front() else { return };
            self.bytes -= gone.size_bytes();
            self.first += 1;
        }
    }

    /// How to continue with the first block from the number `next` on, which is not in the log or is
    /// the oldest one in it. `follows` tells whether the oldest block in the log is the child of the
    /// reader's last block.
    fn from(&self, next: u64, follows: impl Fn(&Advance) -> bool) -> Option<Resume> {
        let oldest = self.entries.iter().find_map(|entry| match entry {
            LogEntry::Advance(routed) => Some(&routed.block),
            LogEntry::Revert(_) => None,
        });
        let head = self.history.head().map(|head| head.number);
        Some(match (oldest, head, &self.closed) {
            (Some(oldest), ..) if follows(oldest) => Resume::At(self.first),
            (Some(oldest), ..) if next < oldest.position.number => Resume::Replay(next..=oldest.position.number - 1),
            // The log has only reverts.
            (None, Some(head), _) if next <= head => Resume::Replay(next..=head),
            (_, head, Some(reason)) if head.is_none_or(|head| next > head) => Resume::Closed(reason.clone()),
            (_, head, None) if head.is_none_or(|head| next > head) => Resume::Pending,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
