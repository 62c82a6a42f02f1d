//! One task for each module: pulls its events in order, calls its handler, commits.
//!
//! Invariant: a module's events are handled one at a time, in the order of each chain's log. Invariant: nothing that one
//! runner does or waits for holds up another.

mod catch_up;
mod commands;
mod failures;
mod feed;
mod handle;
mod interest;
mod lifecycle;
mod metrics;
mod stage;
mod status;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use nexum_config::topic::Topic;

use crate::BoxError;
use crate::event::{Event, EventId, EventKind, Position, Tick};
use crate::module::instance::{Failure, Instance};
use crate::module::loader::Module;
use crate::rate::Bucket;
use crate::state::{Cursor, Progress, RevertError};
use crate::store::StoreError;
use crate::store::committer::CommitError;

use failures::Failures;
use feed::{Delivery, Feed, Next};
use transaction::RevertFailed;

pub use commands::OrderError;
pub(crate) use feed::topics;
pub use stage::Stage;
pub(crate) use status::Wanted;
pub use status::{ModuleStatus, Replaying};
pub(crate) use transaction::Ledger;

/// The first pause before the store, or a source, is asked again after it failed; for the store it doubles each time.
const RETRY_DELAY_MS: u64 = 200;
/// The longest such pause: an operator who has mended the cause should not wait longer than this.
const RETRY_DELAY_MS_MAX: u64 = 30_000;

/// How many events that wrote nothing a busy module handles before its cursor is handed in.
const PASSED_MAX: u32 = 64;

/// Runs one module until it is told to stop, or has failed too often.
pub(crate) struct Runner {
    module: Arc<Module>,
    ledger: Ledger,
    feeds: Vec<Feed>,
    instance: Option<Instance>,
    failures: Failures,
    status: Arc<ModuleStatus>,
    /// Whether the ledger and the feeds are where the store is. If not, they have to be brought there before anything is done.
    is_ready: bool,
    /// Whether it waits for the operator.
    is_dead: bool,
    /// Whether it did, and has not gone on since.
    was_off: bool,
    /// None where events may come as fast as the module can.
    rate: Option<Bucket>,
    /// Whether the next `init` has to go well at once.
    is_strict: bool,
}

/// Why a module has ended while the process goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Dead {
    #[error("{failures} failures in a row; the last: {last}")]
    TooManyFailures { failures: u32, last: Failure },
    #[error("its first `init` failed: {0}")]
    Refused(Failure),
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
    #[error("chain {topic} is lost: {reason}")]
    ChainLost { topic: Topic, reason: Arc<str> },
    #[error("what the module did cannot be taken back: remove its state to begin anew")]
    Revert(#[source] RevertFailed),
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
    /// Handles what the first feed has that has something, and puts that feed last.
    async fn step(&mut self) -> Result<bool, Halt> {
        self.status.metrics.stored(self.ledger.stored_bytes());
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
                Next::Tick(fired_at) => {
                    let event = Event::Tick(Tick { fired_at });
                    let (position, kind) = (Position::at_ms(fired_at), EventKind::Tick);
                    let id = EventId { topic, position, kind };
                    self.handle(index, id, &event, kind, None).await?;
                }
                Next::Passed(position) => self.pass(index, position, EventKind::Block),
                Next::Revert(to) => self.revert(topic, to).await?,
                Next::Failed(error) => {
                    tracing::warn!(
                        target: "nexum::event",
                        module = self.module.meta.name.as_str(),
                        chain = topic.chain_id(),
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
                    return Err(Dead::ChainLost { topic, reason }.into());
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

    fn show(&self, index: usize) {
        let feed = &self.feeds[index];
        feed.show(self.last(feed.topic()), &self.status);
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
            arrived,
        } = delivery;
        let (topic, position) = (self.feeds[index].topic(), block.position);
        let last = self.last(topic);
        let half_done = last.is_some_and(|last| last.position == position && last.done == EventKind::Logs);
        if !logs.is_empty() && !half_done {
            let done = if block_event { EventKind::Logs } else { EventKind::Block };
            let kind = EventKind::Logs;
            let id = EventId { topic, position, kind };
            if !self.handle(index, id, &Event::Logs(logs), done, arrived).await? {
                return Ok(false);
            }
        }
        match block.block_event().filter(|_| block_event) {
            Some(event) => {
                let kind = EventKind::Block;
                let id = EventId { topic, position, kind };
                self.handle(index, id, event, kind, arrived).await
            }
            None => {
                self.pass(index, position, EventKind::Block);
                Ok(true)
            }
        }
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
        self.discard_instance().await;
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
            let cursor = self.ledger.cursors().get(feed.topic());
            if feed.topic() != topic && cursor != before.get(feed.topic()) {
                feed.rewind(cursor);
            }
        }
        self.show_dead_letters();
        tracing::info!(
            target: "nexum::event",
            module = self.module.meta.name.as_str(),
            chain = topic.chain_id(),
            block = to.number,
            "reverted after a reorganisation"
        );
        Ok(())
    }

    /// Waits, unless an order comes first.
    async fn pause(&mut self, pause: Duration) {
        let until = tokio::time::Instant::now() + pause;
        while !self.status.is_interrupted() {
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
    |topic| feeds.iter().find(|feed| feed.topic() == topic)?.settled()
}
