//! The counts of a replay, and the events to show.

use serde::Serialize;

use super::difference::Difference;
use super::report::EventReport;

/// The most events of one kind, and the most keys, that a replay keeps and shows. It counts all of them.
pub(super) const SHOWN_MAX: usize = 200;

/// The counts of a replay, and the events to show.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tally {
    /// The number of events.
    pub(super) events: u64,
    /// The number of events at which the two sides did something else.
    pub(super) differ: u64,
    /// The first of these events.
    pub(super) differences: Vec<Difference>,
    /// The number of events that failed; with `--with`, of the new version.
    pub(super) failed: u64,
    /// The first of these events, if nothing is compared with them.
    pub(super) failures: Vec<Failed>,
    /// The number of effects that nexum did not send; with `--with`, of the new version.
    pub(super) effects: u64,
    /// The number of reads with answers of today; with `--with`, without those that both versions made.
    pub(super) not_pinned: u64,
    /// The number of questions that the record of an event does not answer.
    pub(super) unanswered: u64,
    /// The first of these questions.
    pub(super) questions: Vec<Unanswered>,
}

/// An event that failed.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    pub(super) event: String,
    pub(super) failure: String,
}

/// A question that the record of an event does not answer.
#[derive(Debug, Serialize)]
pub(super) struct Unanswered {
    pub(super) event: String,
    pub(super) question: String,
}

impl Tally {
    /// Adds events that are compared with nothing.
    pub(super) fn add(&mut self, events: Vec<EventReport>) {
        self.count(&events);
        for EventReport { event, failure, .. } in events {
            if let (Some(failure), true) = (failure, self.failures.len() < SHOWN_MAX) {
                self.failures.push(Failed { event, failure });
            }
        }
    }

    /// Compares two sides at the same events.
    pub(super) fn compare(&mut self, old: &[EventReport], new: &[EventReport]) {
        self.count(new);
        let others = new.iter().filter(|new| old.iter().all(|old| old.event != new.event));
        let pairs = old
            .iter()
            .map(|old| (Some(old), new.iter().find(|new| new.event == old.event)));
        for (old, new) in pairs.chain(others.map(|new| (None, Some(new)))) {
            if let Some(difference) = Difference::of(old, new).filter(|_| !is_restart(old, new)) {
                let is_counted = new.is_some_and(|new| !is_init(new) || !new.is_ok());
                self.events += u64::from(!is_counted);
                self.differ += 1;
                if self.differences.len() < SHOWN_MAX {
                    self.differences.push(difference);
                }
            }
        }
    }

    fn count(&mut self, events: &[EventReport]) {
        for event in events {
            // An `init` counts only if there is something to say about it.
            self.events += u64::from(!is_init(event) || !event.is_ok());
            self.failed += u64::from(!event.is_ok());
            self.effects += event.effects.len() as u64;
            self.not_pinned += event.not_pinned.iter().map(|calls| calls.count).sum::<u64>();
            self.unanswered += event.not_recorded.len() as u64;
            let room = SHOWN_MAX - self.questions.len();
            let questions = event.not_recorded.iter().take(room);
            self.questions.extend(questions.map(|question| Unanswered {
                event: event.event.clone(),
                question: question.clone(),
            }));
        }
    }
}

fn is_init(event: &EventReport) -> bool {
    event.event.starts_with("init")
}

/// Whether only one side called `init`, because its instance failed before, and `init` did nothing.
fn is_restart(old: Option<&EventReport>, new: Option<&EventReport>) -> bool {
    let ((Some(alone), None) | (None, Some(alone))) = (old, new) else {
        return false;
    };
    is_init(alone) && alone.is_ok() && alone.writes.is_empty() && alone.effects.is_empty()
}
