//! A runner's record of its module's failures.

use nexum_config::restart::Restart;

use crate::bindings::nexum::host::types::HostErrorKind;
use crate::event::{EventId, Handler};
use crate::logged;
use crate::module::failure::Failure;
use crate::module::loader::Module;
use crate::state::{self, Attempt, Tripped};

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
