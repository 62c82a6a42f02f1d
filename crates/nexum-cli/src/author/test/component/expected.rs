//! The events that a component has to handle, and how long the test waits for them.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::author::local::record::subject;
use crate::protocol::modules;
use crate::report::Refusal;

/// The longest wait for the next expected event, from the last one on: many times the default deadline of
/// an event, for a slow machine.
pub(super) const EVENT_WAIT_MAX: Duration = Duration::from_secs(120);

/// Events that the module has to handle.
#[derive(Debug)]
pub(super) struct Expected {
    /// The ids, in the order of their causes.
    order: Vec<String>,
    missing: BTreeSet<String>,
    deadline: Instant,
}

impl Expected {
    /// The events with these ids, without those that are `handled` already.
    pub(super) fn new(order: Vec<String>, handled: &BTreeSet<String>, now: Instant) -> Self {
        Self {
            missing: order.iter().filter(|id| !handled.contains(*id)).cloned().collect(),
            order,
            deadline: now + EVENT_WAIT_MAX,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// The time at which the next event is overdue.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Notes a handled event. An expected one moves the deadline. Other events do not: a schedule has
    /// ticks without end.
    pub(super) fn handled(&mut self, id: &str, now: Instant) {
        if self.missing.remove(id) {
            self.deadline = now + EVENT_WAIT_MAX;
        }
    }

    /// The error that names the first missing event, after the deadline.
    pub(super) fn overdue(&self, now: Instant) -> Option<Refusal> {
        let next = self.order.iter().find(|id| self.missing.contains(*id))?;
        (now >= self.deadline).then(|| {
            Refusal::new(format!(
                "the module did not handle {} within {} s",
                name(next),
                EVENT_WAIT_MAX.as_secs()
            ))
        })
    }

    /// Whether the missing events are handled, although the log has no line of them: the daemon drops
    /// lines while their reader is too slow. `lines` is the number of lines of handled events.
    ///
    /// # Errors
    ///
    /// If the module has failed at an event without a line of it.
    pub(super) fn are_handled_without_lines(&self, module: &modules::Module, lines: u64) -> Result<bool, Refusal> {
        if module.failed > 0 {
            let refusal = Refusal::new(format!(
                "{} has {} failed handler calls, and the log lines with the reasons are lost",
                module.name, module.failed
            ));
            return Err(refusal.with_hint("the list of dead letters above has the reasons"));
        }
        let missing = u64::try_from(self.missing.len()).unwrap_or(u64::MAX);
        Ok(module.catching_up.is_empty() && module.handled.saturating_sub(lines) >= missing)
    }
}

/// An event for a message: `block 7 of chain 1` for `1:7:block`.
fn name(id: &str) -> String {
    match id.split_once(':') {
        Some((chain, rest)) if !rest.ends_with(":tick") => format!("{} of chain {chain}", subject(id)),
        _ => subject(id),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    fn status(handled: u64, failed: u64, catching_up: &serde_json::Value) -> modules::Module {
        let module = json!({
            "name": "watch", "path": "watch.wasm", "digest": "", "capabilities": [], "subscriptions": [],
            "wanted": "running", "from": "command line", "stage": "running", "handled": handled, "failed": failed, "dead_letters": 0, "memory_bytes": 0,
            "catching_up": catching_up,
        });
        serde_json::from_value(module).unwrap()
    }

    #[test]
    fn each_expected_event_moves_the_deadline_and_no_other_does() {
        let begin = Instant::now();
        let handled = BTreeSet::from(["1:1:block".to_owned()]);
        let order = ids(&["1:1:block", "1:2:block", "1:10:logs", "00ff:1767225600000:tick"]);
        let mut expected = Expected::new(order, &handled, begin);
        assert_eq!(expected.deadline(), begin + EVENT_WAIT_MAX);
        expected.handled("1:11:block", begin + SECOND);
        assert_eq!(expected.deadline(), begin + EVENT_WAIT_MAX);
        expected.handled("1:2:block", begin + SECOND);
        assert_eq!(expected.deadline(), begin + SECOND + EVENT_WAIT_MAX);

        assert!(expected.overdue(begin + EVENT_WAIT_MAX).is_none());
        let overdue = |expected: &Expected| {
            let refusal = expected.overdue(expected.deadline()).expect("an error");
            refusal.to_string()
        };
        assert_eq!(
            overdue(&expected),
            "the module did not handle logs 10 of chain 1 within 120 s (-)"
        );
        expected.handled("1:10:logs", begin);
        assert_eq!(
            overdue(&expected),
            "the module did not handle tick 2026-01-01T00:00:00.000Z within 120 s (-)"
        );
        expected.handled("00ff:1767225600000:tick", begin);
        assert!(expected.is_complete());
        assert!(expected.overdue(expected.deadline()).is_none());
    }

    #[test]
    fn a_lost_line_is_no_failure_and_a_lost_failure_is_one() {
        let expected = Expected::new(ids(&["1:1:block", "1:2:block"]), &BTreeSet::new(), Instant::now());
        let none = json!([]);
        let are_handled = |status: &modules::Module| expected.are_handled_without_lines(status, 5).ok();
        assert_eq!(are_handled(&status(6, 0, &none)), Some(false));
        assert_eq!(are_handled(&status(7, 0, &none)), Some(true));
        let behind = json!([{ "chain": "1", "from": 1, "at": 1, "to": 2 }]);
        assert_eq!(are_handled(&status(7, 0, &behind)), Some(false));
        let error = expected
            .are_handled_without_lines(&status(7, 1, &none), 5)
            .expect_err("a failure");
        assert_eq!(
            error.to_string(),
            "watch has 1 failed handler calls, and the log lines with the reasons are lost (the list of dead letters above has \
             the reasons)"
        );
    }
}
