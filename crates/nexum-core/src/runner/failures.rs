//! A runner's record of its module's failures.

use nexum_config::limits::Limit;
use nexum_config::restart::Restart;

use super::recording::{Draft, exceeded};
use super::{Dead, Runner, StepError};
use crate::bindings::nexum::host::types::HostErrorKind;
use crate::event::{Event, EventId, Handler};
use crate::ledger::Outcome;
use crate::logged;
use crate::module::failure::Failure;
use crate::module::loader::Module;
use crate::state::{self, Attempt, DEAD_LETTERS_MAX, DeadLetter, Tripped};

/// The most attempts at an event that the module itself refused. The value allows one retry,
/// because an external answer may have caused the refusal.
const HOPELESS_ATTEMPTS_MAX: u32 = 2;

/// The consecutive failures.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// The consecutive failures of `init`.
    pub(super) of_init: u32,
    /// The event that failed last, its number of attempts, and the attempts for its dead letter.
    event: Option<(EventId, u32, Vec<Attempt>)>,
    /// The number of events that became dead letters since the last success.
    given_up: u32,
}

impl Failures {
    /// The number of failed attempts at this event.
    pub(super) fn of(&self, id: EventId) -> u32 {
        let event = self.event.as_ref().filter(|(failed, ..)| *failed == id);
        event.map_or(0, |(_, count, _)| *count)
    }

    /// Adds an attempt at an event, and returns the number of its attempts.
    pub(super) fn again(&mut self, id: EventId, attempt: Attempt) -> u32 {
        match &mut self.event {
            Some((failed, count, attempts)) if *failed == id => {
                *count = count.saturating_add(1);
                state::add(attempts, attempt);
            }
            event => *event = Some((id, 1, vec![attempt])),
        }
        self.of(id)
    }

    /// Counts an event that used up its attempts. Returns the number of consecutive ones.
    pub(super) fn gave_up(&mut self) -> u32 {
        self.given_up = self.given_up.saturating_add(1);
        self.given_up
    }

    /// Takes the attempts at the event that failed last.
    pub(super) fn take(&mut self) -> Vec<Attempt> {
        self.event.take().map(|(.., attempts)| attempts).unwrap_or_default()
    }

    /// Clears the failed event, because a reorganisation removed it.
    pub(super) fn forget(&mut self) {
        self.event = None;
    }

    pub(super) fn succeeded(&mut self) {
        self.event = None;
        self.given_up = 0;
    }
}

impl Runner {
    /// Records a failed attempt at an event, and waits before the next one. Returns the dead letter
    /// if there is no further attempt.
    pub(super) async fn failed_at(
        &mut self,
        id: EventId,
        event: &Event,
        failure: Failure,
        mut draft: Draft,
    ) -> Result<Option<DeadLetter>, StepError> {
        let meta = self.module.meta.clone();
        let restart = self.module.restart;
        let attempt = attempt(&failure, meta.clock.now_ms(), meta.recorder.take_records());
        if let Some(draft) = &mut draft {
            draft.attempt.note_records(&attempt.records);
        }
        let attempts = self.failures.again(id, attempt);
        let most = attempts_max(&failure, restart);
        self.discard_instance().await;
        self.count_failed(Handler::OnEvent(id), &failure, attempts, Some(most));
        report(&self.module, Handler::OnEvent(id), &failure, attempts);
        let is_final = matches!(failure, Failure::Effect(_));
        let (error, exceeded) = (failure.to_string(), exceeded(&failure));
        if attempts < most || (self.has_chain_trouble() && !is_final) {
            let pause = self.module.restart.backoff(attempts).as_millis();
            let pause_ms = u64::try_from(pause).unwrap_or(u64::MAX);
            self.record(
                draft,
                Outcome::Retried {
                    error,
                    exceeded,
                    pause_ms,
                },
            );
            self.back_off(attempts).await;
            return Ok(None);
        }
        let in_row = self.failures.gave_up();
        if in_row >= restart.max_consecutive_failures {
            self.record(draft, Outcome::Died { error, exceeded });
            return Err(Dead::TooManyFailures {
                failures: in_row,
                last: failure,
            }
            .into());
        }
        let letter = DeadLetter {
            id,
            event: event.clone(),
            attempts: self.failures.take(),
        };
        let letters = self.transaction.dead_letters();
        let bytes = letters.bytes + letter.bytes() as u64 + self.transaction.stored_bytes();
        if letters.count >= DEAD_LETTERS_MAX || bytes > meta.limits[Limit::StateBytes] {
            self.record(draft, Outcome::Died { error, exceeded });
            return Err(Dead::LettersMax.into());
        }
        self.record(draft, Outcome::DeadLetter { error, exceeded });
        tracing::error!(
            name: logged::DEAD_LETTER,
            target: logged::EVENT,
            module = meta.name.as_str(),
            event = %id,
            chain = id.topic.chain_id(),
            block = id.block().map(|block| block.number),
            attempts,
            "the event is now a dead letter, and the module continues"
        );
        Ok(Some(letter))
    }
}

/// The most attempts at an event that failed in this way.
pub(super) fn attempts_max(failure: &Failure, restart: Restart) -> u32 {
    let is_hopeless = matches!(failure, Failure::Returned(error) if matches!(
        error.kind,
        HostErrorKind::InvalidInput | HostErrorKind::Denied | HostErrorKind::Unsupported
    ));
    match failure {
        // Only the operator can say what happened.
        Failure::Effect(_) => 1,
        _ if is_hopeless => restart.attempts_max.min(HOPELESS_ATTEMPTS_MAX),
        _ => restart.attempts_max,
    }
}

/// Creates the record of an attempt that ended at `at_ms`, in milliseconds since the Unix epoch.
pub(super) fn attempt(failure: &Failure, at_ms: u64, records: Vec<String>) -> Attempt {
    Attempt {
        at_ms,
        reason: failure.to_string(),
        trip: match failure {
            Failure::Limit(exceeded) => Some(Tripped {
                limit: exceeded.limit.name().to_owned(),
                bound: exceeded.bound,
                used: exceeded.used,
            }),
            _ => None,
        },
        records,
    }
}

/// Logs a failure. The record of an exceeded limit has all its fields.
pub(super) fn report(module: &Module, handler: Handler, failure: &Failure, attempt: u32) {
    let name = module.meta.name.as_str();
    let event = handler.event();
    let (id, chain) = (
        event.map(tracing::field::display),
        event.and_then(|event| event.topic.chain_id()),
    );
    let block = event.and_then(|event| event.block()).map(|block| block.number);
    let (handler, attempts_max) = match event {
        Some(_) => ("on-event", attempts_max(failure, module.restart)),
        None => ("init", module.restart.max_consecutive_failures),
    };
    match failure {
        Failure::Limit(exceeded) => {
            let (limit, bound, used) = (exceeded.limit.name(), exceeded.bound, exceeded.used);
            tracing::error!(
                name: logged::FAILED,
                target: logged::EVENT,
                module = name, handler, event = id, chain, block, attempt, attempts_max, limit, bound, used,
                "a limit was exceeded: {failure}"
            );
        }
        failure => tracing::error!(
            name: logged::FAILED,
            target: logged::EVENT,
            module = name, handler, event = id, chain, block, attempt, attempts_max,
            "{failure}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::nexum::host::types::HostError;

    #[test]
    fn what_a_module_says_will_not_do_is_tried_once_more() {
        let restart = Restart::default();
        let returned = |kind| Failure::Returned(HostError::new("chain", kind, "no"));
        for (failure, expected) in [
            (returned(HostErrorKind::InvalidInput), 2),
            (returned(HostErrorKind::Denied), 2),
            (returned(HostErrorKind::Unsupported), 2),
            (returned(HostErrorKind::Unavailable), 5),
            (returned(HostErrorKind::Internal), 5),
            (Failure::Trap("unreachable".to_owned()), 5),
        ] {
            assert_eq!(attempts_max(&failure, restart), expected, "{failure}");
        }
        let once = Restart {
            attempts_max: 1,
            ..restart
        };
        assert_eq!(attempts_max(&returned(HostErrorKind::Denied), once), 1);
    }
}
