//! A runner's unit of work: the changes of a module's events, on their way into the store.

use std::sync::Arc;
use std::time::Duration;

use nexum_config::topic::Topic;
use tokio::time::Instant;

use super::recording::Waited;
use crate::BoxError;
use crate::clock::Clock;
use crate::event::{EventId, Position};
use crate::module::call::HandlerContext;
use crate::state::scope::Pending;
use crate::state::scope::journal::EarlierEffects;
use crate::state::{
    self, Changes, Cursor, Cursors, DeadLetter, Effect, EffectChanges, Letters, ModuleId, ModuleState, Part,
    Resolution, RevertError, Settled, Stored,
};
use crate::store::committer::{CommitError, CommitPolicy, Committer};
use crate::store::outage::StoreOutage;
use crate::store::{self, Batch, StateStore, StoreError};

/// The bytes of deferred changes that force a commit during a replay, however few events made them.
/// Twice this much is in memory until the commit.
const DEFERRED_BYTES_MAX: usize = 4 << 20;

/// Collects and commits the changes of a module's events. [`Self::reload`] returns to the stored
/// state.
pub(crate) struct Transaction {
    state: ModuleState,
    store: Arc<dyn StateStore>,
    committer: Committer,
    policy: CommitPolicy,
    clock: Arc<dyn Clock>,
    deferred: Deferred,
    /// Whether the cursors have moved since they were last given to the committer.
    moved: bool,
    /// The wait for commits since the last look.
    waited: Option<Waited>,
    /// Stranded effects that no event adopts any more, since the last look.
    lost: Vec<Effect>,
    /// The records of effects that the store may not have, because a commit failed.
    unsaved: Vec<Effect>,
}

/// Events of a replay that share one commit.
#[derive(Default)]
struct Deferred {
    batch: Batch,
    events: usize,
    /// The changes of the deferred events, for later events to read.
    pending: Option<Arc<Pending>>,
}

impl Transaction {
    pub(crate) fn new(
        state: ModuleState,
        store: Arc<dyn StateStore>,
        committer: Committer,
        policy: CommitPolicy,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            state,
            store,
            committer,
            policy,
            clock,
            deferred: Deferred::default(),
            moved: false,
            waited: None,
            lost: Vec::new(),
            unsaved: Vec::new(),
        }
    }

    pub(super) fn id(&self) -> ModuleId {
        self.state.id()
    }

    pub(super) fn store(&self) -> &Arc<dyn StateStore> {
        &self.store
    }

    /// The outages of reads, for the runner's reports.
    pub(super) fn reads(&self) -> &StoreOutage {
        self.committer.reads()
    }

    pub(super) fn cursors(&self) -> &Cursors {
        self.state.cursors()
    }

    /// The size of the keys and values in the module's state, in bytes.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.state.usage().bytes
    }

    /// The context of the next handler call.
    pub(super) fn context(&self) -> HandlerContext {
        HandlerContext {
            usage: self.state.usage(),
            letter_bytes: self.state.dead_letters().bytes,
            pending: self.deferred.pending.clone(),
            ..HandlerContext::default()
        }
    }

    /// Moves a cursor over an event without changes. The next commit makes the cursor durable.
    pub(super) fn advance_cursor(&mut self, cursor: Cursor) {
        self.state.cursors_mut().set(cursor);
        self.moved = true;
    }

    /// Commits the changes of a handler call and the cursor of its event. With `may_defer`, the
    /// commit may wait for those of later events.
    pub(super) async fn commit(
        &mut self,
        changes: Changes,
        event: Option<(Topic, Position)>,
        cursor: Option<Cursor>,
        may_defer: bool,
        settled: &Settled<'_>,
    ) -> Result<(), CommitError> {
        let may_defer = may_defer && changes.effects.is_none();
        if changes.is_empty() {
            cursor.into_iter().for_each(|cursor| self.advance_cursor(cursor));
            return Ok(());
        }
        self.save_later(changes.effects.as_deref());
        if may_defer {
            let pending = Arc::make_mut(self.deferred.pending.get_or_insert_default());
            pending.extend(
                changes
                    .keys
                    .iter()
                    .map(|(key, change)| (key.clone(), change.new.clone())),
            );
        }
        self.state.record(changes, event, settled, &mut self.deferred.batch);
        cursor.into_iter().for_each(|cursor| self.advance_cursor(cursor));
        self.deferred.events += 1;
        let is_full = self.deferred.events >= self.policy.replay_commit_events
            || self.deferred.batch.bytes() >= DEFERRED_BYTES_MAX;
        if may_defer && !is_full {
            return Ok(());
        }
        self.write(settled).await
    }

    /// Strands the effects of events that will not come again, now that `event` does.
    pub(super) async fn abandon_effects(&mut self, event: EventId) -> Result<(), StoreError> {
        let keys = self.state.effects().abandoned(&event);
        if keys.is_empty() {
            return Ok(());
        }
        let read = move |store: &dyn StateStore| state::read_effects(&*store.view()?, &keys);
        let effects = self.with_unsaved(store::blocking(&self.store, read).await?);
        self.state.strand_effects(effects, &mut self.deferred.batch);
        Ok(())
    }

    /// The context of an event's handler call, with the effects of earlier attempts at the event.
    pub(super) async fn context_of(&self, event: EventId) -> Result<HandlerContext, StoreError> {
        let (id, log) = (self.id(), self.state.effects());
        let mut effects = EarlierEffects {
            of_event: Vec::new(),
            stranded: log.stranded(),
            transcript: Some(Stored::none(event)),
        };
        if log.transcripts.has(&event) {
            let read = move |store: &dyn StateStore| Stored::read(&*store.view()?, id, event);
            effects.transcript = Some(store::blocking(&self.store, read).await?);
        }
        if log.has(id, &event) {
            let read = move |store: &dyn StateStore| state::effects_of(&*store.view()?, id, &event);
            effects.of_event = self.with_unsaved(store::blocking(&self.store, read).await?);
        }
        Ok(HandlerContext {
            effects,
            ..self.context()
        })
    }

    /// Replaces stored records by newer ones that the store may not have.
    fn with_unsaved(&self, mut stored: Vec<Effect>) -> Vec<Effect> {
        for effect in &mut stored {
            if let Some(newer) = self.unsaved.iter().rfind(|newer| newer.key == effect.key) {
                effect.clone_from(newer);
            }
        }
        stored
    }

    /// Makes the records of effects durable before a request leaves, with rows of a capability and all earlier changes.
    pub(super) async fn commit_intent(
        &mut self,
        effects: Vec<Effect>,
        rows: Batch,
        transcript: Option<Part>,
        settled: &Settled<'_>,
    ) -> Result<(), CommitError> {
        self.deferred.batch.append(rows);
        if effects.is_empty() && transcript.is_none() && self.deferred.batch.is_empty() {
            return Ok(());
        }
        let changes = EffectChanges {
            set: effects,
            transcript,
            ..EffectChanges::default()
        };
        self.state.record_effects(changes, &mut self.deferred.batch);
        self.write(settled).await
    }

    /// Keeps the outcomes of effects until a commit succeeds, so that they survive a [`Self::reload`]. The event
    /// has not ended for the store.
    pub(super) fn save_later(&mut self, changes: Option<&EffectChanges>) {
        let effects = changes.into_iter().flat_map(|changes| changes.set.iter().cloned());
        let is_over = false;
        self.unsaved.extend(effects.map(|effect| Effect { is_over, ..effect }));
    }

    /// Commits changes of the records of effects, with all earlier changes.
    pub(super) async fn commit_effects(
        &mut self,
        changes: EffectChanges,
        settled: &Settled<'_>,
    ) -> Result<(), CommitError> {
        self.save_later(Some(&changes));
        self.state.record_effects(changes, &mut self.deferred.batch);
        self.write(settled).await
    }

    /// Changes the record of an effect as the operator says. Returns whether the module has it.
    pub(super) async fn resolve_effect(
        &mut self,
        effect: Effect,
        resolution: Resolution,
        settled: &Settled<'_>,
    ) -> Result<bool, ResolveFailed> {
        self.flush(settled).await?;
        let id = self.id();
        let find = move |store: &dyn StateStore| state::effect(&*store.view()?, id, &effect);
        let Some(effect) = store::blocking(&self.store, find).await? else {
            return Ok(false);
        };
        let batch = self.state.resolve_effect(effect, resolution, self.clock.now_ms());
        self.committer.commit(batch).await?;
        Ok(true)
    }

    /// The number of the module's effects about which only the operator can say whether they happened.
    pub(super) fn effects_in_doubt(&self) -> u64 {
        self.state.effects().in_doubt() as u64
    }

    /// Takes the stranded effects that no event adopts any more, since the last look.
    pub(super) fn take_lost_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.lost)
    }

    /// Commits the waiting changes when there is no more work. Deferred events are durable when
    /// this returns. Cursors without changes become durable soon after.
    pub(super) async fn flush(&mut self, settled: &Settled<'_>) -> Result<(), CommitError> {
        if !self.deferred.batch.is_empty() {
            return self.write(settled).await;
        }
        self.hand_in_cursors();
        Ok(())
    }

    /// Commits the cursors, with all waiting changes. They are durable when this returns.
    pub(super) async fn commit_cursors(&mut self, settled: &Settled<'_>) -> Result<(), CommitError> {
        self.write(settled).await
    }

    /// Makes the cursors durable soon. If deferred events exist, their commit has to come first, so
    /// nothing happens.
    pub(super) fn hand_in_cursors(&mut self) {
        if self.deferred.batch.is_empty() && std::mem::take(&mut self.moved) {
            let (key, row) = self.state.progress();
            self.committer.lazy().put(key, Some(row));
        }
    }

    /// Reverts every event that can depend on a block of `topic` after the block `to`.
    pub(super) async fn revert(
        &mut self,
        topic: Topic,
        to: Position,
        settled: &Settled<'_>,
    ) -> Result<(), RevertFailed> {
        // After the flush, the store has the whole history to revert.
        self.flush(settled).await?;
        let store = self.store.clone();
        let id = self.id();
        let mut state = std::mem::replace(&mut self.state, ModuleState::empty(id));
        let reverted = tokio::task::spawn_blocking(move || {
            let batch = store.view().map_err(RevertError::from);
            let batch = batch.and_then(|view| state.revert(&*view, topic, to));
            (state, batch)
        });
        let (state, batch) = reverted.await.map_err(|panic| RevertFailed::Panic(panic.into()))?;
        self.state = state;
        self.moved = false;
        self.committer.commit(batch?).await?;
        Ok(())
    }

    /// The module's dead letters.
    pub(super) fn dead_letters(&self) -> Letters {
        self.state.dead_letters()
    }

    /// Returns a dead letter of the module, if it exists.
    pub(super) async fn dead_letter(&self, event: EventId) -> Result<Option<DeadLetter>, StoreError> {
        let id = self.id();
        store::blocking(&self.store, move |store| {
            state::dead_letter(&*store.view()?, id, &event)
        })
        .await
    }

    /// Discards all uncommitted changes and loads the stored state. The outcomes of effects stay.
    pub(super) async fn reload(&mut self) -> Result<(), StoreError> {
        let (key, _) = self.state.progress();
        self.committer.lazy().cancel(&key);
        let (id, unsaved) = (self.id(), self.unsaved.clone());
        let (state, unsaved) = store::blocking(&self.store, move |store| {
            let view = store.view()?;
            let state = ModuleState::load_to_run(store, &*view, id)?;
            let mut still_open = Vec::new();
            for effect in unsaved {
                let stored = state::effect(&*view, id, &effect)?;
                if stored.is_some_and(|stored| stored.key == effect.key && !stored.is_over) {
                    still_open.push(effect);
                }
            }
            Ok((state, still_open))
        })
        .await?;
        self.state = state;
        self.deferred = Deferred::default();
        self.moved = false;
        let changes = EffectChanges {
            set: unsaved.clone(),
            ..EffectChanges::default()
        };
        self.state.record_effects(changes, &mut self.deferred.batch);
        self.unsaved = unsaved;
        Ok(())
    }

    async fn write(&mut self, settled: &Settled<'_>) -> Result<(), CommitError> {
        let mut deferred = std::mem::take(&mut self.deferred);
        let keep_ms = u64::try_from(self.policy.effects_keep.as_millis()).unwrap_or(u64::MAX);
        let since_ms = self.clock.now_ms().saturating_sub(keep_ms);
        let lost = self.state.seal(settled, since_ms, &mut deferred.batch);
        self.lost.extend(lost);
        self.moved = false;
        let began = Instant::now();
        let committed = self.committer.commit(deferred.batch).await;
        if committed.is_ok() {
            self.unsaved.clear();
        }
        let earlier = self.waited.map_or(Duration::ZERO, |waited| waited.took);
        self.waited = Some(Waited {
            took: earlier + began.elapsed(),
            group: *committed.as_ref().unwrap_or(&0),
        });
        committed.map(|_| ())
    }

    /// Takes the wait for commits since the last look. `None` if there was no commit.
    pub(super) fn take_waited(&mut self) -> Option<Waited> {
        self.waited.take()
    }
}

/// An error of resolving an effect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveFailed {
    #[error(transparent)]
    Read(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// An error of reverting events.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevertFailed {
    #[error(transparent)]
    Revert(#[from] RevertError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("this is a fault of nexum")]
    Panic(#[source] BoxError),
}
