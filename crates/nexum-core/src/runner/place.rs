//! The position of a module in its topics, readable from any task.

use std::sync::Arc;

use metrics::Gauge;
use nexum_config::topic::{ChainTopic, ScheduleId};
use parking_lot::Mutex;

use crate::bus::log::EventLog;
use crate::event::Advance;
use crate::state::Progress;

/// The position of a module in one of its topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicPosition {
    /// In a chain.
    Chain(ChainPosition),
    /// In a schedule.
    Schedule(SchedulePosition),
}

/// The position of a module in a chain. A value that nexum does not know is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainPosition {
    /// The chain, and the finality of its blocks.
    pub topic: ChainTopic,
    /// The number of the last block that the module has handled, or that had no event for it.
    pub at: Option<u64>,
    /// The number of the newest block that nexum has read of the topic.
    pub head: Option<u64>,
    /// The number of blocks up to the head that the module has still to handle. `None` while the chain has trouble: nexum
    /// does not know the head then.
    pub behind: Option<u64>,
    /// The age of the module's state in the time of the chain: the difference between the timestamps
    /// of the blocks `head` and `at`, in milliseconds. 0 if no block is left. The clock of this
    /// machine has no part in it, so a quiet chain does not raise it. `None` also while the chain has
    /// trouble, and for a replay that reads only logs, whose blocks have no timestamp.
    pub lag_ms: Option<u64>,
}

/// The position of a module in a schedule. All times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulePosition {
    /// The schedule's identifier.
    pub id: ScheduleId,
    /// The schedule, as in the manifest.
    pub schedule: Arc<str>,
    /// The time of the last tick that the module has handled.
    pub last_ms: Option<u64>,
    /// The time of the next tick. `None` if no further time matches, or before the module's start.
    pub next_ms: Option<u64>,
    /// How long the next tick has been due, in milliseconds. 0 if its time has not come.
    pub lag_ms: Option<u64>,
}

/// The position of a feed. The feed writes it.
#[derive(Clone, Debug)]
pub(in crate::runner) enum Place {
    Chain(Arc<ChainPlace>),
    Schedule(Arc<SchedulePlace>),
}

/// The position in a chain, with the log that knows the head.
#[derive(Debug)]
pub(in crate::runner) struct ChainPlace {
    log: Arc<EventLog>,
    reached: Mutex<Reached>,
    /// The metric of the blocks that the module is behind. NaN while the number is unknown.
    behind: Gauge,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    /// Whether the chain has trouble, so that its head may be far above the log's.
    has_trouble: bool,
    /// The number of the last block.
    at: Option<u64>,
    /// The number of the next block, if it is known.
    next: Option<u64>,
    /// The number and the timestamp of a block that may have left the log.
    timestamp_ms: Option<(u64, u64)>,
}

/// The position in a schedule.
#[derive(Debug)]
pub(in crate::runner) struct SchedulePlace {
    id: ScheduleId,
    schedule: Arc<str>,
    /// The last tick, and the next one.
    ticks: Mutex<(Option<u64>, Option<u64>)>,
}

impl Place {
    /// The position now. `now_ms` is the time in milliseconds since the Unix epoch.
    pub(in crate::runner) fn position(&self, now_ms: u64) -> TopicPosition {
        match self {
            Self::Chain(place) => TopicPosition::Chain(place.position()),
            Self::Schedule(place) => TopicPosition::Schedule(place.position(now_ms)),
        }
    }
}

impl ChainPlace {
    pub(in crate::runner) fn new(log: Arc<EventLog>, behind: Gauge) -> Self {
        Self {
            log,
            reached: Mutex::default(),
            behind,
        }
    }

    /// Remembers the timestamp of a block that the module gets now.
    pub(in crate::runner) fn gets(&self, block: &Advance) {
        let timestamp_ms = block
            .timestamp_ms()
            .map(|timestamp_ms| (block.position.number, timestamp_ms));
        self.reached.lock().timestamp_ms = timestamp_ms;
    }

    /// Records the cursor. Without one, the module starts at `live_from`.
    pub(in crate::runner) fn reach(&self, last: Option<Progress>, live_from: Option<u64>) {
        let at = last.map(|last| last.position.number);
        let next = at.map_or(live_from, |at| Some(at.saturating_add(1)));
        self.change(|reached| (reached.at, reached.next) = (at, next));
    }

    /// Records whether the chain has trouble.
    pub(in crate::runner) fn set_trouble(&self, has_trouble: bool) {
        self.change(|reached| reached.has_trouble = has_trouble);
    }

    /// Records that the module no longer reads the chain.
    pub(in crate::runner) fn leave(&self) {
        self.behind.set(f64::NAN);
    }

    fn change(&self, change: impl FnOnce(&mut Reached)) {
        let head = self.head();
        let mut reached = self.reached.lock();
        change(&mut reached);
        // Under the lock, so that the metric has the last of two concurrent changes.
        let behind = reached.behind(head);
        self.behind.set(behind.map_or(f64::NAN, |behind| behind as f64));
    }

    pub(in crate::runner) fn topic(&self) -> ChainTopic {
        self.log.topic()
    }

    fn head(&self) -> Option<u64> {
        self.log.head().map(|head| head.number)
    }

    /// The number of blocks up to the head that the module has still to handle.
    pub(in crate::runner) fn behind(&self) -> Option<u64> {
        let head = self.head();
        self.reached.lock().behind(head)
    }

    fn position(&self) -> ChainPosition {
        let head = self.head();
        let reached = *self.reached.lock();
        let Reached { at, timestamp_ms, .. } = reached;
        let behind = reached.behind(head);
        let in_log = |number: u64| self.log.blocks(number..=number).first()?.timestamp_ms();
        let remembered = timestamp_ms.filter(|(number, _)| Some(*number) == at);
        let at_ms = || remembered.map(|(_, ms)| ms).or_else(|| in_log(at?));
        let lag_ms = match behind {
            Some(0) => Some(0),
            Some(_) => head
                .and_then(in_log)
                .zip(at_ms())
                .map(|(head, at)| head.saturating_sub(at)),
            None => None,
        };
        ChainPosition {
            topic: self.log.topic(),
            at,
            head,
            behind,
            lag_ms,
        }
    }
}

impl Reached {
    /// The number of blocks up to the head that the module has still to handle.
    fn behind(&self, head: Option<u64>) -> Option<u64> {
        let next = self.next.filter(|_| !self.has_trouble)?;
        Some(head?.saturating_add(1).saturating_sub(next))
    }
}

impl SchedulePlace {
    pub(in crate::runner) fn new(id: ScheduleId, schedule: &str) -> Self {
        Self {
            id,
            schedule: schedule.into(),
            ticks: Mutex::default(),
        }
    }

    /// Records the last tick and the next one.
    pub(in crate::runner) fn reach(&self, last_ms: Option<u64>, next_ms: Option<u64>) {
        *self.ticks.lock() = (last_ms, next_ms);
    }

    fn position(&self, now_ms: u64) -> SchedulePosition {
        let (last_ms, next_ms) = *self.ticks.lock();
        SchedulePosition {
            id: self.id,
            schedule: self.schedule.clone(),
            last_ms,
            next_ms,
            lag_ms: next_ms.map(|next_ms| now_ms.saturating_sub(next_ms)),
        }
    }
}
