//! Makes handlings of the ledger's rows: the attempts at one event together, with what happened to it later.

use nexum_config::limits::saturating_u32;
use nexum_config::topic::Topic;
use nexum_core::ledger::{self, AttemptEntry, CallInputs, Entry, Inputs, ModuleVersion, Waits};
use nexum_core::source::EventId;
use nexum_ledger::Row;

use super::question::Question;
use crate::protocol::explain::{
    Call, CommitPart, EffectOfRun, Explained, Handling, LimitPart, Outcome, Run, TimePart, ValuePart, Values, Wait,
    WritePart,
};
use crate::report::hex;
use crate::report::preview::preview;

/// The most bytes of a value.
const VALUE_BYTES_MAX: usize = 1_024;

/// The cause of the part of a wait for which the ledger has no other.
pub(super) const NEXUM: &str = "nexum's own work";

/// The name of the limit of fuel.
const FUEL: &str = "fuel_per_event";

/// The handlings so far. Rows come newest first.
#[derive(Default)]
pub(super) struct Folding {
    handlings: Vec<Folded>,
    /// The reverts so far: module, topic, number of the newest block that stays, and time.
    reverts: Vec<(String, Topic, Option<u64>, u64)>,
    dropped: Vec<(String, EventId)>,
    has_values: bool,
}

/// The attempts at one event, newest first.
struct Folded {
    number: u64,
    attempts: Vec<(AttemptEntry, Option<Values>)>,
    /// The reverts after it, and the time of the first one of them.
    reverts: usize,
    reverted_ms: Option<u64>,
    is_dropped: bool,
}

impl Folding {
    /// No handlings. `has_values` tells whether they get the recorded values of changed keys.
    pub(super) fn new(has_values: bool) -> Self {
        Self {
            has_values,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, row: Row) {
        let Row { number, at_ms, entry } = row;
        match entry {
            Entry::Attempt(attempt) => self.attempt(number, *attempt),
            Entry::Reverted(reverted) => {
                let to = reverted.to.map(|to| to.number);
                self.reverts.push((reverted.module, reverted.topic, to, at_ms));
            }
            Entry::Dropped(act) => self.dropped.push((act.module, act.event)),
            Entry::Inputs(inputs) if self.has_values => self.inputs(*inputs),
            Entry::Stage(_) | Entry::Lost(_) | Entry::Inputs(_) => {}
        }
    }

    fn attempt(&mut self, number: u64, attempt: AttemptEntry) {
        let (name, event) = (&attempt.module.name, attempt.event);
        let reverts = self.reverts.iter().filter(|(module, topic, to, _)| {
            module == name && *topic == event.topic && to.is_none_or(|to| event.position.number > to)
        });
        let reverted: Vec<_> = reverts.map(|(.., at_ms)| *at_ms).collect();
        // A retry of a dead letter, and a module that reads its state again, handle the event again.
        let continues = |one: &&mut Folded| {
            let newer = one.attempts.last().map(|(newer, _)| newer);
            let is_of = |newer: &AttemptEntry| newer.event == event && newer.module.name == *name;
            one.reverts == reverted.len() && newer.is_some_and(is_of)
        };
        if let Some(one) = self.handlings.iter_mut().find(continues) {
            one.attempts.push((attempt, None));
            return;
        }
        self.handlings.push(Folded {
            number,
            reverts: reverted.len(),
            reverted_ms: reverted.last().copied(),
            is_dropped: self.dropped.iter().any(|(module, of)| module == name && *of == event),
            attempts: vec![(attempt, None)],
        });
    }

    /// Adds the values of an attempt, whose row is the one before.
    fn inputs(&mut self, inputs: Inputs) {
        let Inputs {
            module,
            event,
            attempt,
            content,
        } = inputs;
        let mut oldest = self.handlings.iter_mut().filter_map(|one| one.attempts.last_mut());
        let of = oldest.find(|(entry, values)| {
            values.is_none() && (&entry.module.name, entry.event, entry.attempt) == (&module, event, attempt)
        });
        if let (Some((_, values)), Some(content)) = (of, content) {
            *values = Some(self::values(&content.call));
        }
    }

    /// Whether the first `limit` handlings have all of their attempts: another one follows.
    pub(super) fn has_whole(&self, limit: usize) -> bool {
        self.handlings.len() > limit
    }

    pub(super) fn cut(&mut self, limit: usize) {
        self.handlings.truncate(limit);
    }

    /// Keeps the handlings that the question is about.
    pub(super) fn retain(&mut self, question: &Question) {
        self.handlings.retain(|one| question.is_about(&one.explained()));
    }

    /// The handlings, newest first.
    pub(super) fn explained(&self) -> Vec<Explained> {
        self.handlings.iter().map(Folded::explained).collect()
    }
}

impl Folded {
    fn explained(&self) -> Explained {
        // There is at least one attempt.
        let (newest, _) = &self.attempts[0];
        let first = self.attempts.last().map_or(newest, |(first, _)| first);
        let ModuleVersion {
            version,
            digest,
            manifest,
            revision,
            since_ms,
            ..
        } = &*newest.module;
        // A retry of a dead letter matches nothing by itself.
        let subscriptions = &first.module.subscriptions;
        let matches =
            |index: &usize| first.matched & 1_u64.checked_shl(u32::try_from(*index).unwrap_or(64)).unwrap_or(0) > 0;
        let matched = (0..subscriptions.len())
            .filter(matches)
            .filter_map(|index| subscriptions.get(index));
        let waited_us = first
            .seen
            .as_ref()
            .map(|seen| first.begun_ms.saturating_sub(seen.at_ms) * 1_000);
        let mut handling = handling(self.number, newest);
        handling.seen_ms = first.seen.as_ref().map(|seen| seen.at_ms);
        handling.begun_ms = first.begun_ms;
        handling.attempts = saturating_u32(self.attempts.len() as u64).max(newest.attempt);
        handling.waited_us = waited_us;
        if self.reverted_ms.is_some() {
            handling.outcome = Outcome::Reverted;
        } else if self.is_dropped {
            handling.outcome = Outcome::Dropped;
        }
        Explained {
            version: version.clone(),
            digest: digits(digest),
            manifest: manifest.as_ref().map(digits),
            revision: revision.as_ref().map(ToString::to_string),
            configured_ms: *since_ms,
            endpoint: first.seen.as_ref().and_then(|seen| seen.endpoint.clone()),
            pushed: first.seen.as_ref().is_some_and(|seen| seen.pushed),
            matched: matched.cloned().collect(),
            waits: waits(&first.waits, waited_us),
            runs: self
                .attempts
                .iter()
                .rev()
                .map(|(attempt, values)| run(attempt, values.as_ref()))
                .collect(),
            commit: newest.commit.map(|commit| CommitPart {
                at_ms: commit.at_ms,
                took_us: commit.took_us,
                group: commit.group,
            }),
            reverted_ms: self.reverted_ms,
            settled: None,
            handling,
        }
    }
}

fn values(call: &CallInputs) -> Values {
    let shown = |bytes: &[u8]| preview(bytes, VALUE_BYTES_MAX);
    let asked = call.calls.iter().map(|call| {
        let arguments = call.arguments.iter().map(|argument| shown(argument));
        std::iter::once(call.kind.to_string()).chain(arguments).collect()
    });
    let writes = call.writes.iter().map(|(key, value)| ValuePart {
        key: preview(key, usize::MAX),
        value: value.as_ref().map(|value| shown(value)),
    });
    Values {
        asked: asked.collect(),
        writes: writes.collect(),
    }
}

/// The newest attempt as a handling.
fn handling(number: u64, newest: &AttemptEntry) -> Handling {
    let event = newest.event;
    let used = |limit: &str| {
        newest
            .used
            .iter()
            .find(|one| one.limit == limit)
            .map_or(0, |one| one.used)
    };
    let bound = bound(newest, FUEL).filter(|bound| *bound > 0);
    let (outcome, error) = match &newest.outcome {
        ledger::Outcome::Handled => (Outcome::Handled, None),
        ledger::Outcome::Retried { error, .. } => (Outcome::Retrying, Some(error)),
        ledger::Outcome::DeadLetter { error, .. } => (Outcome::DeadLetter, Some(error)),
        ledger::Outcome::Died { error, .. } => (Outcome::Died, Some(error)),
        ledger::Outcome::StoreFailed { error } => (Outcome::StoreFailed, Some(error)),
    };
    Handling {
        number,
        module: newest.module.name.clone(),
        event: event.to_string(),
        chain: event.topic.chain_id(),
        block: event.block().map(|block| block.number),
        hash: event.block().map(|block| hex(&block.hash)),
        kind: event.kind.name().to_owned(),
        seen_ms: newest.seen.as_ref().map(|seen| seen.at_ms),
        begun_ms: newest.begun_ms,
        ended_ms: newest.begun_ms.saturating_add(newest.took_us / 1_000),
        committed_ms: newest.commit.map(|commit| commit.at_ms),
        outcome,
        error: error.cloned(),
        attempts: newest.attempt,
        took_us: newest.took_us,
        waited_us: newest
            .seen
            .as_ref()
            .map(|seen| newest.begun_ms.saturating_sub(seen.at_ms) * 1_000),
        fuel: used(FUEL),
        fuel_share: bound.map_or(0.0, |bound| used(FUEL) as f64 / bound as f64),
        writes: newest.writes.len() as u64 + u64::from(newest.writes_left_out),
        effects: newest.effects.len() as u64,
    }
}

/// A digest as hexadecimal digits alone.
fn digits(digest: &[u8; 32]) -> String {
    hex(digest).split_off(2)
}

fn bound(attempt: &AttemptEntry, limit: &str) -> Option<u64> {
    let limits = &attempt.module.limits;
    limits.iter().find(|(name, _)| name == limit).map(|(_, bound)| *bound)
}

/// The parts of a wait, the longest first. The rest is nexum's own way from the source to the module.
fn waits(waits: &Waits, waited_us: Option<u64>) -> Vec<Wait> {
    let behind = waits.behind.map_or_else(
        || "earlier events of the module".to_owned(),
        |event| format!("earlier events of the module, the last one {event}"),
    );
    let start = "the start of an instance".to_owned();
    let mut parts = vec![
        (behind, waits.busy_us),
        ("`events_per_second`".to_owned(), waits.rate_us),
        (start, waits.start_us),
    ];
    if let Some(waited) = waited_us {
        let known: u64 = parts.iter().map(|(_, took)| *took).sum();
        parts.push((NEXUM.to_owned(), waited.saturating_sub(known)));
    }
    parts.retain(|(_, took)| *took > 0);
    parts.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
    let part = |(cause, took_us)| Wait { cause, took_us };
    parts.into_iter().map(part).collect()
}

fn run(attempt: &AttemptEntry, values: Option<&Values>) -> Run {
    let mut time: Vec<_> = attempt.time.each().into_iter().filter(|(_, took)| *took > 0).collect();
    time.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
    let total: u64 = time.iter().map(|(_, took)| *took).sum();
    let exceeded = attempt
        .outcome
        .exceeded()
        .map(|exceeded| format!("{}: {} of {}", exceeded.limit, exceeded.used, exceeded.bound));
    Run {
        attempt: attempt.attempt,
        begun_ms: attempt.begun_ms,
        took_us: attempt.took_us,
        error: attempt.outcome.error().map(str::to_owned),
        exceeded,
        pause_ms: match attempt.outcome {
            ledger::Outcome::Retried { pause_ms, .. } => Some(pause_ms),
            _ => None,
        },
        is_detailed: attempt.is_detailed,
        calls: attempt.calls.iter().map(call).collect(),
        calls_left_out: attempt.calls_left_out,
        time: time
            .into_iter()
            .map(|(kind, took_us)| TimePart {
                kind: kind.to_owned(),
                took_us,
                share: took_us as f64 / total as f64,
            })
            .collect(),
        limits: attempt
            .used
            .iter()
            .map(|one| LimitPart {
                limit: one.limit.to_string(),
                used: one.used,
                bound: bound(attempt, &one.limit),
            })
            .collect(),
        records: attempt.records.clone(),
        writes: attempt
            .writes
            .iter()
            .map(|write| WritePart {
                key: write.key.clone(),
                bytes: write.bytes,
            })
            .collect(),
        writes_left_out: attempt.writes_left_out,
        values: values.cloned(),
        effects: attempt
            .effects
            .iter()
            .map(|effect| EffectOfRun {
                kind: effect.kind.clone(),
                target: effect.target.clone(),
                state: effect.state.clone(),
            })
            .collect(),
    }
}

fn call(call: &ledger::HostCallEntry) -> Call {
    Call {
        kind: call.kind.name().to_owned(),
        method: call.method.to_string(),
        endpoint: call.endpoint.clone(),
        start_us: call.start_us,
        took_us: call.took_us,
        bytes: call.bytes,
        error: call.error.as_ref().map(ToString::to_string),
        count: call.count,
    }
}
