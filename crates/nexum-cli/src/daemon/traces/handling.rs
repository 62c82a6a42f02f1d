//! The spans of an attempt at an event.
//!
//! ```text
//! event                  from the arrival of the block to the last end below
//! +- handler             one for each attempt
//! |  +- chain eth_call   one for each host call that the entry lists
//! +- commit              after the handler
//! ```
//!
//! The spans of an attempt are complete when its entry is. The event's span follows with the last attempt.

mod parts;

use std::collections::BTreeMap;

use nexum_core::ledger::{AttemptEntry, Commit, Outcome};
use nexum_core::source::EventId;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use self::parts::{call, describe_event, describe_handler, outcome_word};
use super::span::{Attributes as _, Place, Times, span, time};

/// The events that modules work at.
pub(super) struct Handlings {
    identity: String,
    /// By module: a module works at one event at a time.
    open: BTreeMap<String, Handling>,
}

/// The work of a module at an event.
struct Handling {
    event: EventId,
    place: Place,
    /// The event's span. It ends later with each attempt.
    span: SpanData,
    /// The number of attempts. A reload of the module begins a new count, but no new trace.
    attempts: u64,
    /// The outcome of the last attempt, in a word.
    outcome: &'static str,
}

impl Handlings {
    /// `identity` tells apart the traces of several nexum that run one module.
    pub(super) fn new(identity: String) -> Self {
        Self {
            identity,
            open: BTreeMap::new(),
        }
    }

    /// Adds the spans that are complete with this attempt.
    pub(super) fn add(&mut self, attempt: &AttemptEntry, spans: &mut Vec<SpanData>) {
        let module = &attempt.module.name;
        // The module gave up another event, such as one that a reorganisation removed.
        if let Some(other) = self.open.remove(module) {
            match other.event == attempt.event {
                true => drop(self.open.insert(module.clone(), other)),
                false => spans.push(other.finish()),
            }
        }
        let identity = &self.identity;
        let handling = self.open.entry(module.clone());
        let handling = handling.or_insert_with(|| Handling::begin(identity, attempt));
        handling.add(attempt, spans);
        if is_last(&attempt.outcome)
            && let Some(handling) = self.open.remove(module)
        {
            spans.push(handling.finish());
        }
    }

    /// The spans of the events that nexum has not finished.
    pub(super) fn finish(&mut self) -> Vec<SpanData> {
        std::mem::take(&mut self.open)
            .into_values()
            .map(Handling::finish)
            .collect()
    }
}

impl Handling {
    /// The work that begins with this attempt.
    fn begin(identity: &str, attempt: &AttemptEntry) -> Self {
        let module = &attempt.module.name;
        let trace = format!("{identity} {module} {}", attempt.event);
        // A retry of a dead letter, and the event of another block at the height, begin another span of the trace.
        let place = Place::root(&trace, &format!("event {} {}", attempt.attempt, attempt.begun_ms));
        let from_us = handler_times(attempt).from_us;
        let seen_us = attempt.seen.as_ref().map_or(from_us, |seen| us(seen.at_ms));
        let times = Times {
            from_us: seen_us.min(from_us),
            to_us: from_us,
        };
        let mut span = span("event", SpanKind::Consumer, (place, None), times);
        describe_event(&mut span, attempt);
        Self {
            event: attempt.event,
            place,
            span,
            attempts: 0,
            outcome: outcome_word(&attempt.outcome),
        }
    }

    /// Adds the spans of an attempt.
    fn add(&mut self, attempt: &AttemptEntry, spans: &mut Vec<SpanData>) {
        let times = handler_times(attempt);
        let place = self
            .place
            .child(&format!("handler {} {}", attempt.attempt, attempt.begun_ms));
        let mut handler = span("handler", SpanKind::Internal, (place, Some(self.place)), times);
        describe_handler(&mut handler, attempt);
        handler.status = status(&attempt.outcome);
        spans.push(handler);
        for (index, one) in attempt.calls.iter().enumerate() {
            spans.push(call(one, (place.child(&format!("call {index}")), place), times));
        }
        let mut end_us = times.to_us;
        if let Some(commit) = &attempt.commit {
            let times = commit_times(commit, times.to_us, !attempt.effects.is_empty());
            let mut span = span(
                "commit",
                SpanKind::Internal,
                (place.child("commit"), Some(self.place)),
                times,
            );
            span.set_number("nexum.commit.wait_us", commit.took_us);
            span.set_number("nexum.commit.group", commit.group.into());
            if let Outcome::StoreFailed { error } = &attempt.outcome {
                span.status = Status::error(error.clone());
            }
            spans.push(span);
            end_us = end_us.max(times.to_us);
        }
        self.span.end_time = self.span.end_time.max(time(end_us));
        self.span.status = status(&attempt.outcome);
        self.attempts += 1;
        self.outcome = outcome_word(&attempt.outcome);
    }

    /// The event's span.
    fn finish(mut self) -> SpanData {
        self.span.set("nexum.outcome", self.outcome);
        self.span.set_number("nexum.attempts", self.attempts);
        self.span
    }
}

/// Whether no attempt follows by itself.
fn is_last(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Handled | Outcome::DeadLetter { .. } | Outcome::Died { .. } => true,
        Outcome::Retried { .. } | Outcome::StoreFailed { .. } => false,
    }
}

fn status(outcome: &Outcome) -> Status {
    match outcome.error() {
        Some(error) => Status::error(error.to_owned()),
        None => Status::Unset,
    }
}

fn handler_times(attempt: &AttemptEntry) -> Times {
    let from_us = us(attempt.begun_ms);
    Times {
        from_us,
        to_us: from_us.saturating_add(attempt.took_us),
    }
}

/// The time of a commit, which begins after the handler. The wait of a handler with effects includes the commits before its
/// requests, which are in the handler's time. The clock of an entry has milliseconds: a shorter wait keeps its duration.
fn commit_times(commit: &Commit, handler_end_us: u64, has_effects: bool) -> Times {
    let at_us = us(commit.at_ms);
    let from_us = at_us.saturating_sub(commit.took_us).max(handler_end_us);
    let shortest_us = if has_effects { 0 } else { commit.took_us };
    Times {
        from_us,
        to_us: at_us.max(from_us.saturating_add(shortest_us)),
    }
}

fn us(ms: u64) -> u64 {
    ms.saturating_mul(1_000)
}

#[cfg(test)]
pub(super) mod tests;
