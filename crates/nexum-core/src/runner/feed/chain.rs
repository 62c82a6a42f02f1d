//! A runner's place in a chain.

mod common_ancestor;
mod read_ahead;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use metrics::Gauge;
use nexum_config::log_filter::LogFilter;
use nexum_config::topic::ChainTopic;

use self::read_ahead::Ahead;
use super::{Delivery, Next};
use crate::bus::log::{Entry, EventLog, Read, Resume, Routed, Subscriber};
use crate::bus::source::{Followed, Replay, Replayed, SourceError};
use crate::event::{Advance, EventKind, Log, Position};
use crate::runner::catch_up::CatchingUp;
use crate::runner::interest::Interest;
use crate::runner::metrics::blocks_behind;
use crate::runner::status::ModuleStatus;
use crate::state::{Cursor, ModuleId, Progress};
use crate::store::StateStore;

/// How many blocks are remembered of those that were replayed, to find back to the chain when it is reorganised meanwhile: as
/// many as any chain takes back that its source still believes by default.
const TRAIL_MAX: usize = 128;

/// Reads one topic, from the log while it is there and from the source where it no longer is.
#[derive(Debug)]
pub(in crate::runner) struct ChainFeed {
    followed: Followed,
    subscriber: Subscriber,
    interest: Interest,
    filters: Arc<[LogFilter]>,
    /// Where subscriptions begin that name no block, once that is known.
    live_from: Option<u64>,
    place: Place,
    /// What was replayed and not yet handed out.
    replayed: VecDeque<Next>,
    /// The part after that, which is read while the module works.
    ahead: Ahead,
    /// The last blocks that were replayed: the log has not seen them.
    trail: VecDeque<Position>,
    module: ModuleId,
    store: Arc<dyn StateStore>,
    catching_up: Option<CatchingUp>,
    behind: Gauge,
}

#[derive(Debug)]
enum Place {
    /// The log's next sequence number to read.
    At(u64),
    /// After the cursor, wherever that is.
    AfterCursor,
}

impl ChainFeed {
    /// A feed that begins after the cursor, or with what comes next where there is none. `store` knows blocks from before the
    /// process. The module that `status` is of is woken when there is more to read.
    pub(super) fn new(
        followed: Followed,
        interest: Interest,
        cursor: Option<Cursor>,
        module: ModuleId,
        store: Arc<dyn StateStore>,
        status: &ModuleStatus,
    ) -> Self {
        let log = &followed.log;
        let filters: Arc<[_]> = interest.filters().cloned().collect();
        let subscriber = log.subscribe(status.wake.clone(), filters.iter().cloned());
        let behind = blocks_behind(status.name(), log.topic());
        let live_from = match cursor {
            Some(cursor) => Some(cursor.live_from),
            None => log.head().map(|head| head.number.saturating_add(1)),
        };
        Self {
            followed,
            subscriber,
            interest,
            filters,
            live_from,
            place: Place::AfterCursor,
            replayed: VecDeque::new(),
            ahead: Ahead::default(),
            trail: VecDeque::new(),
            module,
            store,
            catching_up: None,
            behind,
        }
    }

    fn log(&self) -> &EventLog {
        &self.followed.log
    }

    /// Whether it reads just what a module wants of its topic.
    pub(super) fn serves(&self, interest: &Interest) -> bool {
        self.interest == *interest
    }

    pub(super) fn topic(&self) -> ChainTopic {
        self.log().topic()
    }

    /// Where subscriptions begin that name no block; none while the chain has not been seen.
    pub(super) fn live_from(&mut self) -> Option<u64> {
        self.live_from = self.live_from.or_else(|| self.log().origin());
        self.live_from
    }

    /// Goes back to what comes after the cursor.
    pub(super) fn resume(&mut self) {
        self.replayed.clear();
        self.ahead = Ahead::default();
        self.trail.clear();
        self.place = Place::AfterCursor;
    }

    pub(super) async fn next(&mut self, last: Option<Progress>) -> Next {
        loop {
            if let Some(next) = self.replayed.pop_front() {
                return next;
            }
            if let Place::At(sequence) = self.place {
                match self.log().read(sequence) {
                    Read::Entry(Entry::Advance(routed)) => {
                        let delivery = match self.delivery(&routed).await {
                            Ok(delivery) => delivery,
                            Err(error) => return Next::Failed(error),
                        };
                        self.place = Place::At(sequence + 1);
                        self.live();
                        return Next::Block(delivery);
                    }
                    Read::Entry(Entry::Revert(to)) => {
                        self.place = Place::At(sequence + 1);
                        return Next::Revert(to);
                    }
                    Read::Pending => {
                        self.live();
                        return Next::Pending;
                    }
                    Read::Gone => self.place = Place::AfterCursor,
                    Read::Closed(reason) => return Next::Closed(reason),
                }
                continue;
            }
            let Some(live_from) = self.live_from() else {
                // A log without a block has nothing to resume with, unless it never will.
                return match self.log().begin(0) {
                    Resume::Closed(reason) => Next::Closed(reason),
                    _ => Next::Pending,
                };
            };
            match self.find_place(last, live_from) {
                Resume::At(sequence) => self.place = Place::At(sequence),
                Resume::Pending => return Next::Pending,
                Resume::Revert(to) => return Next::Revert(to),
                Resume::Closed(reason) => return Next::Closed(reason),
                Resume::Diverged(canonical) => return self.find_back(last, canonical).await,
                Resume::Replay(numbers) => {
                    if let Some(next) = self.replay(last, live_from, numbers).await {
                        return next;
                    }
                }
            }
        }
    }

    fn find_place(&self, last: Option<Progress>, live_from: u64) -> Resume {
        match last {
            None => self.log().begin(self.interest.first(live_from)),
            Some(Progress {
                position,
                done: EventKind::Block,
            }) => self.log().resume(position),
            // The block's other event is still to come.
            Some(Progress { position, .. }) => match self.log().resume(position) {
                Resume::At(_) | Resume::Pending | Resume::Replay(_) => self.log().begin(position.number),
                other => other,
            },
        }
    }

    /// There is nothing more to catch up with.
    fn live(&mut self) {
        self.trail.clear();
        self.ahead.forget();
        if let Some(catching_up) = self.catching_up.take() {
            catching_up.done();
        }
    }

    async fn delivery(&self, routed: &Routed) -> Result<Delivery, SourceError> {
        let number = routed.block.position.number;
        let live_from = self.live_from.unwrap_or_default();
        let logs = match routed.logs_of(self.subscriber) {
            Some([]) => Vec::new(),
            Some(places) => self.interest.pick(&routed.block, places, live_from),
            None if self.interest.wants_logs() => self.logs_of(&routed.block, live_from).await?,
            None => Vec::new(),
        };
        let head = || self.log().head().map(|head| head.number);
        Ok(Delivery {
            block_event: self.interest.wants_block(number, live_from, head),
            logs,
            arrived: Some(routed.at),
            block: routed.block.clone(),
        })
    }

    /// The module's logs of a block that was read before the module's filters were known.
    async fn logs_of(&self, block: &Advance, live_from: u64) -> Result<Vec<Log>, SourceError> {
        let position = block.position;
        let wanted = Replay {
            numbers: position.number..=position.number,
            blocks: false,
            filters: self.filters.clone(),
        };
        let replayed = self.followed.source.replay(&wanted).await?;
        if replayed.through != position {
            // The log will say so, too.
            let chain_id = self.topic().chain_id;
            return Err(SourceError::new(
                chain_id,
                format!("block {position} has been reorganised away"),
            ));
        }
        let logs = replayed.blocks.first();
        Ok(logs.map_or_else(Vec::new, |block| self.interest.pick_unrouted(block, live_from)))
    }

    /// Reads a part of what was missed. Returns what stands in the way, if something does.
    async fn replay(&mut self, last: Option<Progress>, live_from: u64, numbers: RangeInclusive<u64>) -> Option<Next> {
        let every_block = self.interest.wants_every_block();
        if !every_block && !self.interest.wants_logs() {
            // Blocks that were missed do not matter.
            if let Resume::At(sequence) = self.log().begin(numbers.end().saturating_add(1)) {
                self.place = Place::At(sequence);
                return None;
            }
        }
        let wanted = |numbers| Replay {
            numbers,
            blocks: every_block,
            filters: self.filters.clone(),
        };
        let replayed = match self.ahead.take(&self.followed.source, wanted(numbers.clone())).await {
            Ok(replayed) => replayed,
            Err(error) => return Some(Next::Failed(error)),
        };
        if let Some(last) = last.filter(|last| !follows(&replayed, last)) {
            let canonical = Position {
                number: last.position.number,
                hash: replayed.parent_hash,
            };
            return Some(self.find_back(Some(last), canonical).await);
        }
        let after = replayed.through.number.saturating_add(1);
        if after <= *numbers.end() {
            self.ahead.begin(&self.followed.source, wanted(after..=*numbers.end()));
        }
        self.take(replayed, live_from, numbers);
        None
    }

    fn take(&mut self, replayed: Replayed, live_from: u64, numbers: RangeInclusive<u64>) {
        let log = self.followed.log.clone();
        let head = || log.head().map(|head| head.number);
        for block in replayed.blocks {
            self.trail.push_back(block.position);
            let number = block.position.number;
            self.replayed.push_back(Next::Block(Delivery {
                logs: self.interest.pick_unrouted(&block, live_from),
                block_event: self.interest.wants_block(number, live_from, head),
                arrived: None,
                block,
            }));
        }
        if self.trail.back() != Some(&replayed.through) {
            self.trail.push_back(replayed.through);
            self.replayed.push_back(Next::Passed(replayed.through));
        }
        let surplus = self.trail.len().saturating_sub(TRAIL_MAX);
        self.trail.drain(..surplus);
        let topic = self.log().topic();
        let catching_up = self
            .catching_up
            .get_or_insert_with(|| CatchingUp::new(topic, *numbers.start()));
        catching_up.reached(replayed.through.number, *numbers.end());
    }

    /// Shows how many blocks the module has still to handle.
    pub(super) fn show_behind(&self, last: Option<Progress>) {
        let next = last.map_or(self.live_from, |last| Some(last.position.number.saturating_add(1)));
        if let (Some(head), Some(next)) = (self.log().head(), next) {
            self.behind
                .set(head.number.saturating_add(1).saturating_sub(next) as f64);
        }
    }

    /// Whether what was handed out last is history, with more of it to come.
    pub(super) fn is_replaying(&self) -> bool {
        !self.replayed.is_empty()
    }

    /// The number of the newest block that cannot be taken back.
    pub(super) fn settled(&self) -> u64 {
        let head = |log: &EventLog| log.head().map_or(0, |head| head.number);
        let deep = head(self.log()).saturating_sub(self.followed.source.reorg_depth_max());
        deep.max(self.followed.finalized.as_deref().map_or(0, head))
    }

    pub(super) fn catching_up(&self) -> Option<&CatchingUp> {
        self.catching_up.as_ref()
    }
}

/// Whether what was replayed comes after the last block, or begins with it where it is only half done.
fn follows(replayed: &Replayed, last: &Progress) -> bool {
    match last.done {
        EventKind::Block | EventKind::Tick => replayed.parent_hash == last.position.hash,
        EventKind::Logs => {
            let again = replayed.blocks.first().map_or(replayed.through, |block| block.position);
            again.number != last.position.number || again == last.position
        }
    }
}

impl Drop for ChainFeed {
    fn drop(&mut self) {
        self.log().unsubscribe(self.subscriber);
        // Nobody reads it for the module any more.
        self.behind.set(0.0);
    }
}
