//! One task for each module: pulls its events in order, calls its handler, commits.
//!
//! Invariant: a module's events are handled one at a time, in the order of each chain's log. Invariant: nothing that one
//! runner does or waits for holds up another.

mod catch_up;
mod feed;
mod interest;
mod ledger;
mod status;

use std::sync::Arc;
use std::time::Duration;

use crate::BoxError;
use crate::bindings::nexum::host::types::{HostError, HostErrorKind};
use crate::committer::CommitError;
use crate::event::{ChainId, Event, EventId, EventKind, Handler, Position, Topic};
use crate::instance::{Failure, Instance};
use crate::loader::Module;
use crate::state::{Cursor, Progress, RevertError};
use crate::store::StoreError;

use feed::{Delivery, Next};
use ledger::RevertFailed;

pub(crate) use feed::Feed;
pub(crate) use interest::Interest;
pub(crate) use ledger::Ledger;
pub use status::{ModuleStatus, Replaying, Stage};

/// The first pause before a failed `init` is tried again; it doubles with each failure in a row.
const RESTART_DELAY_MS: u64 = 200;
/// The longest such pause: an operator who has mended the cause should not wait longer than this.
const RESTART_DELAY_MS_MAX: u64 = 30_000;

/// How many events that wrote nothing a busy module handles before its cursor is handed in.
const PASSED_MAX: u32 = 64;

/// Runs one module until it is told to stop, or has failed too often.
pub(crate) struct Runner {
    module: Module,
    ledger: Ledger,
    feeds: Vec<Feed>,
    instance: Option<Instance>,
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
    #[error("what the module did cannot be taken back: remove its state to begin anew")]
    Revert(#[source] RevertFailed),
    #[error("its last cursors could not be committed")]
    Unsettled(#[source] CommitError),
}

/// Why a runner does not just go on.
enum Halt {
    Dead(Dead),
    /// The store failed. It may be mended, so nothing is given up.
    Store(BoxError),
}

impl From<Dead> for Halt {
    fn from(dead: Dead) -> Self {
        Self::Dead(dead)
    }
}

impl From<CommitError> for Halt {
    fn from(error: CommitError) -> Self {
        Self::Store(error.into())
    }
}

impl Runner {
    /// A runner for a module whose feeds are in place.
    pub(crate) fn new(module: Module, ledger: Ledger, feeds: Vec<Feed>, status: Arc<ModuleStatus>) -> Self {
        Self {
            module,
            ledger,
            feeds,
            instance: None,
            failures_in_row: 0,
            status,
        }
    }

    /// Runs until it is stopped; then the event in hand has been finished and its cursor handed in.
    pub(crate) async fn run(mut self) {
        let result = self.work().await;
        self.status.clear_memory();
        let settled = self.ledger.settle(&settled(&self.feeds)).await;
        match result.and(settled.map_err(Dead::Unsettled)) {
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
        let mut passed = 0;
        while !self.status.is_stopping() {
            let step = match self.ensure_instance().await {
                Ok(()) => self.step().await,
                Err(halt) => Err(halt),
            };
            match step {
                Ok(true) => {
                    passed += 1;
                    if passed % PASSED_MAX == 0 {
                        self.ledger.note();
                    }
                    // A long backlog of events that never wait would otherwise keep this thread from other modules.
                    tokio::task::coop::consume_budget().await;
                }
                Ok(false) => self.status.wake.notified().await,
                Err(Halt::Dead(dead)) => return Err(dead),
                Err(Halt::Store(error)) => self.stall(error).await,
            }
        }
        Ok(())
    }

    /// Waits until the store can be used again, and goes on from what it has.
    async fn stall(&mut self, mut error: BoxError) {
        self.instance = None;
        self.status.clear_memory();
        self.status.enter(Stage::Stalled);
        let mut delay = RESTART_DELAY_MS;
        while !self.status.is_stopping() {
            tracing::error!(
                target: "nexum::event",
                module = self.module.meta.name.as_str(),
                error = &*error as &(dyn std::error::Error + 'static),
                "the module waits for the state store, and will go on from what that has"
            );
            self.pause(Duration::from_millis(delay)).await;
            match self.ledger.reload().await {
                Ok(()) => break,
                Err(again) => error = again.into(),
            }
            delay = delay.saturating_mul(2).min(RESTART_DELAY_MS_MAX);
        }
        self.feeds.iter_mut().for_each(Feed::resume);
    }

    /// Handles what the first feed has that has something, and puts that feed last.
    async fn step(&mut self) -> Result<bool, Halt> {
        for index in 0..self.feeds.len() {
            let feed = &mut self.feeds[index];
            let topic = feed.topic();
            let last = self.ledger.cursors().get(topic).and_then(|cursor| cursor.last);
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
                Next::Unknown(error) => return Err(Halt::Store(error.into())),
                Next::Diverged { known, canonical } => {
                    return Err(Dead::Diverged {
                        topic,
                        known,
                        canonical,
                    }
                    .into());
                }
                Next::Closed(reason) => {
                    let chain_id = topic.chain_id;
                    return Err(Dead::ChainLost { chain_id, reason }.into());
                }
            }
            self.show(index);
            let handed_out = (index + 1) % self.feeds.len();
            self.feeds.rotate_left(handed_out);
            return Ok(true);
        }
        self.ledger.settle(&settled(&self.feeds)).await?;
        Ok(false)
    }

    /// Takes note of where the topic of a feed begins for this module, as soon as that is known.
    fn begin(&mut self, index: usize) {
        let feed = &mut self.feeds[index];
        let topic = feed.topic();
        if let (None, Some(live_from)) = (self.ledger.cursors().get(topic), feed.live_from()) {
            let last = None;
            self.ledger.pass(Cursor { topic, live_from, last });
        }
    }

    /// Has the module's status say how far it has come.
    fn show(&self, index: usize) {
        let feed = &self.feeds[index];
        let last = self.last(feed.topic());
        self.status
            .set_replaying(feed.topic(), feed.catching_up().map(|up| up.range()));
        feed.show_behind(last);
    }

    fn last(&self, topic: Topic) -> Option<Progress> {
        self.ledger.cursors().get(topic).and_then(|cursor| cursor.last)
    }

    /// The events of one block, each a transaction of its own.
    async fn deliver(&mut self, index: usize, delivery: Delivery) -> Result<(), Halt> {
        let Delivery {
            block,
            logs,
            block_event,
        } = delivery;
        let topic = self.feeds[index].topic();
        let last = self.last(topic);
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
        self.status.is_stopping() && self.last(topic).is_none_or(|last| last.position != position)
    }

    /// One event, one transaction. Afterwards the topic's cursor is at `done`.
    async fn handle(
        &mut self,
        index: usize,
        position: Position,
        kind: EventKind,
        event: &Event,
        done: EventKind,
    ) -> Result<(), Halt> {
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
        let result = instance.on_event(id, event, self.ledger.before()).await;
        self.status.set_memory(instance.memory_bytes());
        match result {
            Ok(changes) => {
                let cursor = self.cursor(index, position, done);
                let hold = self.feeds[index].is_replaying();
                let event = Some((topic, position));
                self.ledger
                    .keep(changes, event, Some(cursor), hold, &settled(&self.feeds))
                    .await?;
            }
            Err(Failure::Store(reason)) => return Err(Halt::Store(reason.into())),
            Err(failure) => {
                self.pass(index, position, done);
                return Ok(self.failed(Handler::OnEvent(id), failure)?);
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
        let begun = self.ledger.cursors().get(topic);
        Cursor {
            topic,
            live_from: begun.map_or(position.number, |cursor| cursor.live_from),
            last: Some(Progress { position, done }),
        }
    }

    /// Moves a topic's cursor over what wrote nothing: it is committed with the next event that does.
    fn pass(&mut self, index: usize, position: Position, done: EventKind) {
        let cursor = self.cursor(index, position, done);
        self.ledger.pass(cursor);
    }

    /// The blocks after `to` never happened: what they did is undone, and forgotten.
    async fn revert(&mut self, topic: Topic, to: Position) -> Result<(), Halt> {
        if self.last(topic).is_none_or(|last| last.position.number <= to.number) {
            return Ok(());
        }
        self.instance = None;
        let before = self.ledger.cursors().clone();
        match self.ledger.revert(topic, to, &settled(&self.feeds)).await {
            Ok(()) => {}
            Err(RevertFailed::Commit(error)) => return Err(error.into()),
            Err(RevertFailed::Revert(RevertError::Store(error @ StoreError::Backend(_)))) => {
                return Err(Halt::Store(error.into()));
            }
            Err(failed) => return Err(Dead::Revert(failed).into()),
        }
        for feed in &mut self.feeds {
            // Events of other topics that came after the first undone one are delivered again.
            if feed.topic() != topic && self.ledger.cursors().get(feed.topic()) != before.get(feed.topic()) {
                feed.resume();
            }
        }
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
    async fn ensure_instance(&mut self) -> Result<(), Halt> {
        while self.instance.is_none() && !self.status.is_stopping() {
            let (id, store) = (self.ledger.id(), self.ledger.store().clone());
            match Instance::start(&self.module, id, store, self.ledger.before()).await {
                Ok((instance, changes)) => {
                    self.status.set_memory(instance.memory_bytes());
                    self.instance = Some(instance);
                    self.ledger
                        .keep(changes, None, None, false, &settled(&self.feeds))
                        .await?;
                    self.status.enter(Stage::Running);
                }
                Err(Failure::Store(reason)) => return Err(Halt::Store(reason.into())),
                Err(failure) if self.failures_in_row == 0 && !can_pass(&failure) => {
                    return Err(Dead::Init(failure).into());
                }
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

/// For each topic, the number of the newest block that cannot be taken back.
fn settled(feeds: &[Feed]) -> impl Fn(Topic) -> Option<u64> + Sync + '_ {
    |topic| Some(feeds.iter().find(|feed| feed.topic() == topic)?.settled())
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
