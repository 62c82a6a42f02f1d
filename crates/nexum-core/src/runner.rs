//! One task for each module: pulls its events in order, calls its handler, commits.
//!
//! Invariant: a module's events are handled one at a time, in the order of each chain's log. Invariant: nothing that one
//! runner does or waits for holds up another.

mod catch_up;
mod feed;
mod interest;
mod status;

use std::sync::Arc;
use std::time::Duration;

use crate::bindings::nexum::host::types::{HostError, HostErrorKind};
use crate::committer::{CommitError, Committer};
use crate::event::{ChainId, Event, EventId, EventKind, Handler, Position, Topic};
use crate::instance::{Failure, Instance};
use crate::loader::Module;
use crate::store::{Commit, Cursor, Cursors, ModuleId, Progress, StateStore, StoreError, Write};

use feed::{Delivery, Next};

pub(crate) use feed::Feed;
pub(crate) use interest::Interest;
pub use status::{ModuleStatus, Replaying, Stage};

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
    #[error(
        "the module has handled block {known} of chain {topic}, which now has {canonical} in its place, and no block before \
         it is known to both: remove the module's state to begin anew, or connect to a node of the chain that it followed"
    )]
    Diverged {
        topic: Topic,
        known: Position,
        canonical: Position,
    },
    #[error("chain {chain_id} is lost: {reason}")]
    ChainLost { chain_id: ChainId, reason: Arc<str> },
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

    /// Handles what the first feed has that has something, and puts that feed last.
    async fn step(&mut self) -> Result<bool, Dead> {
        for index in 0..self.feeds.len() {
            let feed = &mut self.feeds[index];
            let topic = feed.topic();
            let last = self.cursors.get(topic).and_then(|cursor| cursor.last);
            let next = feed.next(last).await;
            self.begin(index);
            match next {
                Next::Pending => {
                    self.show(index);
                    continue;
                }
                Next::Block(delivery) => self.deliver(index, delivery).await?,
                Next::Passed(position) => self.pass(index, position, EventKind::Block),
                Next::Revert(to) => self.revert(topic, to).await?,
                Next::Failed(error) => {
                    tracing::warn!(
                        target: "nexum::event",
                        module = self.module.meta.name.as_str(),
                        chain = topic.chain_id,
                        error = &error as &(dyn std::error::Error + 'static),
                        "cannot replay what the module missed; trying again"
                    );
                    self.pause(Duration::from_millis(RESTART_DELAY_MS)).await;
                }
                Next::Diverged { known, canonical } => {
                    return Err(Dead::Diverged {
                        topic,
                        known,
                        canonical,
                    });
                }
                Next::Closed(reason) => {
                    let chain_id = topic.chain_id;
                    return Err(Dead::ChainLost { chain_id, reason });
                }
            }
            self.show(index);
            let handed_out = (index + 1) % self.feeds.len();
            self.feeds.rotate_left(handed_out);
            return Ok(true);
        }
        Ok(false)
    }

    /// Takes note of where the topic of a feed begins for this module, as soon as that is known.
    fn begin(&mut self, index: usize) {
        let feed = &mut self.feeds[index];
        let topic = feed.topic();
        if let (None, Some(live_from)) = (self.cursors.get(topic), feed.live_from()) {
            let last = None;
            self.cursors.set(Cursor { topic, live_from, last });
        }
    }

    /// Has the module's status say how far it has come.
    fn show(&self, index: usize) {
        let feed = &self.feeds[index];
        let last = self.cursors.get(feed.topic()).and_then(|cursor| cursor.last);
        self.status
            .set_replaying(feed.topic(), feed.catching_up().map(|up| up.range()));
        feed.show_behind(last);
    }

    /// The events of one block, each a transaction of its own.
    async fn deliver(&mut self, index: usize, delivery: Delivery) -> Result<(), Dead> {
        let Delivery {
            block,
            logs,
            block_event,
        } = delivery;
        let topic = self.feeds[index].topic();
        let last = self.cursors.get(topic).and_then(|cursor| cursor.last);
        let half_done = last.is_some_and(|last| last.position == block.position && last.done == EventKind::Logs);
        if !logs.is_empty() && !half_done {
            let done = if block_event { EventKind::Logs } else { EventKind::Block };
            self.handle(index, block.position, EventKind::Logs, &Event::Logs(logs), done)
                .await?;
            if self.stopped_short(topic, block.position) {
                return Ok(());
            }
        }
        match block.block_event().filter(|_| block_event) {
            Some(event) => {
                let kind = EventKind::Block;
                self.handle(index, block.position, kind, event, kind).await
            }
            None => {
                self.pass(index, block.position, EventKind::Block);
                Ok(())
            }
        }
    }

    /// Whether the module was stopped before it had handled anything of this block.
    fn stopped_short(&self, topic: Topic, position: Position) -> bool {
        let last = self.cursors.get(topic).and_then(|cursor| cursor.last);
        self.status.is_stopping() && last.is_none_or(|last| last.position != position)
    }

    /// One event, one transaction. Afterwards the topic's cursor is at `done`.
    async fn handle(
        &mut self,
        index: usize,
        position: Position,
        kind: EventKind,
        event: &Event,
        done: EventKind,
    ) -> Result<(), Dead> {
        let topic = self.feeds[index].topic();
        let id = EventId {
            chain_id: topic.chain_id,
            position,
            kind,
        };
        self.ensure_instance().await?;
        let Some(instance) = &mut self.instance else {
            return Ok(());
        };
        let result = instance.on_event(id, event).await;
        self.status.set_memory(instance.memory_bytes());
        match result {
            Ok(writes) if writes.is_empty() => self.pass(index, position, done),
            Ok(writes) => {
                let mut after = self.cursors.clone();
                after.set(self.cursor(index, position, done));
                self.commit(writes, after, Some((topic, position))).await?;
            }
            Err(failure) => {
                self.pass(index, position, done);
                return self.failed(Handler::OnEvent(id), failure);
            }
        }
        self.failures_in_row = 0;
        self.status.count_handled();
        tracing::debug!(
            target: "nexum::event",
            module = self.module.meta.name.as_str(),
            event = %id,
            chain = topic.chain_id,
            block = position.number,
            "event handled"
        );
        Ok(())
    }

    fn cursor(&self, index: usize, position: Position, done: EventKind) -> Cursor {
        let topic = self.feeds[index].topic();
        Cursor {
            topic,
            live_from: self
                .cursors
                .get(topic)
                .map_or(position.number, |cursor| cursor.live_from),
            last: Some(Progress { position, done }),
        }
    }

    /// Moves a topic's cursor over what wrote nothing: it is committed with the next event that does.
    fn pass(&mut self, index: usize, position: Position, done: EventKind) {
        self.cursors.set(self.cursor(index, position, done));
        self.cursors_moved = true;
    }

    /// The blocks after `to` never happened: what they did is undone, and forgotten.
    async fn revert(&mut self, topic: Topic, to: Position) -> Result<(), Dead> {
        let last = self.cursors.get(topic).and_then(|cursor| cursor.last);
        if last.is_none_or(|last| last.position.number <= to.number) {
            return Ok(());
        }
        self.instance = None;
        let (store, id, current) = (self.store.clone(), self.id, self.cursors.clone());
        let reverted = tokio::task::spawn_blocking(move || store.revert(id, &current, topic, to));
        let reverted = reverted
            .await
            .unwrap_or_else(|panic| Err(StoreError::Backend(panic.into())));
        let cursors = reverted.map_err(Dead::Store)?;
        for feed in &mut self.feeds {
            // Events of other topics that came after the first undone one are delivered again.
            if feed.topic() != topic && cursors.get(feed.topic()) != self.cursors.get(feed.topic()) {
                feed.resume();
            }
        }
        self.cursors = cursors;
        self.cursors_moved = false;
        tracing::info!(
            target: "nexum::event",
            module = self.module.meta.name.as_str(),
            chain = topic.chain_id,
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

    async fn commit(
        &mut self,
        writes: Vec<Write>,
        after: Cursors,
        event: Option<(Topic, Position)>,
    ) -> Result<(), Dead> {
        let before = std::mem::replace(&mut self.cursors, after.clone());
        let commit = Commit {
            module: self.id,
            writes,
            before,
            after,
            event,
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
