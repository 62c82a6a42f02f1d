//! One task for each module: pulls its events in order, calls its handler, commits.
//!
//! Invariant: a module's events are handled one at a time, in the order of each chain's log. Invariant: nothing that one
//! runner does or waits for holds up another.

mod feed;
mod status;

use std::sync::Arc;
use std::time::Duration;

use crate::bindings::nexum::host::types::{HostError, HostErrorKind};
use crate::committer::{CommitError, Committer};
use crate::event::{Advance, ChainId, EventId, EventKind, Handler, Position};
use crate::instance::{Failure, Instance};
use crate::loader::Module;
use crate::log::Entry;
use crate::store::{Commit, Cursor, Cursors, ModuleId, StateStore, StoreError, Write};

pub(crate) use feed::Feed;
pub use status::{ModuleStatus, Stage};

/// The first pause before a failed `init` is tried again; it doubles with each failure in a row.
const RESTART_DELAY_MS: u64 = 200;
/// The longest such pause: an operator who has mended the cause should not wait longer than this.
const RESTART_DELAY_MS_MAX: u64 = 30_000;

/// Runs one module until it is told to stop, or has failed too often.
pub(crate) struct Runner {
    module: Module,
    id: ModuleId,
    store: Arc<dyn StateStore>,
    committer: Committer,
    feeds: Vec<Feed>,
    instance: Option<Instance>,
    cursors: Cursors,
    /// Whether `cursors` has moved since it was last committed.
    cursors_moved: bool,
    failures_in_row: u32,
    status: Arc<ModuleStatus>,
}

/// Why a module has ended while the process goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Dead {
    #[error("{failures} failures in a row; the last: {last}")]
    TooManyFailures { failures: u32, last: Failure },
    #[error("init failed: {0}")]
    Init(Failure),
    #[error("block {position} of chain {chain_id} was reorganised away while the module was behind")]
    Diverged { chain_id: ChainId, position: Position },
    #[error("its state cannot be committed")]
    Commit(#[source] CommitError),
    #[error("its state cannot be used")]
    Store(#[source] StoreError),
}

impl Runner {
    /// A runner for a module whose feeds are in place.
    pub(crate) fn new(
        module: Module,
        store: Arc<dyn StateStore>,
        committer: Committer,
        feeds: Vec<Feed>,
        status: Arc<ModuleStatus>,
    ) -> Result<Self, StoreError> {
        let id = store.intern(&module.meta.name)?;
        let cursors = store.cursors(id)?;
        Ok(Self {
            module,
            id,
            store,
            committer,
            feeds,
            instance: None,
            cursors,
            cursors_moved: false,
            failures_in_row: 0,
            status,
        })
    }

    /// Runs until it is stopped; then the event in hand has been finished and its cursor committed.
    pub(crate) async fn run(mut self) {
        let result = self.work().await;
        self.status.clear_memory();
        let flushed = if self.cursors_moved {
            self.commit(Vec::new(), self.cursors.clone(), None).await
        } else {
            Ok(())
        };
        match result.and(flushed) {
            Ok(()) => self.status.enter(Stage::Stopped),
            Err(dead) => {
                self.status.enter(Stage::Dead);
                tracing::error!(
                    target: "nexum::event",
                    module = self.module.meta.name.as_str(),
                    error = &dead as &(dyn std::error::Error + 'static),
                    "the module is dead"
                );
            }
        }
    }

    async fn work(&mut self) -> Result<(), Dead> {
        self.ensure_instance().await?;
        while !self.status.is_stopping() {
            if self.step().await? {
                // A long backlog of events that never wait would otherwise keep this thread from other modules.
                tokio::task::coop::consume_budget().await;
            } else {
                self.status.wake.notified().await;
            }
        }
        Ok(())
    }

    /// Handles the next entry of the first feed that has one, and puts that feed last.
    async fn step(&mut self) -> Result<bool, Dead> {
        for index in 0..self.feeds.len() {
            let Some(entry) = self.next_entry(index).await? else {
                continue;
            };
            let chain_id = self.feeds[index].chain_id();
            match entry {
                Entry::Advance(advance) => self.deliver(chain_id, &advance).await?,
                Entry::Revert(to) => self.revert(chain_id, to).await?,
            }
            let handed_out = (index + 1) % self.feeds.len();
            self.feeds.rotate_left(handed_out);
            return Ok(true);
        }
        Ok(false)
    }

    async fn next_entry(&mut self, index: usize) -> Result<Option<Entry>, Dead> {
        let feed = &mut self.feeds[index];
        let chain_id = feed.chain_id();
        let cursor = self.cursors.get(chain_id);
        match feed.next(cursor).await {
            feed::Next::Entry(entry) => Ok(Some(entry)),
            feed::Next::Pending => Ok(None),
            feed::Next::Diverged(position) => Err(Dead::Diverged { chain_id, position }),
            feed::Next::Failed(error) => {
                tracing::warn!(
                    target: "nexum::event",
                    module = self.module.meta.name.as_str(),
                    chain = chain_id,
                    error = &error as &(dyn std::error::Error + 'static),
                    "cannot replay what the module missed; trying again"
                );
                self.pause(Duration::from_millis(RESTART_DELAY_MS)).await;
                Ok(None)
            }
        }
    }

    /// One event, one transaction.
    async fn deliver(&mut self, chain_id: ChainId, advance: &Advance) -> Result<(), Dead> {
        let position = advance.position;
        let id = EventId {
            chain_id,
            position,
            kind: EventKind::Block,
        };
        self.ensure_instance().await?;
        let Some(instance) = &mut self.instance else {
            return Ok(());
        };
        let result = instance.on_event(id, advance.block_event()).await;
        self.status.set_memory(instance.memory_bytes());
        match result {
            Ok(writes) if writes.is_empty() => self.pass(chain_id, position),
            Ok(writes) => {
                let mut after = self.cursors.clone();
                after.set(chain_id, position);
                self.commit(writes, after, Some(Cursor { chain_id, position })).await?;
            }
            Err(failure) => {
                self.pass(chain_id, position);
                return self.failed(Handler::OnEvent(id), failure);
            }
        }
        self.failures_in_row = 0;
        self.status.count_handled();
        tracing::debug!(
            target: "nexum::event",
            module = self.module.meta.name.as_str(),
            event = %id,
            chain = chain_id,
            block = position.number,
            "event handled"
        );
        Ok(())
    }

    /// Moves a chain's cursor over an event that wrote nothing: it is committed with the next one that does.
    fn pass(&mut self, chain_id: ChainId, position: Position) {
        self.cursors.set(chain_id, position);
        self.cursors_moved = true;
    }

    /// The blocks after `to` never happened: what they did is undone, and forgotten.
    async fn revert(&mut self, chain_id: ChainId, to: Position) -> Result<(), Dead> {
        let reached = self
            .cursors
            .get(chain_id)
            .is_some_and(|position| position.number > to.number);
        if !reached {
            return Ok(());
        }
        self.instance = None;
        let (store, id, current) = (self.store.clone(), self.id, self.cursors.clone());
        let reverted =
            tokio::task::spawn_blocking(move || store.revert(id, &current, Cursor { chain_id, position: to }));
        let reverted = reverted
            .await
            .unwrap_or_else(|panic| Err(StoreError::Backend(panic.into())));
        let cursors = reverted.map_err(Dead::Store)?;
        for feed in &mut self.feeds {
            // Events of other chains that came after the first undone one are delivered again.
            if feed.chain_id() != chain_id && cursors.get(feed.chain_id()) != self.cursors.get(feed.chain_id()) {
                feed.resume();
            }
        }
        self.cursors = cursors;
        self.cursors_moved = false;
        tracing::info!(
            target: "nexum::event",
            module = self.module.meta.name.as_str(),
            chain = chain_id,
            block = to.number,
            "reverted after a reorganisation"
        );
        Ok(())
    }

    /// Makes an instance if there is none, trying again for as long as its failure can pass.
    async fn ensure_instance(&mut self) -> Result<(), Dead> {
        while self.instance.is_none() && !self.status.is_stopping() {
            match Instance::start(&self.module, self.id, self.store.clone()).await {
                Ok((instance, writes)) => {
                    self.status.set_memory(instance.memory_bytes());
                    self.instance = Some(instance);
                    self.status.enter(Stage::Running);
                    if !writes.is_empty() {
                        self.commit(writes, self.cursors.clone(), None).await?;
                    }
                }
                Err(failure) if self.failures_in_row == 0 && !can_pass(&failure) => return Err(Dead::Init(failure)),
                Err(failure) => {
                    self.failed(Handler::Init, failure)?;
                    let doubled = RESTART_DELAY_MS.saturating_mul(1 << self.failures_in_row.min(16));
                    self.pause(Duration::from_millis(doubled.min(RESTART_DELAY_MS_MAX)))
                        .await;
                }
            }
        }
        Ok(())
    }

    /// Records a failure and discards the instance; too many in a row and the module is dead.
    fn failed(&mut self, handler: Handler, failure: Failure) -> Result<(), Dead> {
        self.instance = None;
        self.status.clear_memory();
        self.status.count_failed();
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        report(&self.module, handler, &failure, self.failures_in_row);
        if self.failures_in_row >= self.module.restart.max_consecutive_failures {
            return Err(Dead::TooManyFailures {
                failures: self.failures_in_row,
                last: failure,
            });
        }
        Ok(())
    }

    async fn commit(&mut self, writes: Vec<Write>, after: Cursors, undo: Option<Cursor>) -> Result<(), Dead> {
        let before = std::mem::replace(&mut self.cursors, after.clone());
        let commit = Commit {
            module: self.id,
            writes,
            before,
            after,
            undo,
        };
        self.committer.commit(commit).await.map_err(Dead::Commit)?;
        self.cursors_moved = false;
        Ok(())
    }

    /// Waits, unless a stop comes first.
    async fn pause(&mut self, pause: Duration) {
        let until = tokio::time::Instant::now() + pause;
        while !self.status.is_stopping() {
            if tokio::time::timeout_at(until, self.status.wake.notified())
                .await
                .is_err()
            {
                // A wake-up that this pause took in has to be seen by whoever waits for entries next.
                self.status.wake.notify_one();
                return;
            }
        }
    }
}

/// Whether a failed `init` may go well a little later.
fn can_pass(failure: &Failure) -> bool {
    let kind = |error: &HostError| {
        matches!(
            error.kind,
            HostErrorKind::Unavailable | HostErrorKind::RateLimited | HostErrorKind::Timeout
        )
    };
    matches!(failure, Failure::Returned(error) if kind(error)) || matches!(failure, Failure::Prepare { .. })
}

/// Writes a failure where the operator sees it, the record of a limit with all its fields.
fn report(module: &Module, handler: Handler, failure: &Failure, in_row: u32) {
    let name = module.meta.name.as_str();
    let event = handler.event();
    let (id, chain) = (event.map(tracing::field::display), event.map(|event| event.chain_id));
    let block = event.map(|event| event.position.number);
    let of = module.restart.max_consecutive_failures;
    let handler = if event.is_some() { "on-event" } else { "init" };
    match failure {
        Failure::Limit(trip) => {
            let (limit, bound) = (trip.limit.name(), trip.bound);
            tracing::error!(
                target: "nexum::event", module = name, handler, event = id, chain, block, limit, bound, in_row, of,
                "a limit tripped: {failure}"
            );
        }
        failure => tracing::error!(
            target: "nexum::event", module = name, handler, event = id, chain, block, in_row, of, "{failure}"
        ),
    }
}
