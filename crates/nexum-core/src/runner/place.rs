//! The position of a module in its topics, readable from any task.

use std::sync::Arc;

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
    /// The number of blocks up to the head that the module has still to handle.
    pub behind: Option<u64>,
    /// The age of the module's state in the time of the chain: the difference between the timestamps
    /// of the blocks `head` and `at`, in milliseconds. 0 if no block is left. The clock of this
    /// machine has no part in it, so a chain that stands still does not raise it. `None` also for a
    /// replay that reads only logs, whose blocks have no timestamp.
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
}

#[derive(Clone, Copy, Debug, Default)]
struct Reached {
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
    pub(in crate::runner) fn new(log: Arc<EventLog>) -> Self {
        Self {
            log,
            reached: Mutex::default(),
        }
    }

    /// Remembers the timestamp of a block that the module gets now.
    pub(in crate::runner) fn gets(&self, block: &Advance) {
        let timestamp_ms = block
            .timestamp_ms()
            .map(|timestamp_ms| (block.position.number, timestamp_ms));
        self.reached.lock().timestamp_ms = timestamp_ms;
    }

    /// Records the cursor. Without one, the module starts at `live_from`. Returns the number of
    /// blocks up to the head that the module has still to handle.
    pub(in crate::runner) fn reach(&self, last: Option<Progress>, live_from: Option<u64>) -> Option<u64> {
        let at = last.map(|last| last.position.number);
        let next = at.map_or(live_from, |at| Some(at.saturating_add(1)));
        let mut reached = self.reached.lock();
        (reached.at, reached.next) = (at, next);
        drop(reached);
        behind(self.head()?, next)
    }

    pub(in crate::runner) fn topic(&self) -> ChainTopic {
        self.log.topic()
    }

    fn head(&self) -> Option<u64> {
        self.log.head().map(|head| head.number)
    }

    /// The number of blocks up to the head that the module has still to handle.
    pub(in crate::runner) fn behind(&self) -> Option<u64> {
        let next = self.reached.lock().next;
        behind(self.head()?, next)
    }

    fn position(&self) -> ChainPosition {
        let Reached { at, next, timestamp_ms } = *self.reached.lock();
        let head = self.head();
        let behind = head.and_then(|head| behind(head, next));
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

/// The number of blocks from `next` up to the head.
fn behind(head: u64, next: Option<u64>) -> Option<u64> {
    Some(head.saturating_add(1).saturating_sub(next?))
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
