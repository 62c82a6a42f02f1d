//! One event, one transaction: what becomes of it where it goes well, and where it does not.

use std::time::Duration;

use tokio::time::Instant;

use super::failures::{attempt, attempts_max};
use super::{Dead, Halt, Runner, settled};
use crate::event::{Event, EventId, EventKind, Handler};
use crate::module::instance::{Before, Failure};
use crate::module::loader::Module;
use crate::state::{DEAD_LETTERS_MAX, DeadLetter};

impl Runner {
    /// One event, one transaction, of the topic of a feed. `arrived`: when it came, unless it is history. Returns whether the event is
    /// done; then the topic's cursor is at `done`.
    pub(super) async fn handle(
        &mut self,
        index: usize,
        id: EventId,
        event: &Event,
        done: EventKind,
        arrived: Option<Instant>,
    ) -> Result<bool, Halt> {
        let EventId { topic, position, kind } = id;
        if !self.within_rate().await {
            self.feeds[index].resume();
            return Ok(false);
        }
        self.ensure_instance().await?;
        let Some(instance) = &mut self.instance else {
            return Ok(false);
        };
        let before = Before {
            failures: self.failures.of(id),
            ..self.ledger.before()
        };
        let result = instance.on_event(id, event, before).await;
        self.status.ran(instance);
        let cursor = self.cursor(index, position, done);
        let about = Some((topic, position));
        match result {
            Ok(changes) => {
                let hold = self.feeds[index].is_replaying();
                self.ledger
                    .keep(changes, about, Some(cursor), hold, &settled(&self.feeds))
                    .await?;
                if let Some(arrived) = arrived {
                    self.status.metrics.committed(arrived.elapsed());
                }
            }
            Err(Failure::Store(reason)) => {
                self.status.metrics.failed(&Failure::Store(reason.clone()));
                return Err(Halt::Store(reason.into()));
            }
            Err(failure) => {
                let Some(letter) = self.failed_at(id, event, failure).await? else {
                    self.feeds[index].resume();
                    return Ok(false);
                };
                let changes = self.ledger.before().with_letter(letter.id, None, Some(&letter));
                self.ledger
                    .keep(changes, about, Some(cursor), false, &settled(&self.feeds))
                    .await?;
                self.show_dead_letters();
                return Ok(true);
            }
        }
        self.failures.succeeded();
        self.status.count_handled(kind);
        tracing::debug!(
            target: "nexum::event",
            module = self.module.meta.name.as_str(),
            event = %id,
            chain = topic.chain_id(),
            block = id.block().map(|block| block.number),
            "event handled"
        );
        Ok(true)
    }

    /// Waits until the module may handle another event. Returns false where an order comes first.
    async fn within_rate(&mut self) -> bool {
        while let Some(rate) = &mut self.rate {
            let Err(wait_ns) = rate.take(self.module.meta.clock.monotonic_ns()) else {
                break;
            };
            tracing::trace!(
                target: "nexum::event",
                module = self.module.meta.name.as_str(),
                wait_ns,
                "the module has had its events of this second: the next one waits"
            );
            let wait = Duration::from_nanos(wait_ns);
            self.status.metrics.waited(wait);
            self.pause(wait).await;
            if self.status.is_interrupted() {
                return false;
            }
        }
        true
    }

    /// Takes note of a failed attempt at an event, and waits where there is to be another one. Returns the dead letter where
    /// there is to be none.
    async fn failed_at(&mut self, id: EventId, event: &Event, failure: Failure) -> Result<Option<DeadLetter>, Halt> {
        let meta = self.module.meta.clone();
        let restart = self.module.restart;
        let attempt = attempt(&failure, meta.clock.now_ms(), meta.recorder.take_records());
        let attempts = self.failures.again(id, attempt);
        self.discard_instance().await;
        self.status.count_failed(&failure);
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
        if self.ledger.dead_letters() >= DEAD_LETTERS_MAX {
            return Err(Dead::LettersMax.into());
        }
        tracing::error!(
            target: "nexum::event",
            module = meta.name.as_str(),
            event = %id,
            chain = id.topic.chain_id(),
            block = id.block().map(|block| block.number),
            attempts,
            "the event is a dead letter now, and the module goes on"
        );
        Ok(Some(DeadLetter {
            id,
            event: event.clone(),
            attempts: self.failures.take(),
        }))
    }
}

/// Writes a failure where the operator sees it, the record of a limit with all its fields.
pub(super) fn report(module: &Module, handler: Handler, failure: &Failure, attempt: u32) {
    let name = module.meta.name.as_str();
    let event = handler.event();
    let (id, chain) = (
        event.map(tracing::field::display),
        event.and_then(|event| event.topic.chain_id()),
    );
    let block = event.and_then(|event| event.block()).map(|block| block.number);
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
