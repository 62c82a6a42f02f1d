//! An index of the records of a module's effects.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use nexum_config::topic::Topic;

use super::{Effect, EffectState, scan};
use crate::event::{EventId, Position};
use crate::state::undo::Settled;
use crate::state::{ModuleId, rows};
use crate::store::{Batch, StoreError, View};

/// The most records of a module's effects, without the stranded ones. At an effect per block, they are more
/// than a day of twelve-second blocks.
pub const EFFECTS_MAX: usize = 10_000;

/// The most bytes of these records: a start of the module reads them all.
const EFFECT_BYTES_MAX: usize = 16 << 20;

/// The most records of stranded effects of a module. Each of them is a request that the module's state
/// does not know, so an operator has looked at them long before there are so many.
pub const STRANDED_MAX: usize = 1_024;

/// The most records that one commit looks at for removal. An event adds fewer by default.
const LOOKS_PER_COMMIT_MAX: usize = 16;

/// The records of a module's effects. Only their facts are in memory, but for the stranded ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct EffectLog {
    /// By the key of the row.
    marks: BTreeMap<Vec<u8>, Mark>,
    /// The keys, oldest first. A key may be gone.
    order: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The number of marks that are in doubt.
    in_doubt: usize,
    /// Shared with the handler that runs.
    stranded: Arc<Vec<Effect>>,
}

/// The facts about a record that decide whether nexum still needs it.
#[derive(Clone, Debug)]
struct Mark {
    topic: Topic,
    number: u64,
    at_ms: u64,
    bytes: usize,
    is_in_doubt: bool,
    /// The event is a dead letter, whose retry needs the record.
    is_held: bool,
}

impl EffectLog {
    /// Reads a module's records from a store.
    pub(crate) fn load(view: &dyn View, id: ModuleId) -> Result<Self, StoreError> {
        let mut log = Self::default();
        let mut found = Vec::new();
        scan(view, &rows::effects(id), &mut |effect, bytes| {
            found.push((effect.at_ms, effect.row(id)));
            log.mark(&effect, id, bytes);
            ControlFlow::Continue(())
        })?;
        found.sort();
        log.order = found.into_iter().map(|(_, key)| key).collect();
        let mut events: Vec<Vec<u8>> = log.marks.keys().map(|key| event_of(key).to_vec()).collect();
        events.dedup();
        for event in events {
            let is_letter = view.get(&rows::dead_letter_of(id, &event))?.is_some();
            log.hold(id, &event, is_letter);
        }
        let mut stranded = Vec::new();
        scan(view, &rows::all_stranded(id), &mut |effect, _| {
            stranded.push(effect);
            ControlFlow::Continue(())
        })?;
        stranded.sort_by_key(|effect| effect.at_ms);
        log.stranded = Arc::new(stranded);
        Ok(log)
    }

    /// Whether the event has records.
    pub(crate) fn has(&self, id: ModuleId, event: &EventId) -> bool {
        !self.marks.is_empty() && self.keys_of(id, &rows::event_key(event)).next().is_some()
    }

    /// The stranded effects. `None` if there are none.
    pub(crate) fn stranded(&self) -> Option<Arc<Vec<Effect>>> {
        (!self.stranded.is_empty()).then(|| self.stranded.clone())
    }

    /// The number of effects about which only the operator can say whether they happened.
    pub(crate) fn in_doubt(&self) -> usize {
        self.in_doubt + self.stranded.iter().filter(|effect| effect.is_in_doubt()).count()
    }

    /// Adds or replaces a record.
    pub(crate) fn set(&mut self, id: ModuleId, effect: &Effect, batch: &mut Batch) {
        let (key, row) = (effect.row(id), effect.encode());
        if self.mark(effect, id, row.len()) {
            self.order.push_back(key.clone());
        }
        batch.set(key, row);
    }

    /// Removes a record.
    pub(crate) fn remove(&mut self, id: ModuleId, effect: &Effect, batch: &mut Batch) {
        let key = effect.row(id);
        self.drop_mark(&key);
        batch.remove(key);
    }

    /// Makes an effect a stranded one, whose record has been the one of an event or is new.
    pub(crate) fn strand(&mut self, id: ModuleId, mut effect: Effect, batch: &mut Batch) {
        self.remove(id, &effect, batch);
        effect.is_stranded = true;
        if let EffectState::Intent = effect.state {
            effect.state = EffectState::Unknown("nexum ended before it knew the outcome".to_owned());
        }
        batch.set(effect.row(id), effect.encode());
        let stranded = Arc::make_mut(&mut self.stranded);
        stranded.push(effect);
        if stranded.len() > STRANDED_MAX {
            let oldest = stranded.remove(0);
            batch.remove(oldest.row(id));
        }
    }

    /// Removes the record of a stranded effect, which another event has adopted.
    pub(crate) fn adopted(&mut self, id: ModuleId, effect: &Effect, batch: &mut Batch) {
        let key = effect.row(id);
        Arc::make_mut(&mut self.stranded).retain(|stranded| stranded.row(id) != key);
        batch.remove(key);
    }

    /// Changes a record as the operator says: see [`Effect::resolved`].
    pub(crate) fn resolve(&mut self, id: ModuleId, old: &Effect, new: Option<Effect>, batch: &mut Batch) {
        if !old.is_stranded {
            return match new {
                Some(new) => self.set(id, &new, batch),
                None => self.remove(id, old, batch),
            };
        }
        let key = old.row(id);
        batch.put(key.clone(), new.as_ref().map(Effect::encode));
        let stranded = Arc::make_mut(&mut self.stranded);
        stranded.retain(|stranded| stranded.row(id) != key);
        stranded.extend(new);
    }

    /// Keeps the records of an event while it is a dead letter. `event` is the event's part of a key.
    pub(crate) fn hold(&mut self, id: ModuleId, event: &[u8], is_held: bool) {
        if self.marks.is_empty() {
            return;
        }
        let keys: Vec<_> = self.keys_of(id, event).cloned().collect();
        for key in keys {
            if let Some(mark) = self.marks.get_mut(&key) {
                mark.is_held = is_held;
            }
        }
    }

    /// Strands the effects of the events of `topic` after the block `to`. After an error nothing has changed.
    pub(crate) fn revert(
        &mut self,
        view: &dyn View,
        id: ModuleId,
        (topic, to): (Topic, Position),
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        let is_reverted = |mark: &Mark| mark.topic == topic && mark.number > to.number;
        let keys = self.marks.iter().filter(|(_, mark)| is_reverted(mark));
        let keys: Vec<_> = keys.map(|(key, _)| key.clone()).collect();
        let mut reverted = Vec::with_capacity(keys.len());
        for key in &keys {
            let row = view.get(key)?;
            let row = row.ok_or_else(|| StoreError::Damaged("the record of an effect is missing".to_owned()))?;
            reverted.push(Effect::decode(&row)?);
        }
        reverted.into_iter().for_each(|effect| self.strand(id, effect, batch));
        Ok(())
    }

    /// Removes some of the records that nexum no longer needs: those that are older than `kept_since_ms` in
    /// milliseconds since the Unix epoch, or more than the bounds, and not those of a dead letter. Returns the
    /// stranded effects that no event will adopt any more, once.
    pub(crate) fn prune(
        &mut self,
        id: ModuleId,
        settled: &Settled<'_>,
        kept_since_ms: u64,
        batch: &mut Batch,
    ) -> Vec<Effect> {
        for _ in 0..LOOKS_PER_COMMIT_MAX {
            let Some(key) = self.order.pop_front() else { break };
            let Some(mark) = self.marks.get(&key) else { continue };
            let too_much = self.marks.len() > EFFECTS_MAX || self.bytes > EFFECT_BYTES_MAX;
            let is_old = mark.at_ms < kept_since_ms && is_settled(mark.topic, mark.number, settled);
            if mark.is_held {
                self.order.push_back(key);
            } else if too_much || is_old {
                self.drop_mark(&key);
                batch.remove(key);
            } else {
                self.order.push_front(key);
                break;
            }
        }
        self.prune_stranded(id, settled, kept_since_ms, batch)
    }

    fn prune_stranded(
        &mut self,
        id: ModuleId,
        settled: &Settled<'_>,
        kept_since_ms: u64,
        batch: &mut Batch,
    ) -> Vec<Effect> {
        let is_lost = |effect: &Effect| is_settled(effect.event.topic, effect.event.position.number, settled);
        let needs_none = |effect: &Effect| !is_lost(effect) || (effect.is_reported && effect.at_ms >= kept_since_ms);
        if self.stranded.iter().all(needs_none) {
            return Vec::new();
        }
        let mut lost = Vec::new();
        Arc::make_mut(&mut self.stranded).retain_mut(|effect| {
            if !is_lost(effect) {
                return true;
            }
            let is_old = effect.is_reported && effect.at_ms < kept_since_ms;
            if is_old {
                batch.remove(effect.row(id));
            } else if !std::mem::replace(&mut effect.is_reported, true) {
                batch.set(effect.row(id), effect.encode());
                lost.push(effect.clone());
            }
            !is_old
        });
        lost
    }

    /// Sets the facts about a record. Returns whether it is new.
    fn mark(&mut self, effect: &Effect, id: ModuleId, bytes: usize) -> bool {
        let key = effect.row(id);
        let is_held = self.marks.get(&key).is_some_and(|mark| mark.is_held);
        let is_new = !self.drop_mark(&key);
        self.bytes += bytes;
        self.in_doubt += usize::from(effect.is_in_doubt());
        let mark = Mark {
            topic: effect.event.topic,
            number: effect.event.position.number,
            at_ms: effect.at_ms,
            bytes,
            is_in_doubt: effect.is_in_doubt(),
            is_held,
        };
        self.marks.insert(key, mark);
        is_new
    }

    /// Forgets the facts about a record. Returns whether there were any.
    fn drop_mark(&mut self, key: &[u8]) -> bool {
        let Some(mark) = self.marks.remove(key) else {
            return false;
        };
        self.bytes -= mark.bytes;
        self.in_doubt -= usize::from(mark.is_in_doubt);
        true
    }

    /// The keys of the rows of an event's records.
    fn keys_of(&self, id: ModuleId, event: &[u8]) -> impl Iterator<Item = &Vec<u8>> {
        let prefix = rows::effects_of(id, event);
        let from = self.marks.range(prefix.clone()..);
        from.map(|(key, _)| key).take_while(move |key| key.starts_with(&prefix))
    }
}

/// The event's part of the key of a record's row.
fn event_of(key: &[u8]) -> &[u8] {
    let start = 1 + size_of::<u32>();
    key.get(start..start + rows::EVENT_KEY_BYTES).unwrap_or_default()
}

fn is_settled(topic: Topic, number: u64, settled: &Settled<'_>) -> bool {
    settled(topic).is_none_or(|settled| number <= settled)
}
