//! The path of an event through its runner: one event, one transaction.

use std::time::Duration;

use nexum_config::limits::Limit;
use nexum_config::topic::Topic;
use tokio::time::Instant;

use super::effects::Intents;
use super::feed::{Delivery, Feed, Next, settled};
use super::recording::with_effects;
use super::transaction::RevertFailed;
use super::{Dead, RETRY_DELAY_MS, Runner, StepError};
use crate::bus::source::SourceError;
use crate::capability::TimeKind;
use crate::event::{Event, EventId, EventKind, Position, Tick};
use crate::ledger::Outcome;
use crate::logged;
use crate::module::call::HandlerContext;
use crate::module::failure::Failure;
use crate::state::{Cursor, Progress, RevertError};
use crate::store::StoreError;

impl Runner {
    /// Handles the next step of the first feed that has one, and moves that feed to the end.
    /// Returns whether there was one.
    pub(super) async fn step(&mut self) -> Result<bool, StepError> {
        self.status.metrics.stored(self.transaction.stored_bytes());
        for index in 0..self.feeds.len() {
            let feed = &mut self.feeds[index];
            let topic = feed.topic();
            let last = self.transaction.cursors().get(topic).and_then(|cursor| cursor.last);
            let next = feed.next(last).await;
            if self.begin(index) {
                self.commit_start().await?;
            }
            let mut failed = None;
            match next {
                Next::Pending => {
                    self.show(index, None);
                    continue;
                }
                Next::Block(delivery) => {
                    if !self.deliver(index, delivery).await? {
                        // This feed reads the rest of the block again.
                        self.feeds[index].resume();
                        self.feeds.rotate_left(index);
                        return Ok(true);
                    }
                }
                Next::Tick(fired_at) => {
                    let event = Event::Tick(Tick { fired_at });
                    let (position, kind) = (Position::at_ms(fired_at), EventKind::Tick);
                    let id = EventId { topic, position, kind };
                    self.status.tick_matched(topic, position);
                    self.note_due(self.ticking(topic));
                    self.handle(index, id, &event, kind, None).await?;
                }
                Next::Passed(position) => self.advance_cursor(index, position, EventKind::Block),
                Next::Revert(to) => self.revert(topic, to).await?,
                Next::Failed(error) => failed = Some(error),
                Next::Unknown(error) => return Err(StepError::Read(error.into())),
                Next::Diverged { known, canonical } => {
                    return Err(Dead::Diverged {
                        module: self.module.meta.name.clone(),
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
            self.show(index, failed.as_ref());
            if failed.is_some() {
                self.pause(Duration::from_millis(RETRY_DELAY_MS)).await;
            }
            let handed_out = (index + 1) % self.feeds.len();
            self.feeds.rotate_left(handed_out);
            return Ok(true);
        }
        self.transaction.flush(&settled(&self.feeds)).await?;
        Ok(false)
    }

    /// Records where each topic starts for this module, as far as that is known. A module then starts
    /// there after a restart, even if its first `init` or its first event never ended.
    pub(super) async fn begin_all(&mut self) -> Result<(), StepError> {
        let mut is_new = false;
        for index in 0..self.feeds.len() {
            is_new |= self.begin(index);
        }
        if is_new {
            self.commit_start().await?;
        }
        Ok(())
    }

    /// Records where the topic of a feed starts for this module, as soon as that is known. Returns
    /// whether the start is new, and so not durable.
    fn begin(&mut self, index: usize) -> bool {
        let feed = &mut self.feeds[index];
        let topic = feed.topic();
        let (None, Some(live_from)) = (self.transaction.cursors().get(topic), feed.live_from()) else {
            return false;
        };
        let last = None;
        self.transaction.advance_cursor(Cursor { topic, live_from, last });
        // The first event can take long.
        self.feeds[index].reach(last);
        true
    }

    /// Makes new starts durable before the first event.
    async fn commit_start(&mut self) -> Result<(), StepError> {
        Ok(self.transaction.commit_cursors(&settled(&self.feeds)).await?)
    }

    /// Updates the status of a topic. `failed` is the failure of its source.
    fn show(&self, index: usize, failed: Option<&SourceError>) {
        let feed = &self.feeds[index];
        feed.reach(self.last(feed.topic()));
        if let Feed::Chain(feed) = feed {
            self.status.set_reading(feed.topic(), feed.catching_up(), failed);
        }
    }

    pub(super) fn last(&self, topic: Topic) -> Option<Progress> {
        self.transaction.cursors().get(topic).and_then(|cursor| cursor.last)
    }

    /// Handles the events of one block, each in a separate transaction. Returns whether all are
    /// done: the module may have no instance, because a command interrupted the attempts of `init`.
    async fn deliver(&mut self, index: usize, delivery: Delivery) -> Result<bool, StepError> {
        let (topic, position) = (self.feeds[index].topic(), delivery.block.position);
        if let Topic::Chain(chain) = topic {
            let live_from = self
                .transaction
                .cursors()
                .get(topic)
                .map_or(0, |cursor| cursor.live_from);
            let parts = (&*delivery.logs, delivery.block_event);
            let matched = self.status.block_matched(chain, position, parts, live_from);
            self.note_block(&delivery, matched);
        }
        let Delivery {
            block,
            logs,
            block_event,
            arrived,
            ..
        } = delivery;
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
                self.advance_cursor(index, position, EventKind::Block);
                Ok(true)
            }
        }
    }

    fn cursor(&self, index: usize, position: Position, done: EventKind) -> Cursor {
        let topic = self.feeds[index].topic();
        let begun = self.transaction.cursors().get(topic);
        Cursor {
            topic,
            live_from: begun.map_or(position.number, |cursor| cursor.live_from),
            last: Some(Progress { position, done }),
        }
    }

    /// Moves a topic's cursor over an event without changes. The next event with changes commits
    /// the cursor.
    fn advance_cursor(&mut self, index: usize, position: Position, done: EventKind) {
        let cursor = self.cursor(index, position, done);
        self.transaction.advance_cursor(cursor);
    }

    /// Reverts the changes of the blocks after `to`.
    async fn revert(&mut self, topic: Topic, to: Position) -> Result<(), StepError> {
        if self.last(topic).is_none_or(|last| last.position.number <= to.number) {
            return Ok(());
        }
        self.discard_instance().await;
        self.failures.forget();
        let before = self.transaction.cursors().clone();
        match self.transaction.revert(topic, to, &settled(&self.feeds)).await {
            Ok(()) => {}
            Err(RevertFailed::Commit(error)) => return Err(error.into()),
            Err(RevertFailed::Revert(RevertError::Store(error @ StoreError::Backend(_)))) => {
                return Err(StepError::Read(error.into()));
            }
            Err(failed) => {
                let module = self.module.meta.name.clone();
                return Err(Dead::Revert { module, failed }.into());
            }
        }
        for feed in &mut self.feeds {
            // Events of other topics that came after the first reverted event are delivered again.
            let cursor = self.transaction.cursors().get(feed.topic());
            if feed.topic() != topic && cursor != before.get(feed.topic()) {
                feed.rewind(cursor);
            }
        }
        self.record_reverted(&before);
        self.show_dead_letters();
        self.show_effects();
        self.show_places();
        tracing::info!(
            name: logged::REVERTED,
            target: logged::EVENT,
            module = self.module.meta.name.as_str(),
            chain = topic.chain_id(),
            block = to.number,
            "reverted after a reorganisation"
        );
        self.report_undone_calls(topic, to);
        Ok(())
    }

    /// Handles one event of a feed's topic in one transaction. `arrived` is its arrival time, or
    /// `None` for a replayed event. Returns whether the event is done. The topic's cursor is then
    /// at `done`.
    async fn handle(
        &mut self,
        index: usize,
        id: EventId,
        event: &Event,
        done: EventKind,
        arrived: Option<Instant>,
    ) -> Result<bool, StepError> {
        let EventId { topic, position, .. } = id;
        if !self.within_rate().await {
            return Ok(false);
        }
        self.ensure_instance().await?;
        let abandoned = self.transaction.abandon_effects(id).await;
        abandoned.map_err(|error| StepError::Read(error.into()))?;
        let context = self.transaction.context_of(id).await;
        let context = HandlerContext {
            failures: self.failures.of(id),
            is_recorded: self.records_inputs(),
            ..context.map_err(|error| StepError::Read(error.into()))?
        };
        let attempt = context.failures.saturating_add(1);
        let Some(instance) = self.life.instance() else {
            return Ok(false);
        };
        let mut intents = Intents::new(&mut self.transaction, &self.feeds);
        let result = instance.on_event(id, event, context, &mut intents).await;
        if let Some(error) = intents.failed {
            self.transaction.save_later(instance.effects().as_deref());
            return Err(error.into());
        }
        let used = self.status.ran(instance);
        let took = instance.took();
        let effects = match &result {
            Ok(_) => None,
            Err(_) => instance.effects(),
        };
        let draft = self.draft((id, event), attempt, &used, &result);
        let cursor = self.cursor(index, position, done);
        let about = Some((topic, position));
        match result {
            Ok(changes) => {
                if let Some(effects) = &changes.effects {
                    self.count_effects(effects);
                }
                let may_defer = self.feeds[index].is_replaying();
                let committed = self
                    .transaction
                    .commit(changes, about, Some(cursor), may_defer, &settled(&self.feeds))
                    .await;
                let waited = self.transaction.take_waited();
                if let Some(waited) = waited {
                    self.module.meta.activity.spent(TimeKind::Commit, waited.took);
                }
                self.record_kept(draft, &committed, waited);
                committed?;
                self.show_effects();
                if let Some(arrived) = arrived {
                    self.status.metrics.committed(arrived.elapsed());
                }
            }
            Err(Failure::Store(reason)) => {
                self.status.metrics.failed(&Failure::Store(reason.clone()));
                self.transaction.save_later(effects.as_deref());
                self.record(draft, Outcome::StoreFailed { error: reason.clone() });
                return Err(StepError::Read(reason.into()));
            }
            Err(failure) => {
                let draft = with_effects(draft, effects.as_deref());
                self.commit_effects(effects).await?;
                let Some(letter) = self.failed_at(id, event, failure, draft).await? else {
                    return Ok(false);
                };
                let changes = self.transaction.context().with_letter(letter.id, None, Some(&letter));
                self.transaction
                    .commit(changes, about, Some(cursor), false, &settled(&self.feeds))
                    .await?;
                self.show_dead_letters();
                return Ok(true);
            }
        }
        self.failures.succeeded();
        self.status.count_handled(id);
        tracing::debug!(
            name: logged::HANDLED,
            target: logged::EVENT,
            module = self.module.meta.name.as_str(),
            event = %id,
            chain = topic.chain_id(),
            block = id.block().map(|block| block.number),
            took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            fuel = used[Limit::Fuel],
            "event handled"
        );
        Ok(true)
    }

    /// Waits until the event rate allows another event. Returns false if a command arrives first.
    async fn within_rate(&mut self) -> bool {
        while let Some(rate) = &mut self.rate {
            let Err(wait_ns) = rate.take(self.module.meta.clock.monotonic_ns()) else {
                break;
            };
            tracing::trace!(
                target: "nexum::event",
                module = self.module.meta.name.as_str(),
                wait_ns,
                "the module has reached its event rate: the next event waits"
            );
            let wait = Duration::from_nanos(wait_ns);
            self.status.metrics.waited(wait);
            let began = Instant::now();
            self.pause(wait).await;
            let waited = began.elapsed();
            self.module.meta.activity.spent(TimeKind::EventRate, waited);
            self.note_rate(waited);
            if self.mailbox.is_interrupted() {
                return false;
            }
        }
        true
    }
}
