//! One module's part of the store, as its runner holds it.

use std::collections::BTreeMap;

use nexum_config::topic::Topic;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::effect::{Effect, EffectLog, Resolution};
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
}

impl EffectChanges {
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            set,
            known,
            stranded,
            adopted,
        } = self;
        [set, known, stranded, adopted].iter().all(|effects| effects.is_empty())
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
        let lost = self.effects.prune(self.id, settled, effects_since_ms, batch);
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
        for &sequence in &sequences {
            let row = rows::undo(self.id, sequence);
            let undo = view.get(&row)?;
            let undo = undo.ok_or_else(|| StoreError::Damaged("an undo record is missing".to_owned()))?;
            let undo = undo::decode(&undo)?;
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
        effects.revert(view, self.id, (topic, to), &mut batch)?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nexum_config::limits::{Limit, Limits};
    use nexum_config::topic::{ChainTopic, Finality};
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::event::{EventKind, Handler};
    use crate::state::scope::EventScope;
    use crate::state::{Cursor, Progress, intern};
    use crate::store::{MemoryStore, wait};

    const TOPIC: Topic = Topic::Chain(ChainTopic {
        chain_id: 1,
        finality: Finality::Latest,
    });

    /// The lowest block: no revert goes below it.
    const FIRST: u64 = 1;

    /// The limit on the module's keys, below the number of different keys in `writes`.
    const KEYS_MAX: u64 = 3;

    #[derive(Clone, Debug)]
    enum Step {
        /// A block, whose event becomes a dead letter where it fails. A crash loses its commit.
        Block {
            fails: bool,
            crashes: bool,
            /// Keys with the lengths of their new values. `None` deletes the key.
            writes: Vec<(u8, Option<usize>)>,
        },
        /// The operator retries a dead letter.
        Retry {
            which: usize,
            fails: bool,
        },
        Revert {
            depth: u64,
        },
        Restart,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (any::<bool>(), prop::bool::weighted(0.2), writes())
                .prop_map(|(fails, crashes, writes)| Step::Block { fails, crashes, writes }),
            2 => (any::<usize>(), any::<bool>()).prop_map(|(which, fails)| Step::Retry { which, fails }),
            1 => (0..6_u64).prop_map(|depth| Step::Revert { depth }),
            1 => Just(Step::Restart),
        ]
    }

    fn writes() -> impl Strategy<Value = Vec<(u8, Option<usize>)>> {
        prop::collection::vec((0..6_u8, prop::option::weighted(0.7, 0..4_usize)), 0..8)
    }

    struct World {
        store: Arc<MemoryStore>,
        state: ModuleState,
        head: u64,
    }

    impl World {
        fn take(&mut self, step: Step) {
            match step {
                Step::Block { fails, crashes, writes } => {
                    let number = self.head + 1;
                    let mut changes = self.written(&writes, fails);
                    if fails {
                        let (old, new) = (None, Some(b"once".to_vec()));
                        changes.dead_letters.push((id(number), Change { old, new }));
                    }
                    let position = position(number);
                    let done = EventKind::Block;
                    let cursor = Cursor {
                        topic: TOPIC,
                        live_from: 0,
                        last: Some(Progress { position, done }),
                    };
                    let batch = self.batch(changes, Some((TOPIC, position)), Some(cursor));
                    if crashes {
                        return self.take(Step::Restart);
                    }
                    self.store.write(&batch).expect("a write");
                    self.head = number;
                }
                Step::Retry { which, fails } => {
                    let view = self.view();
                    let there =
                        (1..=self.head).map(|number| (id(number), rows::dead_letter(self.state.id, &id(number))));
                    let letters = there.filter_map(|(id, row)| Some((id, view.get(&row).expect("a view")?)));
                    let letters: Vec<_> = letters.collect();
                    if letters.is_empty() {
                        return;
                    }
                    let (id, old) = letters[which % letters.len()].clone();
                    let new = fails.then(|| b"again".to_vec());
                    let mut changes = self.written(&[], false);
                    changes.dead_letters.push((id, Change { old: Some(old), new }));
                    let batch = self.batch(changes, None, None);
                    self.store.write(&batch).expect("a write");
                }
                Step::Revert { depth } => {
                    self.head = self.head.saturating_sub(depth).max(FIRST);
                    let view = self.view();
                    let batch = self.state.revert(&*view, TOPIC, position(self.head)).expect("a revert");
                    self.store.write(&batch).expect("a write");
                }
                Step::Restart => self.state = ModuleState::load(&*self.view(), self.state.id).expect("a state"),
            }
        }

        fn view(&self) -> Box<dyn View> {
            self.store.view().expect("a view")
        }

        /// The changes of a handler that makes these writes, and then perhaps fails.
        fn written(&self, writes: &[(u8, Option<usize>)], fails: bool) -> Changes {
            let limits = Limits::default().with(Limit::StateKeys, KEYS_MAX);
            let mut scope = EventScope::new(self.state.id, self.store.clone(), limits);
            let open = |scope: &mut EventScope| scope.open(Handler::Init, Instant::now(), 1, self.state.usage(), None);
            open(&mut scope);
            for (key, value) in writes {
                let keys = scope.usage().keys;
                let is_new = wait(scope.get(&[*key])).expect("a view").is_none();
                let done = match value {
                    Some(length) => wait(scope.set(vec![*key], vec![0; *length])),
                    None => wait(scope.delete(&[*key])),
                };
                let denied = value.is_some() && is_new && keys == KEYS_MAX;
                assert_eq!(done.is_err(), denied, "key {key} of {keys}");
            }
            if fails {
                open(&mut scope);
            }
            scope.close()
        }

        fn batch(&mut self, changes: Changes, event: Option<(Topic, Position)>, cursor: Option<Cursor>) -> Batch {
            let settled = |_| Some(FIRST);
            let mut batch = Batch::default();
            self.state.record(changes, event, &settled, &mut batch);
            cursor
                .into_iter()
                .for_each(|cursor| self.state.cursors_mut().set(cursor));
            self.state.seal(&settled, 0, &mut batch);
            batch
        }
    }

    fn position(number: u64) -> Position {
        let hash = [0; 32];
        Position { number, hash }
    }

    fn id(number: u64) -> EventId {
        EventId {
            topic: TOPIC,
            position: position(number),
            kind: EventKind::Block,
        }
    }

    /// The usage according to the rows.
    fn found(view: &dyn View, id: ModuleId) -> Usage {
        let mut usage = Usage::default();
        rows::scan(view, &rows::states(id), &mut |key, value| {
            usage.keys += 1;
            usage.bytes += (rows::guest_key(key).len() + value.len()) as u64;
            std::ops::ControlFlow::Continue(())
        })
        .expect("a scan");
        usage
    }

    proptest! {
        #[test]
        fn dead_letters_and_usage_are_as_many_as_there_are_rows(steps in prop::collection::vec(step(), 1..60)) {
            let store = Arc::new(MemoryStore::new());
            let name = "module".parse().expect("a name");
            let id = intern(&*store, &[name]).expect("a number")[0];
            let mut world = World { store, state: ModuleState::empty(id), head: 0 };
            world.take(Step::Block { fails: false, crashes: false, writes: Vec::new() });
            for step in steps {
                let after = format!("{step:?}");
                world.take(step);
                let rows = count_dead_letters(&*world.view(), id).expect("a count");
                prop_assert_eq!(world.state.dead_letters(), rows, "after {}", after);
                let usage = ProgressRow::read(&*world.view(), id).expect("a row").usage;
                prop_assert_eq!(world.state.usage(), usage, "after {}", after);
                prop_assert!(usage.keys <= KEYS_MAX, "{} keys after {}", usage.keys, after);
                prop_assert_eq!(found(&*world.view(), id), usage, "after {}", after);
            }
        }
    }
}
