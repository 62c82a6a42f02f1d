//! A runner's position in a chain.

mod common_ancestor;
mod read_ahead;
mod source_outage;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use nexum_config::log_filter::LogFilter;
use nexum_config::topic::ChainTopic;

use self::read_ahead::ReadAhead;
use self::source_outage::SourceOutage;
use super::{Anchor, Delivery, Next};
use crate::bus::log::{EventLog, LogEntry, ReadResult, Resume, Routed, Subscriber};
use crate::bus::source::{Replay, Replayed, SourceError, TopicHandle};
use crate::capability::ModuleMeta;
use crate::event::{Advance, EventKind, Log, Position};
use crate::runner::catch_up::CatchingUp;
use crate::runner::metrics::blocks_behind;
use crate::runner::place::ChainPlace;
use crate::runner::subscription_set::SubscriptionSet;
use crate::state::{ModuleId, Progress};
use crate::store::StateStore;

/// The number of replayed blocks to remember, for the search of a common ancestor after a
/// reorganisation during the replay. It is the deepest reorganisation that any chain's source
/// accepts by default.
const TRAIL_MAX: usize = 128;

/// Reads one topic: from the log while it has the blocks, and otherwise from the source.
#[derive(Debug)]
pub(in crate::runner) struct ChainFeed {
    followed: TopicHandle,
    subscriber: Subscriber,
    subscriptions: SubscriptionSet,
    filters: Arc<[LogFilter]>,
    /// The start of subscriptions without a block number, once it is known.
    live_from: Option<u64>,
    next_read: ReadPosition,
    /// The replayed events that the runner has not taken yet.
    replayed: VecDeque<Next>,
    /// The next part of the replay, which the source reads while the module works.
    ahead: ReadAhead,
    /// The last replayed blocks, which are not in the log.
    trail: VecDeque<Position>,
    module: ModuleId,
    store: Arc<dyn StateStore>,
    catching_up: Option<CatchingUp>,
    outage: SourceOutage,
    place: Arc<ChainPlace>,
}

#[derive(Debug)]
enum ReadPosition {
    /// The next sequence number to read from the log.
    At(u64),
    /// After the cursor, wherever the cursor is.
    AfterCursor,
}

impl ChainFeed {
    /// Creates a feed of the module `meta`. The feed starts after the module's cursor. Without a
    /// cursor, it starts with the first block of the log for an initial module, and otherwise with
    /// the next block.
    pub(super) fn new(
        followed: TopicHandle,
        subscriptions: SubscriptionSet,
        anchor: &Anchor<'_>,
        meta: &ModuleMeta,
    ) -> Self {
        let log = &followed.log;
        let filters: Arc<[_]> = subscriptions.filters().cloned().collect();
        let subscriber = log.subscribe(anchor.wake.clone(), filters.iter().cloned());
        let outage = SourceOutage::new(meta, log.topic().chain_id);
        let live_from = match anchor.cursors.get(log.topic().into()) {
            Some(cursor) => Some(cursor.live_from),
            None => {
                let origin = anchor.is_initial.then(|| log.origin()).flatten();
                origin.or_else(|| Some(log.head()?.number.saturating_add(1)))
            }
        };
        let place = Arc::new(ChainPlace::new(log.clone(), blocks_behind(&meta.name, log.topic())));
        Self {
            followed,
            subscriber,
            subscriptions,
            filters,
            live_from,
            next_read: ReadPosition::AfterCursor,
            replayed: VecDeque::new(),
            ahead: ReadAhead::default(),
            trail: VecDeque::new(),
            module: anchor.module,
            store: anchor.store.clone(),
            catching_up: None,
            outage,
            place,
        }
    }

    fn log(&self) -> &EventLog {
        &self.followed.log
    }

    /// Whether the feed reads exactly these subscriptions.
    pub(super) fn serves(&self, subscriptions: &SubscriptionSet) -> bool {
        self.subscriptions == *subscriptions
    }

    pub(in crate::runner) fn topic(&self) -> ChainTopic {
        self.log().topic()
    }

    /// The start of subscriptions without a block number. `None` until the chain's first block
    /// arrives.
    pub(super) fn live_from(&mut self) -> Option<u64> {
        self.live_from = self.live_from.or_else(|| self.log().origin());
        self.live_from
    }

    /// Returns to the position after the cursor.
    pub(super) fn resume(&mut self) {
        self.replayed.clear();
        self.ahead = ReadAhead::default();
        self.trail.clear();
        self.next_read = ReadPosition::AfterCursor;
    }

    /// The next step after the event that was handled last. Reports an outage of the source.
    pub(super) async fn next(&mut self, last: Option<Progress>) -> Next {
        let next = self.step_after(last).await;
        if let Next::Block(delivery) = &next {
            self.place.gets(&delivery.block);
        }
        match &next {
            Next::Failed(error) => self.outage.failed(error),
            Next::Block(_) | Next::Passed(_) | Next::Revert(_) => self.outage.ended(),
            _ => {}
        }
        next
    }

    async fn step_after(&mut self, last: Option<Progress>) -> Next {
        loop {
            if let Some(next) = self.replayed.pop_front() {
                return next;
            }
            if let ReadPosition::At(sequence) = self.next_read {
                match self.log().read(sequence) {
                    ReadResult::Entry(LogEntry::Advance(routed)) => {
                        let delivery = match self.delivery(&routed).await {
                            Ok(delivery) => delivery,
                            Err(error) if !self.is_reverted(&routed) => return Next::Failed(error),
                            // A later entry reports the reorganisation.
                            Err(_) => {
                                self.next_read = ReadPosition::At(sequence + 1);
                                continue;
                            }
                        };
                        self.next_read = ReadPosition::At(sequence + 1);
                        self.live();
                        return Next::Block(delivery);
                    }
                    ReadResult::Entry(LogEntry::Revert(to)) => {
                        self.next_read = ReadPosition::At(sequence + 1);
                        return Next::Revert(to);
                    }
                    ReadResult::Pending => {
                        self.live();
                        return Next::Pending;
                    }
                    ReadResult::Gone => self.next_read = ReadPosition::AfterCursor,
                    ReadResult::Closed(reason) => return Next::Closed(reason),
                }
                continue;
            }
            let Some(live_from) = self.live_from() else {
                // A log without a block has no position to resume from. Its source may also have
                // given up.
                return match self.log().begin(0) {
                    Resume::Closed(reason) => Next::Closed(reason),
                    _ => Next::Pending,
                };
            };
            match self.find_place(last, live_from) {
                Resume::At(sequence) => self.next_read = ReadPosition::At(sequence),
                Resume::Pending => return Next::Pending,
                Resume::Revert(to) => return Next::Revert(to),
                Resume::Closed(reason) => return Next::Closed(reason),
                Resume::Diverged(canonical) => return self.common_ancestor(last, canonical).await,
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
            None => self.log().begin(self.subscriptions.first(live_from)),
            Some(Progress {
                position,
                done: EventKind::Block,
            }) => self.log().resume(position),
            // The block's other event is still due.
            Some(Progress { position, .. }) => match self.log().resume(position) {
                Resume::At(_) | Resume::Pending | Resume::Replay(_) => self.log().begin(position.number),
                other => other,
            },
        }
    }

    /// Ends the replay, because the module has caught up.
    fn live(&mut self) {
        self.trail.clear();
        self.ahead.forget();
        if let Some(catching_up) = self.catching_up.take() {
            catching_up.done();
        }
    }

    /// Whether a later entry of the log reverts this block. The source may not have its logs any more.
    fn is_reverted(&self, routed: &Routed) -> bool {
        matches!(self.log().resume(routed.block.position), Resume::Revert(_))
    }

    async fn delivery(&self, routed: &Routed) -> Result<Delivery, SourceError> {
        let number = routed.block.position.number;
        let live_from = self.live_from.unwrap_or_default();
        let logs = match routed.logs_of(self.subscriber) {
            Some([]) => Vec::new(),
            Some(places) => self.subscriptions.pick(&routed.block, places, live_from),
            None if self.subscriptions.wants_logs() => self.logs_of(&routed.block, live_from).await?,
            None => Vec::new(),
        };
        let head = || self.log().head().map(|head| head.number);
        Ok(Delivery {
            block_event: self.subscriptions.wants_block(number, live_from, head),
            logs,
            arrived: Some(routed.at),
            origin: routed.origin.clone(),
            block: routed.block.clone(),
        })
    }

    /// The module's logs of a block that the source read before it knew the module's filters.
    async fn logs_of(&self, block: &Advance, live_from: u64) -> Result<Vec<Log>, SourceError> {
        let position = block.position;
        let wanted = Replay {
            numbers: position.number..=position.number,
            blocks: false,
            filters: self.filters.clone(),
        };
        let replayed = self.followed.source.replay(&wanted).await?;
        if replayed.through != position {
            // The log will report the reorganisation, too.
            let chain_id = self.topic().chain_id;
            return Err(SourceError::new(
                chain_id,
                format!("block {position} has been reorganised away"),
            ));
        }
        let logs = replayed.blocks.iter().find(|block| block.position == position);
        Ok(logs.map_or_else(Vec::new, |block| self.subscriptions.pick_unrouted(block, live_from)))
    }

    /// Replays a part of the missed blocks. Returns a step for the runner if the replay cannot
    /// continue.
    async fn replay(&mut self, last: Option<Progress>, live_from: u64, numbers: RangeInclusive<u64>) -> Option<Next> {
        let every_block = self.subscriptions.wants_every_block();
        if !every_block && !self.subscriptions.wants_logs() {
            // The module does not need the missed blocks.
            if let Resume::At(sequence) = self.log().begin(numbers.end().saturating_add(1)) {
                self.next_read = ReadPosition::At(sequence);
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
        if let Some(last) = last.filter(|last| !follows(&replayed, last, every_block)) {
            let canonical = Position {
                number: last.position.number,
                hash: replayed.parent_hash,
            };
            return Some(self.common_ancestor(Some(last), canonical).await);
        }
        if last.is_some_and(|last| replayed.through == last.position && last.position.number < *numbers.start()) {
            // The log's next block is another block's child, so the log and the source are on two forks.
            let (from, to) = numbers.into_inner();
            let reason = format!("the endpoint has no block from {from} to {to}, and the log has not recorded why");
            return Some(Next::Failed(SourceError::new(self.topic().chain_id, reason)));
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
                logs: self.subscriptions.pick_unrouted(&block, live_from),
                block_event: self.subscriptions.wants_block(number, live_from, head),
                arrived: None,
                origin: None,
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

    /// Updates the module's position, and the number of blocks that it has still to handle.
    pub(in crate::runner) fn reach(&self, last: Option<Progress>) {
        self.place.reach(last, self.live_from);
    }

    /// Whether the chain does not advance or cannot be read now.
    pub(super) fn has_trouble(&self) -> bool {
        self.followed.source.trouble().is_some()
    }

    /// The module's position, for the status.
    pub(in crate::runner) fn place(&self) -> &Arc<ChainPlace> {
        &self.place
    }

    /// Whether the last event is a replayed one, and more of them follow.
    pub(super) fn is_replaying(&self) -> bool {
        !self.replayed.is_empty()
    }

    /// The number of the newest final block.
    pub(super) fn settled(&self) -> u64 {
        let head = |log: &EventLog| log.head().map_or(0, |head| head.number);
        let deep = self.log().followed_by(self.followed.source.reorg_depth_max());
        deep.unwrap_or_default()
            .max(self.followed.finalized.as_deref().map_or(0, head))
    }

    /// The progress of the replay: the first block, the last block that the module has read, and
    /// the last block to read.
    pub(in crate::runner) fn catching_up(&self) -> Option<(u64, u64, u64)> {
        self.catching_up.as_ref().map(CatchingUp::range)
    }
}

/// Whether the replayed blocks continue the module's last block, or start with it if only its logs
/// are done. `every_block` tells whether the source was asked for all blocks.
fn follows(replayed: &Replayed, last: &Progress, every_block: bool) -> bool {
    match last.done {
        EventKind::Block | EventKind::Tick => replayed.parent_hash == last.position.hash,
        EventKind::Logs => {
            let again = replayed.blocks.first().map_or(replayed.through, |block| block.position);
            again == last.position || (!every_block && again.number > last.position.number)
        }
    }
}

impl Drop for ChainFeed {
    fn drop(&mut self) {
        self.log().unsubscribe(self.subscriber);
        self.place.leave();
    }
}
