//! A runner's unit of work: the changes of a module's events, on their way into the store.

use std::sync::Arc;
use std::time::Duration;

use nexum_config::topic::Topic;
use tokio::time::Instant;

use crate::BoxError;
use crate::event::{EventId, Position};
use crate::module::call::HandlerContext;
use crate::state::scope::Pending;
use crate::state::{self, Changes, Cursor, Cursors, DeadLetter, Letters, ModuleId, ModuleState, RevertError, Settled};
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
    deferred: Deferred,
    /// Whether the cursors have moved since they were last given to the committer.
    moved: bool,
    /// The time that the runner has waited for commits since the last look.
    waited: Option<Duration>,
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
    ) -> Self {
        Self {
            state,
            store,
            committer,
            policy,
            deferred: Deferred::default(),
            moved: false,
            waited: None,
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
        let may_defer = may_defer && !changes.effect;
        if changes.is_empty() {
            cursor.into_iter().for_each(|cursor| self.advance_cursor(cursor));
            return if changes.effect {
                self.write(settled).await
            } else {
                Ok(())
            };
        }
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
        Ok(self.committer.commit(batch?).await?)
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

    /// Discards all uncommitted changes and loads the stored state.
    pub(super) async fn reload(&mut self) -> Result<(), StoreError> {
        let (key, _) = self.state.progress();
        self.committer.lazy().cancel(&key);
        let id = self.id();
        self.state = store::blocking(&self.store, move |store| {
            ModuleState::load_to_run(store, &*store.view()?, id)
        })
        .await?;
        self.deferred = Deferred::default();
        self.moved = false;
        Ok(())
    }

    async fn write(&mut self, settled: &Settled<'_>) -> Result<(), CommitError> {
        let mut deferred = std::mem::take(&mut self.deferred);
        self.state.seal(settled, &mut deferred.batch);
        self.moved = false;
        let began = Instant::now();
        let committed = self.committer.commit(deferred.batch).await;
        self.waited = Some(self.waited.unwrap_or_default() + began.elapsed());
        committed
    }

    /// Takes the time that the runner has waited for commits since the last look. `None` if there
    /// was no commit.
    pub(super) fn take_waited(&mut self) -> Option<Duration> {
        self.waited.take()
    }
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
