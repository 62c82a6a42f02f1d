//! One task for each module: pulls its events in order, calls its handler, commits.
//!
//! Invariant: a module's events are handled one at a time, in the order of each chain's log. Invariant: nothing that one
//! runner does or waits for holds up another.

mod catch_up;
mod failures;
mod feed;
mod interest;
mod ledger;
mod status;

use std::sync::Arc;
use std::time::Duration;

use crate::BoxError;
use crate::committer::CommitError;
use crate::event::{ChainId, Event, EventId, EventKind, Handler, Position, Topic};
use crate::instance::{Before, Failure, Instance};
use crate::loader::Module;
use crate::state::{Cursor, DEAD_LETTERS_MAX, DeadLetter, Progress, RevertError};
use crate::store::StoreError;

use failures::{Failures, attempt, attempts_max};
use feed::{Delivery, Next};
use ledger::RevertFailed;

pub(crate) use feed::Feed;
pub(crate) use interest::Interest;
pub(crate) use ledger::Ledger;
pub use status::{ModuleStatus, Replaying, Stage};

/// The first pause before the store, or a source, is asked again after it failed; for the store it doubles each time.
const RETRY_DELAY_MS: u64 = 200;
/// The longest such pause: an operator who has mended the cause should not wait longer than this.
const RETRY_DELAY_MS_MAX: u64 = 30_000;

/// How many events that wrote nothing a busy module handles before its cursor is handed in.
const PASSED_MAX: u32 = 64;

/// Runs one module until it is told to stop, or has failed too often.
pub(crate) struct Runner {
    module: Module,
    ledger: Ledger,
    feeds: Vec<Feed>,
    instance: Option<Instance>,
    failures: Failures,
    status: Arc<ModuleStatus>,
}

/// Why a module has ended while the process goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Dead {
    #[error("{failures} failures in a row; the last: {last}")]
    TooManyFailures { failures: u32, last: Failure },
    #[error("it has as many dead letters as a module may have: retry or skip some, and restart it")]
    LettersMax,
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

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
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
            failures: Failures::default(),
            status,
        }
    }

    /// Runs until it is stopped; then the event in hand has been finished and its cursor handed in. A module that is dead waits
    /// for the operator.
    pub(crate) async fn run(mut self) {
        loop {
            let result = self.work().await;
            self.discard_instance();
            let settled = self.ledger.settle(&settled(&self.feeds)).await;
            let Err(dead) = result.and(settled.map_err(Dead::Unsettled)) else {
                return self.status.enter(Stage::Stopped);
            };
            tracing::error!(
                target: "nexum::event",
                module = self.module.meta.name.as_str(),
                error = &dead as &(dyn std::error::Error + 'static),
                "the module is dead"
            );
            self.status.die(&dead);
            if !self.status.revived().await {
                return;
            }
            self.status.enter(Stage::Starting);
            match self.ledger.reload().await {
                Ok(()) => self.begin_again(),
                Err(error) => self.stall(error.into()).await,
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
        self.discard_instance();
        self.status.enter(Stage::Stalled);
        let mut delay = RETRY_DELAY_MS;
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
            delay = delay.saturating_mul(2).min(RETRY_DELAY_MS_MAX);
        }
        self.begin_again();
    }

    /// Goes on after what the store has, as if nothing had been tried yet: what failed meanwhile may have been the store's fault.
    fn begin_again(&mut self) {
        self.failures = Failures::default();
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
                Next::Block(delivery) => {
                    if !self.deliver(index, delivery).await? {
                        // This feed has the event that is to be tried again.
                        self.feeds.rotate_left(index);
                        return Ok(true);
                    }
                }
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
                    self.pause(Duration::from_millis(RETRY_DELAY_MS)).await;
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

    /// The events of one block, each a transaction of its own. Returns whether all are done.
    async fn deliver(&mut self, index: usize, delivery: Delivery) -> Result<bool, Halt> {
        let Delivery {
            block,
            logs,
            block_event,
        } = delivery;
        let last = self.last(self.feeds[index].topic());
        let half_done = last.is_some_and(|last| last.position == block.position && last.done == EventKind::Logs);
        if !logs.is_empty() && !half_done {
            let done = if block_event { EventKind::Logs } else { EventKind::Block };
            let event = Event::Logs(logs);
            if !self
                .handle(index, block.position, EventKind::Logs, &event, done)
                .await?
            {
                return Ok(false);
            }
        }
        match block.block_event().filter(|_| block_event) {
            Some(event) => {
                let kind = EventKind::Block;
                self.handle(index, block.position, kind, event, kind).await
            }
            None => {
                self.pass(index, block.position, EventKind::Block);
                Ok(true)
            }
        }
    }

    /// One event, one transaction. Returns whether the event is done; then the topic's cursor is at `done`.
    async fn handle(
        &mut self,
        index: usize,
        position: Position,
        kind: EventKind,
        event: &Event,
        done: EventKind,
    ) -> Result<bool, Halt> {
        let topic = self.feeds[index].topic();
        let id = EventId {
            chain_id: topic.chain_id,
            position,
            kind,
        };
        self.ensure_instance().await?;
        let Some(instance) = &mut self.instance else {
            return Ok(false);
        };
        let before = Before {
            failures: self.failures.of(id),
            ..self.ledger.before()
        };
        let result = instance.on_event(id, event, before).await;
        self.status.set_memory(instance.memory_bytes());
        self.status.set_used(instance.used());
        let cursor = self.cursor(index, position, done);
        let about = Some((topic, position));
        match result {
            Ok(changes) => {
                let hold = self.feeds[index].is_replaying();
                self.ledger
                    .keep(changes, about, Some(cursor), hold, &settled(&self.feeds))
                    .await?;
            }
            Err(Failure::Store(reason)) => return Err(Halt::Store(reason.into())),
            Err(failure) => {
                let Some(letter) = self.failed_at(id, event, failure).await? else {
                    self.feeds[index].resume();
                    return Ok(false);
                };
                let changes = self.ledger.before().bury(letter);
                self.ledger
                    .keep(changes, about, Some(cursor), false, &settled(&self.feeds))
                    .await?;
                return Ok(true);
            }
        }
        self.failures.succeeded();
        self.status.count_handled();
        tracing::debug!(
            target: "nexum::event",
            module = self.module.meta.name.as_str(),
            event = %id,
            chain = topic.chain_id,
            block = position.number,
            "event handled"
        );
        Ok(true)
    }

    /// Takes note of a failed attempt at an event, and waits where there is to be another one. Returns the dead letter where
    /// there is to be none.
    async fn failed_at(&mut self, id: EventId, event: &Event, failure: Failure) -> Result<Option<DeadLetter>, Halt> {
        let meta = self.module.meta.clone();
        let restart = self.module.restart;
        let attempt = attempt(&failure, meta.clock.now_ms(), meta.recorder.take_records());
        let attempts = self.failures.again(id, attempt);
        self.discard_instance();
        self.status.count_failed();
        report(&self.module, Handler::OnEvent(id), &failure, attempts);
        if attempts < attempts_max(&failure, restart) {
            self.back_off(attempts).await;
            return Ok(None);
        }
        let in_row = self.failures.gave_up();
        if in_row >= restart.max_consecutive_failures {
            return Err(Dead::TooManyFailures {
                failures: in_row,
                last: failure,
            }
            .into());
        }
        if self.ledger.dead_letters().await? >= DEAD_LETTERS_MAX {
            return Err(Dead::LettersMax.into());
        }
        tracing::error!(
            target: "nexum::event",
            module = meta.name.as_str(),
            event = %id,
            chain = id.chain_id,
            block = id.position.number,
            attempts,
            "the event is a dead letter now, and the module goes on"
        );
        self.status.count_dead_letter();
        Ok(Some(DeadLetter {
            id,
            event: event.clone(),
            attempts: self.failures.take(),
        }))
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
        self.discard_instance();
        self.failures.forget();
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

    /// Makes an instance if there is none, trying again until that goes well or has failed too often.
    async fn ensure_instance(&mut self) -> Result<(), Halt> {
        while self.instance.is_none() && !self.status.is_stopping() {
            let (id, store) = (self.ledger.id(), self.ledger.store().clone());
            let before = Before {
                failures: self.failures.of_init,
                ..self.ledger.before()
            };
            match Instance::start(&self.module, id, store, before).await {
                Ok((instance, changes)) => {
                    self.failures.of_init = 0;
                    self.status.set_memory(instance.memory_bytes());
                    self.instance = Some(instance);
                    self.ledger
                        .keep(changes, None, None, false, &settled(&self.feeds))
                        .await?;
                    self.status.enter(Stage::Running);
                }
                Err(Failure::Store(reason)) => return Err(Halt::Store(reason.into())),
                Err(failure) => {
                    self.failures.of_init += 1;
                    let failures = self.failures.of_init;
                    self.status.count_failed();
                    report(&self.module, Handler::Init, &failure, failures);
                    if failures >= self.module.restart.max_consecutive_failures {
                        return Err(Dead::TooManyFailures {
                            failures,
                            last: failure,
                        }
                        .into());
                    }
                    self.back_off(failures).await;
                }
            }
        }
        Ok(())
    }

    /// An instance whose event was rolled back, or reverted, is never entered again.
    fn discard_instance(&mut self) {
        self.instance = None;
        self.status.clear_memory();
    }

    /// Waits as long as is due after so many failures in a row, unless a stop comes first.
    async fn back_off(&mut self, failures: u32) {
        self.status.enter(Stage::Backoff);
        self.pause(self.module.restart.backoff(failures)).await;
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

/// Writes a failure where the operator sees it, the record of a limit with all its fields.
fn report(module: &Module, handler: Handler, failure: &Failure, attempt: u32) {
    let name = module.meta.name.as_str();
    let event = handler.event();
    let (id, chain) = (event.map(tracing::field::display), event.map(|event| event.chain_id));
    let block = event.map(|event| event.position.number);
    let handler = if event.is_some() { "on-event" } else { "init" };
    match failure {
        Failure::Limit(trip) => {
            let (limit, bound, used) = (trip.limit.name(), trip.bound, trip.used);
            tracing::error!(
                target: "nexum::event",
                module = name, handler, event = id, chain, block, attempt, limit, bound, used,
                "a limit tripped: {failure}"
            );
        }
        failure => tracing::error!(
            target: "nexum::event", module = name, handler, event = id, chain, block, attempt, "{failure}"
        ),
    }
}
