//! How to take a module's events back.
//!
//! A module's history is one sequence over all its topics. Each event that wrote has a record, with the old values and the
//! cursors as they were before it. Records are kept for as long as a reorganisation can still reach them.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use nexum_config::topic::Topic;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{Cursors, ModuleId, Usage, rows};
use crate::event::{EventId, Position};
use crate::store::{Batch, StoreError, View};

/// How many records of a module are kept at most, however long one of its chains stands still and keeps its blocks
/// unsettled: two days of another chain's twelve-second blocks.
pub const UNDO_RECORDS_MAX: usize = 16_384;

/// How many bytes these may take: as many as 128 events with the most that an event may write by default, twice.
pub const UNDO_BYTES_MAX: usize = 256 << 20;

/// How many records a commit removes at most. More than it adds, so that the number falls to what is needed.
const REMOVED_PER_COMMIT_MAX: usize = 16;

/// A record, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Undo {
    /// The event; none for an `init`, which no reorganisation takes back by itself.
    pub(super) event: Option<(Topic, Position)>,
    /// Every cursor before it.
    pub(super) before: Cursors,
    pub(super) usage: Usage,
    /// Each key that it changed, with the value before.
    pub(super) old: Vec<(ByteBuf, Option<ByteBuf>)>,
    /// Each dead letter that it added or removed, with the row before.
    pub(super) dead_letters: Vec<(EventId, Option<ByteBuf>)>,
}

impl Undo {
    /// The last block of each topic that the event's writes can depend on.
    fn reach(&self) -> Reach {
        let mut reach: Reach = self
            .before
            .iter()
            .filter_map(|cursor| Some((cursor.topic, cursor.last?.position.number)))
            .collect();
        if let Some((topic, position)) = self.event {
            reach.retain(|(known, _)| *known != topic);
            reach.push((topic, position.number));
        }
        reach
    }
}

/// The number of the last block of each topic.
pub(super) type Reach = Vec<(Topic, u64)>;

pub(super) fn reach_of(reach: &Reach, topic: Topic) -> Option<u64> {
    reach
        .iter()
        .find(|(known, _)| *known == topic)
        .map(|(_, number)| *number)
}

/// Whether no reorganisation can reach it any more. A topic that nobody follows is not reorganised.
pub(super) fn is_settled(reach: &Reach, settled: &Settled<'_>) -> bool {
    reach
        .iter()
        .all(|(topic, number)| settled(*topic).is_none_or(|settled| *number <= settled))
}

/// The number of the newest block of a topic that cannot be taken back; none for a topic that nobody follows.
pub(crate) type Settled<'a> = dyn Fn(Topic) -> Option<u64> + Sync + 'a;

/// Which records a module has.
#[derive(Debug, Default)]
pub(super) struct UndoLog {
    marks: VecDeque<Mark>,
    bytes: usize,
}

/// What has to be known of a record to decide whether it is still needed.
#[derive(Debug)]
struct Mark {
    sequence: u64,
    reach: Reach,
    bytes: usize,
}

impl UndoLog {
    /// The records that a store has of a module.
    pub(super) fn load(view: &dyn View, id: ModuleId) -> Result<Self, StoreError> {
        let mut log = Self::default();
        let mut damaged = None;
        rows::scan(view, &rows::undos(id), None, &mut |key, value| {
            let read = rows::sequence_of(key).and_then(|sequence| Ok((sequence, decode(value)?)));
            match read {
                Ok((sequence, undo)) => {
                    log.push(sequence, &undo, value.len());
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    damaged = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        damaged.map_or(Ok(log), Err)
    }

    /// Adds a record, unless nothing can ever need it. Returns what a revert cannot go below any more, if that is news.
    pub(super) fn record(
        &mut self,
        id: ModuleId,
        undo: &Undo,
        settled: &Settled<'_>,
        batch: &mut Batch,
    ) -> Option<Reach> {
        let reach = undo.reach();
        if self.marks.is_empty() && is_settled(&reach, settled) {
            return Some(reach);
        }
        let sequence = self.marks.back().map_or(0, |mark| mark.sequence + 1);
        let row = rows::encode(undo);
        self.push(sequence, undo, row.len());
        batch.set(rows::undo(id, sequence), row);
        None
    }

    /// Removes some of the records that are not needed, or are more than is kept. Returns what a revert cannot go below any
    /// more, if that is news.
    pub(super) fn prune(&mut self, id: ModuleId, settled: &Settled<'_>, batch: &mut Batch) -> Option<Reach> {
        let mut forgotten = None;
        for _ in 0..REMOVED_PER_COMMIT_MAX {
            let too_much = self.marks.len() > UNDO_RECORDS_MAX || self.bytes > UNDO_BYTES_MAX;
            let unneeded = |mark: &mut Mark| too_much || is_settled(&mark.reach, settled);
            let Some(mark) = self.marks.pop_front_if(unneeded) else {
                break;
            };
            self.bytes -= mark.bytes;
            batch.remove(rows::undo(id, mark.sequence));
            forgotten = Some(mark.reach);
        }
        forgotten
    }

    /// The records, newest first, of the first event that can depend on a block of `topic` after the block `to`, and of all
    /// after it.
    pub(super) fn after(&self, topic: Topic, to: Position) -> impl Iterator<Item = u64> {
        let depends = move |mark: &&Mark| reach_of(&mark.reach, topic).is_some_and(|number| number > to.number);
        self.marks.iter().rev().take_while(depends).map(|mark| mark.sequence)
    }

    fn push(&mut self, sequence: u64, undo: &Undo, bytes: usize) {
        self.bytes += bytes;
        self.marks.push_back(Mark {
            sequence,
            reach: undo.reach(),
            bytes,
        });
    }

    pub(super) fn truncate(&mut self, first: u64) {
        while let Some(mark) = self.marks.pop_back_if(|mark| mark.sequence >= first) {
            self.bytes -= mark.bytes;
        }
    }
}

/// Where a module was in a topic before each of the events that it has a record of, oldest first: its own way, as far as that can
/// be taken back.
pub(crate) fn passed(view: &dyn View, id: ModuleId, topic: Topic) -> Result<Vec<Position>, StoreError> {
    let mut passed: Vec<Position> = Vec::new();
    let mut damaged = None;
    rows::scan(view, &rows::undos(id), None, &mut |_, value| match decode(value) {
        Ok(undo) => {
            let before = undo.before.get(topic).and_then(|cursor| cursor.last);
            passed.extend(
                before
                    .map(|last| last.position)
                    .filter(|position| passed.last() != Some(position)),
            );
            ControlFlow::Continue(())
        }
        Err(error) => {
            damaged = Some(error);
            ControlFlow::Break(())
        }
    })?;
    damaged.map_or(Ok(passed), Err)
}

pub(super) fn decode(row: &[u8]) -> Result<Undo, StoreError> {
    rows::decode(row, "an undo record")
}
