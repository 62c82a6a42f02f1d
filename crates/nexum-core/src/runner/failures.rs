//! What a runner remembers of its module's failures.

use nexum_config::restart::Restart;

use crate::bindings::nexum::host::types::HostErrorKind;
use crate::event::{EventId, Handler};
use crate::module::instance::Failure;
use crate::module::loader::Module;
use crate::state::{self, Attempt, Tripped};

/// How often an event is tried where the module has said that it will not do: once more, since another answer from outside may
/// have been the reason.
const HOPELESS_ATTEMPTS_MAX: u32 = 2;

/// The failures in a row.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Of `init`.
    pub(super) of_init: u32,
    /// The event that failed last, how many attempts there were, and those that its dead letter will have.
    event: Option<(EventId, u32, Vec<Attempt>)>,
    /// Events that were given up, since the last that went well.
    given_up: u32,
}

impl Failures {
    /// How often this event has been tried in vain.
    pub(super) fn of(&self, id: EventId) -> u32 {
        let event = self.event.as_ref().filter(|(failed, ..)| *failed == id);
        event.map_or(0, |(_, count, _)| *count)
    }

    /// Adds an attempt at an event, and returns how many there were.
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

    /// The event is given up. Returns how many were, one after the other.
    pub(super) fn gave_up(&mut self) -> u32 {
        self.given_up = self.given_up.saturating_add(1);
        self.given_up
    }

    /// The attempts at the event that failed last.
    pub(super) fn take(&mut self) -> Vec<Attempt> {
        self.event.take().map(|(.., attempts)| attempts).unwrap_or_default()
    }

    /// The event that failed never happened.
    pub(super) fn forget(&mut self) {
        self.event = None;
    }

    pub(super) fn succeeded(&mut self) {
        self.event = None;
        self.given_up = 0;
    }
}

/// How often an event may be tried that has failed in this way.
pub(super) fn attempts_max(failure: &Failure, restart: Restart) -> u32 {
    let is_hopeless = matches!(failure, Failure::Returned(error) if matches!(
        error.kind,
        HostErrorKind::InvalidInput | HostErrorKind::Denied | HostErrorKind::Unsupported
    ));
    match is_hopeless {
        true => restart.attempts_max.min(HOPELESS_ATTEMPTS_MAX),
        false => restart.attempts_max,
    }
}

/// The record of an attempt that ended at `at_ms` like this.
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
        Failure::Limit(exceeded) => {
            let (limit, bound, used) = (exceeded.limit.name(), exceeded.bound, exceeded.used);
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
