//! An index of the records of a module's effects.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use nexum_config::topic::Topic;

use super::{Effect, EffectState, scan};
use crate::event::{EventId, Position};
use crate::state::transcript::TranscriptLog;
use crate::state::undo::IsFinal;
use crate::state::{ModuleId, rows};
use crate::store::{Batch, StoreError, View};

/// The most records of a module's effects, without the stranded ones and those that nexum still needs: see
/// `Mark::is_needed`. At an effect per block, they are more than a day of twelve-second blocks.
pub const EFFECTS_MAX: usize = 10_000;

/// The most bytes of these records: a start of the module reads them all.
const EFFECT_BYTES_MAX: usize = 16 << 20;

/// The most records of stranded effects of a module. Each of them is a request that the module's state
/// does not know, so an operator has looked at them long before there are so many.
pub const STRANDED_MAX: usize = 1_024;

/// The most bytes of the requests and answers of stranded effects, which are in memory.
const STRANDED_BYTES_MAX: usize = 16 << 20;

/// The most records that one commit looks at for removal. An event adds fewer by default.
const LOOKS_PER_COMMIT_MAX: usize = 16;

/// The records of a module's effects. Only their facts are in memory, but for the stranded ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct EffectLog {
    /// By the key of the row.
    marks: BTreeMap<Vec<u8>, Mark>,
    /// The keys, oldest first. A key may be gone.
    order: VecDeque<Vec<u8>>,
    /// The numbers of these marks.
    counts: Counts,
    /// Shared with the handler that runs.
    stranded: Arc<Vec<Effect>>,
    pub(crate) transcripts: TranscriptLog,
}

/// The facts about a record that decide whether nexum still needs it.
#[derive(Clone, Debug)]
struct Mark {
    event: EventId,
    at_ms: u64,
    bytes: usize,
    is_in_doubt: bool,
    /// The event is a dead letter, whose retry needs the record.
    is_held: bool,
    /// The event has ended ok with the effect.
    is_over: bool,
}

impl Mark {
    /// Whether an attempt at the event is still to come, which must find the record.
    fn is_needed(&self) -> bool {
        self.is_held || !self.is_over
    }
}

/// Sums over all marks.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    in_doubt: usize,
    /// The records of events that have neither ended nor become dead letters.
    open: usize,
    /// The records that nexum does not need, and their bytes.
    spare: usize,
    spare_bytes: usize,
}

impl Counts {
    fn add(&mut self, mark: &Mark) {
        self.in_doubt += usize::from(mark.is_in_doubt);
        self.open += usize::from(!mark.is_held && !mark.is_over);
        self.spare += usize::from(!mark.is_needed());
        self.spare_bytes += if mark.is_needed() { 0 } else { mark.bytes };
    }

    fn remove(&mut self, mark: &Mark) {
        self.in_doubt -= usize::from(mark.is_in_doubt);
        self.open -= usize::from(!mark.is_held && !mark.is_over);
        self.spare -= usize::from(!mark.is_needed());
        self.spare_bytes -= if mark.is_needed() { 0 } else { mark.bytes };
    }

    fn are_too_many(&self) -> bool {
        self.spare > EFFECTS_MAX || self.spare_bytes > EFFECT_BYTES_MAX
    }
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
        log.transcripts = TranscriptLog::load(view, id)?;
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
        self.counts.in_doubt + self.stranded.iter().filter(|effect| effect.is_in_doubt()).count()
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

    /// Makes an effect a stranded one, whose record has been the one of an event or is new. Forgets one that has
    /// not happened.
    pub(crate) fn strand(&mut self, id: ModuleId, mut effect: Effect, batch: &mut Batch) {
        self.remove(id, &effect, batch);
        if effect.state == EffectState::Refused {
            return;
        }
        effect.is_stranded = true;
        if let EffectState::Intent = effect.state {
            effect.state = EffectState::Unknown("nexum ended before it knew the outcome".to_owned());
        }
        batch.set(effect.row(id), effect.encode());
        Arc::make_mut(&mut self.stranded).push(effect);
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

    /// Keeps the records and the transcript of an event while it is a dead letter. `event` is the event's part of a key.
    pub(crate) fn hold(&mut self, id: ModuleId, event: &[u8], is_held: bool) {
        self.transcripts.hold(event, is_held);
        if self.marks.is_empty() {
            return;
        }
        let keys: Vec<_> = self.keys_of(id, event).cloned().collect();
        for key in keys {
            if let Some(mark) = self.marks.get_mut(&key) {
                self.counts.remove(mark);
                mark.is_held = is_held;
                self.counts.add(mark);
            }
        }
    }

    /// The keys of the records of abandoned events of `event`'s topic: no further attempt at them will come,
    /// now that `event` does. A reorganisation has removed them while nexum retried it or did not run, or the
    /// operator has skipped them. Later events are still to come: a revert delivers several of them again.
    pub(crate) fn abandoned(&self, event: &EventId) -> Vec<Vec<u8>> {
        if self.counts.open == 0 {
            return Vec::new();
        }
        self.keys_where(|mark| {
            let is_open = !mark.is_held && !mark.is_over;
            let (mine, other) = (&event.position, &mark.event.position);
            is_open && mark.event.topic == event.topic && other != mine && other.number <= mine.number
        })
    }

    /// Strands the effects of the events of `topic` after the block `to`. Another attempt comes at each other one
    /// of the reverted `events`, so it needs its records. After an error nothing has changed.
    pub(crate) fn revert(
        &mut self,
        view: &dyn View,
        id: ModuleId,
        (topic, to): (Topic, Position),
        events: &[(Topic, Position)],
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        let is_removed = |event: &EventId| event.topic == topic && event.position.number > to.number;
        let removed = read(view, &self.keys_where(|mark| is_removed(&mark.event)))?;
        let comes_again = |event: &EventId| !is_removed(event) && events.contains(&(event.topic, event.position));
        let again = read(view, &self.keys_where(|mark| mark.is_over && comes_again(&mark.event)))?;
        removed.into_iter().for_each(|effect| self.strand(id, effect, batch));
        self.transcripts.revert(id, (topic, to), batch);
        for effect in again {
            let is_over = false;
            self.set(id, &Effect { is_over, ..effect }, batch);
        }
        Ok(())
    }

    /// The keys of the rows with such marks.
    fn keys_where(&self, is_it: impl Fn(&Mark) -> bool) -> Vec<Vec<u8>> {
        let marks = self.marks.iter().filter(|(_, mark)| is_it(mark));
        marks.map(|(key, _)| key.clone()).collect()
    }

    /// Removes some of the records that nexum no longer needs: those that are older than `kept_since_ms` in
    /// milliseconds since the Unix epoch, or more than the bounds. Returns the stranded effects that no event will
    /// adopt any more, once.
    pub(crate) fn prune(
        &mut self,
        id: ModuleId,
        is_final: &IsFinal<'_>,
        kept_since_ms: u64,
        batch: &mut Batch,
    ) -> Vec<Effect> {
        for _ in 0..LOOKS_PER_COMMIT_MAX {
            let Some(key) = self.order.pop_front() else { break };
            let Some(mark) = self.marks.get(&key) else { continue };
            let is_old = mark.at_ms < kept_since_ms && is_final(&mark.event);
            if mark.is_needed() {
                self.order.push_back(key);
            } else if is_old || self.counts.are_too_many() {
                self.drop_mark(&key);
                batch.remove(key);
            } else {
                self.order.push_front(key);
                break;
            }
        }
        self.transcripts.prune(id, is_final, batch);
        self.prune_stranded(id, is_final, kept_since_ms, batch)
    }

    fn prune_stranded(
        &mut self,
        id: ModuleId,
        is_final: &IsFinal<'_>,
        kept_since_ms: u64,
        batch: &mut Batch,
    ) -> Vec<Effect> {
        let mut count = self.stranded.len();
        let mut bytes: usize = self.stranded.iter().map(size_of_stranded).sum();
        let is_too_much = |count, bytes| count > STRANDED_MAX || bytes > STRANDED_BYTES_MAX;
        let is_lost = |effect: &Effect| effect.is_reported || is_final(&effect.event);
        let is_old = |effect: &Effect| is_final(&effect.event) && effect.at_ms < kept_since_ms;
        let stays = |effect: &Effect| !is_lost(effect) || (effect.is_reported && !is_old(effect));
        if !is_too_much(count, bytes) && self.stranded.iter().all(stays) {
            return Vec::new();
        }
        let mut lost = Vec::new();
        // The oldest come first.
        Arc::make_mut(&mut self.stranded).retain_mut(|effect| {
            let goes = is_too_much(count, bytes) || (effect.is_reported && is_old(effect));
            if goes {
                (count, bytes) = (count - 1, bytes - size_of_stranded(effect));
                batch.remove(effect.row(id));
            }
            if !effect.is_reported && (goes || is_lost(effect)) {
                effect.is_reported = true;
                lost.push(effect.clone());
                if !goes {
                    batch.set(effect.row(id), effect.encode());
                }
            }
            !goes
        });
        lost
    }

    /// Sets the facts about a record. Returns whether it is new.
    fn mark(&mut self, effect: &Effect, id: ModuleId, bytes: usize) -> bool {
        let key = effect.row(id);
        let is_held = self.marks.get(&key).is_some_and(|mark| mark.is_held);
        let is_new = !self.drop_mark(&key);
        let mark = Mark {
            event: effect.event,
            at_ms: effect.at_ms,
            bytes,
            is_in_doubt: effect.is_in_doubt(),
            is_held,
            is_over: effect.is_over,
        };
        self.counts.add(&mark);
        self.marks.insert(key, mark);
        is_new
    }

    /// Forgets the facts about a record. Returns whether there were any.
    fn drop_mark(&mut self, key: &[u8]) -> bool {
        let Some(mark) = self.marks.remove(key) else {
            return false;
        };
        self.counts.remove(&mark);
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

/// Reads the records with these keys, which the log has.
pub(crate) fn read(view: &dyn View, keys: &[Vec<u8>]) -> Result<Vec<Effect>, StoreError> {
    let read = |key: &Vec<u8>| {
        let row = view.get(key)?;
        let row = row.ok_or_else(|| StoreError::Damaged("the record of an effect is missing".to_owned()))?;
        Effect::decode(&row)
    };
    keys.iter().map(read).collect()
}

/// The bytes of a stranded effect in memory, about.
fn size_of_stranded(effect: &Effect) -> usize {
    let answer = match &effect.state {
        EffectState::Done(Some(answer)) => answer.len(),
        _ => 0,
    };
    effect.request.len() + answer
}

#[cfg(test)]
mod tests;
