//! The bus: one bounded log of entries per topic, that sources append to and runners read at their own pace.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nexum_config::log_filter::LogFilter;
use nexum_config::topic::ChainTopic;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::history::History;
use super::router::{Router, Routes, SubscriberId};
use crate::event::{Advance, BlockHash, Position};
use crate::state::Headers;

/// How many entries a log holds: about three and a half hours of twelve-second blocks, or half an hour of two-second ones,
/// in some 300 kB without logs. A runner that is further behind reads the gap from the source.
pub(crate) const LOG_ENTRIES_MAX: usize = 1_024;

/// How many bytes a log's entries take, logs of contracts included: room for the logs of some hundred full blocks, and little
/// enough for a dozen chains in one process. The newest entry is held whatever its size.
pub(crate) const LOG_BYTES_MAX: usize = 64 << 20;

/// One step of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The chain grew by a block.
    Advance(Arc<Routed>),
    /// The blocks after this position are no longer part of the chain.
    Revert(Position),
}

/// A block, and whose its logs are.
#[derive(Debug, PartialEq, Eq)]
pub struct Routed {
    /// The block.
    pub block: Arc<Advance>,
    /// When it was appended.
    pub at: Instant,
    routes: Routes,
    /// Those who subscribed later are not in `routes`, or their logs are not in the block.
    revision: u64,
}

impl Routed {
    /// The places in the block's list of the logs that a subscriber asked for, in order. None: the block was read before anybody
    /// knew that it wants logs.
    pub fn logs_of(&self, subscriber: Subscriber) -> Option<&[u32]> {
        if self.revision < subscriber.since {
            return None;
        }
        let found = self.routes.binary_search_by_key(&subscriber.id, |(id, _)| *id);
        Some(found.map_or(&[], |index| &self.routes[index].1))
    }
}

/// Someone who reads a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber {
    id: SubscriberId,
    /// The first revision of the chain's filters that has its own.
    since: u64,
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
    /// Nothing more will be appended: why the source gave up.
    Closed(Arc<str>),
}

/// How a reader whose last block is known goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Resume {
    /// Read on at this sequence number.
    At(u64),
    /// The log is empty, or ends before that block: ask again after the next append.
    Pending,
    /// First replay these blocks from the source, then ask again.
    Replay(RangeInclusive<u64>),
    /// The block was reorganised away: go back to this one first.
    Revert(Position),
    /// The log knows another block in that one's place, and not how they hang together.
    Diverged(Position),
    /// Nothing more will be appended: why the source gave up.
    Closed(Arc<str>),
}

/// The recent history of one topic. Shared by one source, which appends, and any number of runners.
#[derive(Debug)]
pub struct EventLog {
    topic: ChainTopic,
    /// Where its blocks are remembered beyond the process; none for a log whose blocks another one has too.
    headers: Option<Headers>,
    inner: Mutex<Inner>,
    /// How often a filter was added to one of the chain's logs.
    revision: Arc<AtomicU64>,
    /// Apart from `inner`, so that a runner which has been woken can read while the others are still being woken.
    wakers: Mutex<Vec<(SubscriberId, Arc<Notify>)>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The sequence number of the first entry held.
    first: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
    history: History,
    /// The number of the first block ever appended.
    origin: Option<u64>,
    router: Router,
    subscribers: SubscriberId,
    closed: Option<Arc<str>>,
}

impl EventLog {
    /// An empty log.
    pub fn new(topic: ChainTopic) -> Self {
        Self::of_chain(topic, Arc::default())
    }

    /// An empty log of a chain whose logs share this count of changes of their filters.
    pub(crate) fn of_chain(topic: ChainTopic, revision: Arc<AtomicU64>) -> Self {
        Self {
            topic,
            headers: None,
            inner: Mutex::default(),
            revision,
            wakers: Mutex::default(),
        }
    }

    /// This log, whose blocks are remembered beyond the process.
    pub(crate) fn with_headers(self, headers: Headers) -> Self {
        Self {
            headers: Some(headers),
            ..self
        }
    }

    /// What it is about.
    pub fn topic(&self) -> ChainTopic {
        self.topic
    }

    /// Takes note of someone who reads this log: `waker` is notified after each append, and the logs that match one of
    /// `filters` are routed to the subscriber that this returns, until [`unsubscribe`](Self::unsubscribe).
    pub fn subscribe(&self, waker: Arc<Notify>, filters: impl IntoIterator<Item = LogFilter>) -> Subscriber {
        let mut inner = self.inner.lock();
        let id = inner.subscribers;
        inner.subscribers += 1;
        filters.into_iter().for_each(|filter| inner.router.add(id, filter));
        // After the filters and before the next append: whoever sees this revision has them.
        let since = self.revision.fetch_add(1, Ordering::SeqCst) + 1;
        drop(inner);
        self.wakers.lock().push((id, waker));
        Subscriber { id, since }
    }

    /// Forgets someone who read this log.
    pub fn unsubscribe(&self, subscriber: Subscriber) {
        self.wakers.lock().retain(|(id, _)| *id != subscriber.id);
        self.inner.lock().router.remove(subscriber.id);
    }

    /// Every filter of every subscriber, each once.
    pub fn filters(&self) -> Vec<LogFilter> {
        let mut filters: Vec<_> = self.inner.lock().router.filters().cloned().collect();
        filters.sort_unstable();
        filters.dedup();
        filters
    }

    /// Makes blocks known that came before the first that is appended: each the child of the one before, the last the parent of
    /// that first one. Called by the source alone, once, so that a reorganisation which takes back more than was appended
    /// finds the block where it left the chain, for those who have read the past.
    pub fn seed(&self, known: &[Position]) {
        if let Some(headers) = &self.headers {
            headers.seed(known);
        }
        self.inner.lock().history.seed(known);
    }

    /// Appends a block. Called by the source alone, which has checked that it extends the [`head`](Self::head).
    pub fn append(&self, block: Arc<Advance>) {
        // Before anyone can read it, so that no cursor is ever durable whose block is not.
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
            routes,
            revision,
        };
        inner.push(Entry::Advance(Arc::new(routed)));
        drop(inner);
        self.wake();
    }

    /// Takes back every block after `to`. Called by the source alone, with a block that it found on the old chain and the
    /// new one.
    pub fn revert(&self, to: Position) {
        let mut inner = self.inner.lock();
        inner.history.revert(to);
        inner.push(Entry::Revert(to));
        drop(inner);
        self.wake();
    }

    /// Says that nothing more will be appended, and why. Readers learn of it when they have read everything before.
    pub fn close(&self, reason: &str) {
        self.inner.lock().closed = Some(reason.into());
        self.wake();
    }

    fn wake(&self) {
        self.wakers.lock().iter().for_each(|(_, waker)| waker.notify_one());
    }

    /// The newest block of the topic, as far as the log knows.
    pub fn head(&self) -> Option<Position> {
        self.inner.lock().history.head()
    }

    /// The number of the first block that was ever appended.
    pub fn origin(&self) -> Option<u64> {
        self.inner.lock().origin
    }

    /// The hash of the canonical block of this number, if the log still knows it.
    pub fn hash_at(&self, number: u64) -> Option<BlockHash> {
        self.inner.lock().history.hash_at(number)
    }

    /// The canonical block of this number, if the log still holds it.
    pub fn block_at(&self, number: u64) -> Option<Arc<Advance>> {
        let inner = self.inner.lock();
        let hash = inner.history.hash_at(number)?;
        let held = Position { number, hash };
        inner.entries.iter().rev().find_map(|entry| match entry {
            Entry::Advance(routed) if routed.block.position == held => Some(routed.block.clone()),
            _ => None,
        })
    }

    /// Reads the entry with this sequence number.
    pub fn read(&self, sequence: u64) -> Read {
        let inner = self.inner.lock();
        let Some(offset) = sequence.checked_sub(inner.first) else {
            return Read::Gone;
        };
        let entry = usize::try_from(offset)
            .ok()
            .and_then(|offset| inner.entries.get(offset));
        match (entry, &inner.closed) {
            (Some(entry), _) => Read::Entry(entry.clone()),
            (None, Some(reason)) => Read::Closed(reason.clone()),
            (None, None) => Read::Pending,
        }
    }

    /// How a reader that has handled the block `last` goes on.
    pub fn resume(&self, last: Position) -> Resume {
        let inner = self.inner.lock();
        if let Some(fork) = inner.history.fork_of(&last) {
            return Resume::Revert(fork);
        }
        let held = inner.entries.iter().enumerate().rev().find(|(_, entry)| match entry {
            Entry::Advance(routed) => routed.block.position == last,
            Entry::Revert(to) => *to == last,
        });
        if let Some((index, _)) = held {
            return Resume::At(inner.first + index as u64 + 1);
        }
        if let Some(hash) = inner.history.hash_at(last.number).filter(|hash| *hash != last.hash) {
            return Resume::Diverged(Position { hash, ..last });
        }
        let next = last.number.saturating_add(1);
        inner
            .from(next, |oldest| oldest.parent_hash == last.hash)
            .unwrap_or_else(|| {
                let hash = inner.history.hash_at(last.number).unwrap_or_default();
                Resume::Diverged(Position { hash, ..last })
            })
    }

    /// How a reader goes on that wants the block of this number next, whatever it had before.
    pub fn begin(&self, number: u64) -> Resume {
        let inner = self.inner.lock();
        let held = inner.entries.iter().enumerate().rev().find(|(_, entry)| match entry {
            Entry::Advance(routed) => routed.block.position.number == number,
            Entry::Revert(_) => false,
        });
        match held {
            Some((index, _)) => Resume::At(inner.first + index as u64),
            None => inner.from(number, |_| true).unwrap_or(Resume::Pending),
        }
    }
}

impl Inner {
    fn push(&mut self, entry: Entry) {
        self.bytes += entry.size_bytes();
        self.entries.push_back(entry);
        while self.entries.len() > LOG_ENTRIES_MAX || (self.bytes > LOG_BYTES_MAX && self.entries.len() > 1) {
            let Some(gone) = self.entries.pop_front() else { return };
            self.bytes -= gone.size_bytes();
            self.first += 1;
        }
    }

    /// How to go on with block `next`, which is not held, if `follows` says that the oldest block held may come after it.
    fn from(&self, next: u64, follows: impl Fn(&Advance) -> bool) -> Option<Resume> {
        let oldest = self.entries.iter().find_map(|entry| match entry {
            Entry::Advance(routed) => Some(&routed.block),
            Entry::Revert(_) => None,
        });
        let head = self.history.head().map(|head| head.number);
        Some(match (oldest, head, &self.closed) {
            (Some(oldest), ..) if next < oldest.position.number => Resume::Replay(next..=oldest.position.number - 1),
            (Some(oldest), ..) if next == oldest.position.number && follows(oldest) => Resume::At(self.first),
            // A log of reverts alone.
            (None, Some(head), _) if next <= head => Resume::Replay(next..=head),
            (_, head, Some(reason)) if head.is_none_or(|head| next > head) => Resume::Closed(reason.clone()),
            (_, head, None) if head.is_none_or(|head| next > head) => Resume::Pending,
            _ => return None,
        })
    }
}

impl Entry {
    fn size_bytes(&self) -> usize {
        match self {
            Self::Advance(routed) => size_of::<Self>() + routed.block.size_bytes(),
            Self::Revert(_) => size_of::<Self>(),
        }
    }
}
