//! The transcripts of events: the answers that the host calls of an attempt got before its effects. With them,
//! the next attempt at the event takes the same way to the same effects.
//!
//! # Invariants
//!
//! - A part of a transcript is durable in the commit of the intent whose request it led to.
//! - A transcript stays as long as another attempt at its event can come, within its bounds.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::ControlFlow;

use nexum_config::topic::Topic;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::undo::IsFinal;
use super::{ModuleId, rows};
use crate::event::{EventId, Position};
use crate::store::{Batch, StoreError, View};

/// The most bytes of the transcripts of a module. The oldest ones go first, and their events then have further
/// attempts without one. At a few kilobytes for a handler that reads some values of a chain, it is the
/// transcripts of thousands of events.
const TRANSCRIPT_BYTES_MAX: usize = 32 << 20;

/// The most transcripts that one commit looks at for removal. An event has one.
const LOOKS_PER_COMMIT_MAX: usize = 16;

/// A host call of a handler, with its answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The kind of the call, in one word.
    pub(crate) kind: Cow<'static, str>,
    /// The arguments, if they are short, or their digest.
    pub(crate) content: [u8; 32],
    /// The answer in the format of its capability. `None` if it had not come yet, and for an effect, whose answer is
    /// in its record.
    pub(crate) answer: Option<ByteBuf>,
}

/// Shows no content: an answer may be a secret of the module.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A row: the host calls of an attempt since the part before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) event: EventId,
    /// The number of the part among those of its event, from 0.
    pub(crate) number: u32,
    /// The number of host calls before the part. It replaces those of earlier attempts from there on.
    pub(crate) start: u32,
    pub(crate) entries: Vec<Entry>,
}

impl Part {
    /// The key of its row.
    pub(crate) fn row(&self, id: ModuleId) -> Vec<u8> {
        rows::transcript(id, &rows::event_key(&self.event), self.number)
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        rows::decode(row, "a part of a transcript")
    }
}

/// An event's stored transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) event: EventId,
    pub(crate) entries: Vec<Entry>,
    /// The number of the next part.
    pub(crate) next: u32,
}

impl Stored {
    /// The transcript of an event without one.
    pub(crate) fn none(event: EventId) -> Self {
        Self {
            event,
            entries: Vec::new(),
            next: 0,
        }
    }

    /// Reads the transcript of an event.
    pub(crate) fn read(view: &dyn View, id: ModuleId, event: EventId) -> Result<Self, StoreError> {
        let mut stored = Self::none(event);
        let mut is_whole = true;
        scan(
            view,
            &rows::transcripts_of(id, &rows::event_key(&event)),
            &mut |part, _| {
                let start = usize::try_from(part.start).unwrap_or(usize::MAX);
                is_whole &= start <= stored.entries.len();
                stored.entries.truncate(start);
                stored.entries.extend(part.entries);
                stored.next = part.number.saturating_add(1);
            },
        )?;
        if !is_whole {
            stored.entries.clear();
        }
        Ok(stored)
    }
}

fn scan(view: &dyn View, prefix: &[u8], visit: &mut dyn FnMut(Part, usize)) -> Result<(), StoreError> {
    let mut damaged = None;
    rows::scan(view, prefix, &mut |_, row| match Part::decode(row) {
        Ok(part) => {
            visit(part, row.len());
            ControlFlow::Continue(())
        }
        Err(error) => {
            damaged = Some(error);
            ControlFlow::Break(())
        }
    })?;
    damaged.map_or(Ok(()), Err)
}

/// An event's part of a key.
type EventKey = [u8; rows::EVENT_KEY_BYTES];

/// An index of a module's transcripts.
#[derive(Clone, Debug, Default)]
pub(crate) struct TranscriptLog {
    marks: BTreeMap<EventKey, Mark>,
    /// The keys, oldest first. A key may be gone.
    order: VecDeque<EventKey>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Mark {
    event: EventId,
    /// The parts have all numbers below.
    parts: u32,
    bytes: usize,
    /// The event is a dead letter, whose retry needs the transcript.
    is_held: bool,
}

impl TranscriptLog {
    /// Reads a module's transcripts from a store.
    pub(crate) fn load(view: &dyn View, id: ModuleId) -> Result<Self, StoreError> {
        let mut log = Self::default();
        scan(view, &rows::transcripts(id), &mut |part, bytes| log.mark(&part, bytes))?;
        for (key, mark) in &mut log.marks {
            mark.is_held = view.get(&rows::dead_letter_of(id, key))?.is_some();
        }
        Ok(log)
    }

    pub(crate) fn has(&self, event: &EventId) -> bool {
        !self.marks.is_empty() && self.marks.contains_key(&rows::event_key(event))
    }

    /// Adds a part.
    pub(crate) fn add(&mut self, id: ModuleId, part: &Part, batch: &mut Batch) {
        let row = rows::encode(part);
        self.mark(part, row.len());
        batch.set(part.row(id), row);
    }

    fn mark(&mut self, part: &Part, bytes: usize) {
        let key = rows::event_key(&part.event);
        let mark = self.marks.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            Mark {
                event: part.event,
                parts: 0,
                bytes: 0,
                is_held: false,
            }
        });
        mark.parts = mark.parts.max(part.number.saturating_add(1));
        mark.bytes += bytes;
        self.bytes += bytes;
    }

    /// Keeps the transcript of an event while it is a dead letter. `event` is the event's part of a key.
    pub(crate) fn hold(&mut self, event: &[u8], is_held: bool) {
        let mark = event.try_into().ok().and_then(|key: EventKey| self.marks.get_mut(&key));
        if let Some(mark) = mark {
            mark.is_held = is_held;
        }
    }

    /// Removes the transcripts of the events of `topic` after the block `to`.
    pub(crate) fn revert(&mut self, id: ModuleId, (topic, to): (Topic, Position), batch: &mut Batch) {
        let is_removed = |mark: &Mark| mark.event.topic == topic && mark.event.position.number > to.number;
        let removed = self.marks.iter().filter(|(_, mark)| is_removed(mark));
        let removed: Vec<_> = removed.map(|(key, _)| *key).collect();
        removed.iter().for_each(|key| self.remove(id, key, batch));
    }

    /// Removes some of the transcripts that nexum no longer needs, or that exceed the bound.
    pub(crate) fn prune(&mut self, id: ModuleId, is_final: &IsFinal<'_>, batch: &mut Batch) {
        for _ in 0..LOOKS_PER_COMMIT_MAX {
            let Some(key) = self.order.pop_front() else { break };
            let Some(mark) = self.marks.get(&key) else { continue };
            let is_needed = mark.is_held || !is_final(&mark.event);
            if !is_needed || self.bytes > TRANSCRIPT_BYTES_MAX {
                self.remove(id, &key, batch);
            } else if mark.is_held {
                self.order.push_back(key);
            } else {
                self.order.push_front(key);
                break;
            }
        }
    }

    fn remove(&mut self, id: ModuleId, key: &EventKey, batch: &mut Batch) {
        if let Some(mark) = self.marks.remove(key) {
            self.bytes -= mark.bytes;
            (0..mark.parts).for_each(|number| batch.remove(rows::transcript(id, key, number)));
        }
    }
}

#[cfg(test)]
mod tests;
