//! What one module's events have changed, on the way into the store.

use std::sync::Arc;

use nexum_config::topic::Topic;

use crate::BoxError;
use crate::event::{EventId, Position};
use crate::module::instance::Before;
use crate::state::scope::Pending;
use crate::state::{self, Changes, Cursor, Cursors, DeadLetter, ModuleId, ModuleState, RevertError, Settled};
use crate::store::committer::{CommitError, CommitPolicy, Committer};
use crate::store::{Batch, StateStore, StoreError};

/// After how many bytes the events of a replay are committed, however few they are: twice that is in memory meanwhile.
const HELD_BYTES_MAX: usize = 4 << 20;

/// Commits a module's events. Knows what is not in the store yet, and can always begin again with what is.
pub(crate) struct Ledger {
    state: ModuleState,
    store: Arc<dyn StateStore>,
    committer: Committer,
    policy: CommitPolicy,
    held: Held,
    /// Whether the cursors are further than the committer knows.
    moved: bool,
}

/// Events of a replay that become one commit.
#[derive(Default)]
struct Held {
    batch: Batch,
    events: usize,
    /// What they wrote, for the events after them.
    pending: Option<Arc<Pending>>,
}

impl Ledger {
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
            held: Held::default(),
            moved: false,
        }
    }

    pub(super) fn id(&self) -> ModuleId {
        self.state.id()
    }

    pub(super) fn store(&self) -> &Arc<dyn StateStore> {
        &self.store
    }

    pub(super) fn cursors(&self) -> &Cursors {
        self.state.cursors()
    }

    /// Bytes of keys and values that the module keeps.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.state.usage().bytes
    }

    /// What the next handler finds.
    pub(super) fn before(&self) -> Before {
        Before {
            usage: self.state.usage(),
            pending: self.held.pending.clone(),
            ..Before::default()
        }
    }

    /// Moves a cursor over what changed nothing. It is durable with whatever is committed next.
    pub(super) fn pass(&mut self, cursor: Cursor) {
        self.state.cursors_mut().set(cursor);
        self.moved = true;
    }

    /// Commits what a handler changed, and its event's cursor. `hold` says that it may wait for others of a replay.
    pub(super) async fn keep(
        &mut self,
        changes: Changes,
        event: Option<(Topic, Position)>,
        cursor: Option<Cursor>,
        hold: bool,
        settled: &Settled<'_>,
    ) -> Result<(), CommitError> {
        let hold = hold && !changes.effect;
        if changes.is_empty() {
            cursor.into_iter().for_each(|cursor| self.pass(cursor));
            return if changes.effect {
                self.commit(settled).await
            } else {
                Ok(())
            };
        }
        if hold {
            let pending = Arc::make_mut(self.held.pending.get_or_insert_default());
            pending.extend(
                changes
                    .keys
                    .iter()
                    .map(|(key, change)| (key.clone(), change.new.clone())),
            );
        }
        self.state.record(changes, event, settled, &mut self.held.batch);
        cursor.into_iter().for_each(|cursor| self.pass(cursor));
        self.held.events += 1;
        let is_full = self.held.events >= self.policy.replay_commit_events || self.held.batch.bytes() >= HELD_BYTES_MAX;
        if hold && !is_full {
            return Ok(());
        }
        self.commit(settled).await
    }

    /// Hands in what there is, when there is nothing more to do: what was held back is durable when this returns, and cursors
    /// alone will be soon.
    pub(super) async fn settle(&mut self, settled: &Settled<'_>) -> Result<(), CommitError> {
        if !self.held.batch.is_empty() {
            return self.commit(settled).await;
        }
        self.note();
        Ok(())
    }

    /// Has the cursors become durable soon, unless something that is held back has to be so first.
    pub(super) fn note(&mut self) {
        if self.held.batch.is_empty() && std::mem::take(&mut self.moved) {
            let (key, row) = self.state.progress();
            self.committer.lazy().put(key, Some(row));
        }
    }

    /// Takes back every event that can depend on a block of `topic` after the block `to`.
    pub(super) async fn revert(
        &mut self,
        topic: Topic,
        to: Position,
        settled: &Settled<'_>,
    ) -> Result<(), RevertFailed> {
        // So that there is one history to go back in.
        self.settle(settled).await?;
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

    /// How many dead letters the module has.
    pub(super) fn dead_letters(&self) -> u64 {
        self.state.dead_letters()
    }

    /// A dead letter of the module, if it has it.
    pub(super) async fn dead_letter(&self, event: EventId) -> Result<Option<DeadLetter>, StoreError> {
        let (store, id) = (self.store.clone(), self.id());
        let read = tokio::task::spawn_blocking(move || state::dead_letter(&*store.view()?, id, &event));
        read.await.unwrap_or_else(|panic| Err(StoreError::backend(panic)))
    }

    /// Begins again with what the store has.
    pub(super) async fn reload(&mut self) -> Result<(), StoreError> {
        let (key, _) = self.state.progress();
        self.committer.lazy().cancel(&key);
        let (store, id) = (self.store.clone(), self.id());
        let load = tokio::task::spawn_blocking(move || ModuleState::load(&*store.view()?, id));
        self.state = load.await.unwrap_or_else(|panic| Err(StoreError::backend(panic)))?;
        self.held = Held::default();
        self.moved = false;
        Ok(())
    }

    async fn commit(&mut self, settled: &Settled<'_>) -> Result<(), CommitError> {
        let mut held = std::mem::take(&mut self.held);
        self.state.seal(settled, &mut held.batch);
        self.moved = false;
        self.committer.commit(held.batch).await
    }
}

/// Why events were not taken back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevertFailed {
    #[error(transparent)]
    Revert(#[from] RevertError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("this is a fault of nexum")]
    Panic(#[source] BoxError),
}
