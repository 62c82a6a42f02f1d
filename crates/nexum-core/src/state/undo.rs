//! The undo records, with which nexum reverts a module's events.
//!
//! A module's history is one sequence over all its topics. Each event with changes has a record of
//! the old values and of the cursors before it. nexum keeps a record until no reorganisation can
//! reach it.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use nexum_config::topic::Topic;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{Cursors, ModuleId, Usage, rows};
use crate::event::{EventId, Position};
use crate::store::{Batch, StoreError, View};

/// The most undo records of a module. The bound applies if one of its chains stands still and
/// finalises no blocks, or if the module no longer follows one. It is two days of blocks on another
/// chain with twelve seconds per block.
pub const UNDO_RECORDS_MAX: usize = 16_384;

/// The most bytes of a module's undo records: 128 events with the most bytes that an event may
/// write by default, twice.
pub const UNDO_BYTES_MAX: usize = 256 << 20;

/// The most records that one commit removes. A commit adds fewer, so the number of records falls to
/// the required one.
const REMOVED_PER_COMMIT_MAX: usize = 16;

/// A stored undo record.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Undo {
    /// The event. `None` for an `init`, which no reorganisation reverts by itself.
    pub(super) event: Option<(Topic, Position)>,
    /// All cursors before the event.
    pub(super) before: Cursors,
    pub(super) usage: Usage,
    /// Each changed key, with its value before the event.
    pub(super) old: Vec<(ByteBuf, Option<ByteBuf>)>,
    /// Each added or removed dead letter, with its row before the event.
    pub(super) dead_letters: Vec<(EventId, Option<ByteBuf>)>,
}

impl Undo {
    /// The events to which a further attempt comes after a revert: the event, and those of the dead letters, which
    /// the operator has retried.
    pub(super) fn events(&self) -> impl Iterator<Item = (Topic, Position)> {
        let letters = self
            .dead_letters
            .iter()
            .map(|(letter, _)| (letter.topic, letter.position));
        self.event.into_iter().chain(letters)
    }

    /// The last block of each topic that the event's changes can depend on.
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

/// Whether no reorganisation can reach these blocks.
pub(super) fn is_settled(reach: &Reach, settled: &Settled<'_>) -> bool {
    reach
        .iter()
        .all(|(topic, number)| settled(*topic).is_none_or(|settled| *number <= settled))
}

/// Returns the number of a topic's newest final block. `None` for a topic without reorganisations.
pub(crate) type Settled<'a> = dyn Fn(Topic) -> Option<u64> + Sync + 'a;

/// Returns whether no attempt at the event can come any more: the module has handled it, and no reorganisation can
/// remove it or deliver it again.
pub(crate) type IsFinal<'a> = dyn Fn(&EventId) -> bool + 'a;

/// An index of a module's undo records.
#[derive(Debug, Default)]
pub(super) struct UndoLog {
    marks: VecDeque<Mark>,
    bytes: usize,
}

/// The facts about a record that decide whether nexum still needs it.
#[derive(Debug)]
struct Mark {
    sequence: u64,
    /// As in [`Undo::events`].
    events: Vec<(Topic, Position)>,
    reach: Reach,
    bytes: usize,
}

impl UndoLog {
    /// Reads a module's records from a store.
    pub(super) fn load(view: &dyn View, id: ModuleId) -> Result<Self, StoreError> {
        let mut log = Self::default();
        let mut damaged = None;
        rows::scan(view, &rows::undos(id), &mut |key, value| {
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

    /// Adds a record, unless no reorganisation can reach the event. In that case, returns the new
    /// lower bound of a revert.
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

    /// Removes some of the records that are final or exceed the bounds. Returns the new lower bound
    /// of a revert, if it has changed.
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

    /// Whether a revert can deliver an event of `topic` at this position again, or restore its dead letter.
    pub(super) fn has(&self, topic: Topic, position: Position) -> bool {
        self.marks.iter().any(|mark| mark.events.contains(&(topic, position)))
    }

    /// The records of the first event that can depend on a block of `topic` after the block `to`,
    /// and of all later events, newest first.
    pub(super) fn after(&self, topic: Topic, to: Position) -> impl Iterator<Item = u64> {
        let depends = move |mark: &&Mark| reach_of(&mark.reach, topic).is_some_and(|number| number > to.number);
        self.marks.iter().rev().take_while(depends).map(|mark| mark.sequence)
    }

    fn push(&mut self, sequence: u64, undo: &Undo, bytes: usize) {
        self.bytes += bytes;
        self.marks.push_back(Mark {
            sequence,
            events: undo.events().collect(),
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

/// The module's positions in a topic before each recorded event, oldest first.
pub(crate) fn passed(view: &dyn View, id: ModuleId, topic: Topic) -> Result<Vec<Position>, StoreError> {
    let mut passed: Vec<Position> = Vec::new();
    let mut damaged = None;
    rows::scan(view, &rows::undos(id), &mut |_, value| match decode(value) {
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
