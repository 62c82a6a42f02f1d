//! One module's part of the store, as its runner holds it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use nexum_config::topic::Topic;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::effect::{Effect, EffectLog, Resolution};
use super::transcript::Part;
use super::undo::{self, Reach, Settled, Undo, UndoLog};
use super::{Cursors, DeadLetter, Letters, ModuleId, Usage, count_dead_letters, rows};
use crate::event::{EventId, Position};
use crate::store::{Batch, StateStore, StoreError, View};

/// An event's change to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) old: Option<Vec<u8>>,
    pub(crate) new: Option<Vec<u8>>,
}

/// An event's changes to its module's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Each key whose value has changed.
    pub(crate) keys: BTreeMap<Vec<u8>, Change>,
    /// Each dead letter that the event added or removed.
    pub(crate) dead_letters: Vec<(EventId, Change)>,
    /// The size of the module's state after these changes.
    pub(crate) usage: Usage,
    /// The changes of the records of its effects. `None` if there are none.
    pub(crate) effects: Option<Box<EffectChanges>>,
}

/// A handler call's changes of the records of effects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EffectChanges {
    /// The records of requests that the call has sent or tried to send.
    pub(crate) set: Vec<Effect>,
    /// The records of earlier requests that the call did not have to send.
    pub(crate) known: Vec<Effect>,
    /// Effects of earlier attempts, of which the module's state does not know.
    pub(crate) stranded: Vec<Effect>,
    /// Stranded effects that the call has adopted.
    pub(crate) adopted: Vec<Effect>,
    /// The host calls that led to the newest effect.
    pub(crate) transcript: Option<Part>,
}

impl EffectChanges {
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            set,
            known,
            stranded,
            adopted,
            transcript,
        } = self;
        transcript.is_none() && [set, known, stranded, adopted].iter().all(|effects| effects.is_empty())
    }
}

impl Changes {
    /// Adds the removal of a dead letter to these changes.
    pub(crate) fn without_letter(mut self, letter: &DeadLetter) -> Self {
        let (old, new) = (Some(letter.encode()), None);
        self.dead_letters.push((letter.id, Change { old, new }));
        self
    }

    /// Whether the store needs no change.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.dead_letters.is_empty() && self.effects.is_none()
    }
}

/// A module's stored cursors and usage.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ProgressRow {
    pub(super) cursors: Cursors,
    pub(super) usage: Usage,
    /// The reach of the newest event without an undo record. No revert can go below it.
    forgotten: Reach,
}

impl ProgressRow {
    pub(super) fn read(view: &dyn View, id: ModuleId) -> Result<Self, StoreError> {
        match view.get(&rows::progress(id))? {
            Some(row) => rows::decode(&row, "a module's cursors"),
            None => Ok(Self::default()),
        }
    }
}

/// A module's cursors, usage and undo records. The store may lag behind them, and is never ahead.
#[derive(Debug)]
pub(crate) struct ModuleState {
    id: ModuleId,
    progress: ProgressRow,
    undo: UndoLog,
    effects: EffectLog,
    /// The dead letters. Stored here, because a count reads all of them.
    dead_letters: Letters,
}

/// An error of reverting a module's events.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevertError {
    #[error("the undo records of chain {topic} do not reach back to block {to}")]
    TooDeep { topic: Topic, to: Position },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ModuleState {
    /// The state of a new module.
    pub(crate) fn empty(id: ModuleId) -> Self {
        Self {
            id,
            progress: ProgressRow::default(),
            undo: UndoLog::default(),
            effects: EffectLog::default(),
            dead_letters: Letters::default(),
        }
    }

    /// Loads a module's state from the store.
    pub(crate) fn load(view: &dyn View, id: ModuleId) -> Result<Self, StoreError> {
        Ok(Self {
            id,
            progress: ProgressRow::read(view, id)?,
            undo: UndoLog::load(view, id)?,
            effects: EffectLog::load(view, id)?,
            dead_letters: count_dead_letters(view, id)?,
        })
    }

    /// [`load`](Self::load) for a runner that starts: the store also reads the module's keys, if they are
    /// few.
    pub(crate) fn load_to_run(store: &dyn StateStore, view: &dyn View, id: ModuleId) -> Result<Self, StoreError> {
        let state = Self::load(view, id)?;
        if state.usage().is_small() {
            store.prefetch(&rows::states(id))?;
        }
        Ok(state)
    }

    pub(crate) fn id(&self) -> ModuleId {
        self.id
    }

    pub(crate) fn cursors(&self) -> &Cursors {
        &self.progress.cursors
    }

    pub(crate) fn cursors_mut(&mut self) -> &mut Cursors {
        &mut self.progress.cursors
    }

    pub(crate) fn usage(&self) -> Usage {
        self.progress.usage
    }

    pub(crate) fn dead_letters(&self) -> Letters {
        self.dead_letters
    }

    pub(crate) fn effects(&self) -> &EffectLog {
        &self.effects
    }

    /// The row with the module's cursors and usage.
    pub(crate) fn progress(&self) -> (Vec<u8>, Vec<u8>) {
        (rows::progress(self.id), rows::encode(&self.progress))
    }

    /// Adds an event's changes to a batch. The cursors are still those before the event.
    pub(crate) fn record(
        &mut self,
        changes: Changes,
        event: Option<(Topic, Position)>,
        settled: &Settled<'_>,
        batch: &mut Batch,
    ) {
        let mut old = Vec::with_capacity(changes.keys.len());
        for (key, change) in changes.keys {
            batch.put(rows::state(self.id, &key), change.new);
            old.push((ByteBuf::from(key), change.old.map(ByteBuf::from)));
        }
        let mut dead_letters = Vec::with_capacity(changes.dead_letters.len());
        for (letter, change) in changes.dead_letters {
            let bytes = |row: &Option<Vec<u8>>| row.as_ref().map(Vec::len);
            self.dead_letters = self.dead_letters.after(bytes(&change.old), bytes(&change.new));
            self.effects
                .hold(self.id, &rows::event_key(&letter), change.new.is_some());
            batch.put(rows::dead_letter(self.id, &letter), change.new);
            dead_letters.push((letter, change.old.map(ByteBuf::from)));
        }
        if let Some(effects) = changes.effects {
            self.record_effects(*effects, batch);
        }
        let undo = Undo {
            event,
            before: self.progress.cursors.clone(),
            usage: self.progress.usage,
            old,
            dead_letters,
        };
        let forgotten = self.undo.record(self.id, &undo, settled, batch);
        self.forget(forgotten);
        self.progress.usage = changes.usage;
    }

    /// Adds the changes of the records of effects to a batch.
    pub(crate) fn record_effects(&mut self, changes: EffectChanges, batch: &mut Batch) {
        let (id, effects) = (self.id, &mut self.effects);
        changes
            .adopted
            .iter()
            .for_each(|effect| effects.adopted(id, effect, batch));
        let part = changes.transcript.iter();
        part.for_each(|part| effects.transcripts.add(id, part, batch));
        let set = changes.set.iter().chain(&changes.known);
        set.for_each(|effect| effects.set(id, effect, batch));
        // The log has a warning about them at once.
        let is_reported = true;
        let stranded = changes.stranded.into_iter();
        let stranded = stranded.map(|effect| Effect { is_reported, ..effect });
        stranded.for_each(|effect| effects.strand(id, effect, batch));
    }

    /// Strands effects whose events will not come again.
    pub(crate) fn strand_effects(&mut self, effects: Vec<Effect>, batch: &mut Batch) {
        let effects = effects.into_iter();
        effects.for_each(|effect| self.effects.strand(self.id, effect, batch));
    }

    /// Changes the stored record of an effect as the operator says, at this time in milliseconds since the Unix epoch.
    pub(crate) fn resolve_effect(&mut self, old: Effect, resolution: Resolution, now_ms: u64) -> Batch {
        let mut batch = Batch::default();
        let new = old.clone().resolved(resolution, now_ms);
        self.effects.resolve(self.id, &old, new, &mut batch);
        batch
    }

    /// Completes a batch with the current cursors. Removes the records of effects that are older than
    /// `effects_since_ms`, in milliseconds since the Unix epoch. Returns the stranded effects that no event will
    /// adopt any more.
    pub(crate) fn seal(&mut self, settled: &Settled<'_>, effects_since_ms: u64, batch: &mut Batch) -> Vec<Effect> {
        let forgotten = self.undo.prune(self.id, settled, batch);
        self.forget(forgotten);
        let (undo, cursors) = (&self.undo, &self.progress.cursors);
        let is_final = |event: &EventId| {
            is_passed(event, cursors) && is_settled(event, settled) && !undo.has(event.topic, event.position)
        };
        let lost = self.effects.prune(self.id, &is_final, effects_since_ms, batch);
        let (key, row) = self.progress();
        batch.set(key, row);
        lost
    }

    /// Reverts every event that can depend on a block of `topic` after the block `to`. The caller
    /// writes the batch before any other change of the module. After an error nothing has changed.
    pub(crate) fn revert(&mut self, view: &dyn View, topic: Topic, to: Position) -> Result<Batch, RevertError> {
        let sequences: Vec<u64> = self.undo.after(topic, to).collect();
        if undo::reach_of(&self.progress.forgotten, topic).is_some_and(|number| number > to.number) {
            return Err(RevertError::TooDeep { topic, to });
        }
        let mut batch = Batch::default();
        let mut progress = self.progress.clone();
        let mut letters = BTreeMap::new();
        let mut events = Vec::new();
        for &sequence in &sequences {
            let row = rows::undo(self.id, sequence);
            let undo = view.get(&row)?;
            let undo = undo.ok_or_else(|| StoreError::Damaged("an undo record is missing".to_owned()))?;
            let undo = undo::decode(&undo)?;
            events.extend(undo.events());
            for (key, old) in undo.old {
                batch.put(rows::state(self.id, &key), old.map(ByteBuf::into_vec));
            }
            for (letter, old) in undo.dead_letters {
                letters.insert(rows::dead_letter(self.id, &letter), old.map(ByteBuf::into_vec));
            }
            batch.remove(row);
            (progress.cursors, progress.usage) = (undo.before, undo.usage);
        }
        let (mut dead_letters, mut held) = (self.dead_letters, Vec::new());
        for (row, old) in letters {
            let bytes = |row: &Option<Vec<u8>>| row.as_ref().map(Vec::len);
            dead_letters = dead_letters.after(bytes(&view.get(&row)?), bytes(&old));
            held.push((rows::event_of_letter(&row).to_vec(), old.is_some()));
            batch.put(row, old);
        }
        let mut effects = self.effects.clone();
        effects.revert(view, self.id, (topic, to), &events, &mut batch)?;
        progress.cursors = progress.cursors.reverted(&self.progress.cursors, topic, to);
        for (event, is_held) in held {
            effects.hold(self.id, &event, is_held);
        }
        (self.progress, self.dead_letters, self.effects) = (progress, dead_letters, effects);
        if let Some(&first) = sequences.last() {
            self.undo.truncate(first);
        }
        let (key, row) = self.progress();
        batch.set(key, row);
        Ok(batch)
    }

    fn forget(&mut self, forgotten: Option<Reach>) {
        if let Some(forgotten) = forgotten {
            self.progress.forgotten = forgotten;
        }
    }
}

/// Whether a revert can restore the module's state from before its first event of a topic: nexum has
/// removed none of the topic's undo records.
pub(crate) fn reaches_first_event(view: &dyn View, id: ModuleId, topic: Topic) -> Result<bool, StoreError> {
    let progress = ProgressRow::read(view, id)?;
    Ok(undo::reach_of(&progress.forgotten, topic).is_none())
}

/// Whether the module has handled the event, or does not follow its topic any more.
fn is_passed(event: &EventId, cursors: &Cursors) -> bool {
    cursors.get(event.topic).is_none_or(|cursor| {
        let last = cursor.last.map(|last| last.position.number);
        last.is_some_and(|last| event.position.number <= last)
    })
}

/// Whether no reorganisation of the event's own topic can remove it.
fn is_settled(event: &EventId, settled: &Settled<'_>) -> bool {
    settled(event.topic).is_none_or(|settled| event.position.number <= settled)
}
