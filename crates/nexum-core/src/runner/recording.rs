//! A runner's entries in the ledger: one for each attempt at an event.

mod parts;

use std::sync::Arc;
use std::time::Duration;

use nexum_config::causes::Causes;
use nexum_config::limits::{Limit, LimitUsage, saturating_u32};
use nexum_config::manifest::Subscription;
use nexum_config::topic::Topic;
use tokio::time::Instant;

use self::parts::{bits, ms, us, uses, version, writes};
pub(super) use self::parts::{exceeded, with_effects};
use super::Runner;
use super::feed::{Delivery, Feed};
use crate::bus::log::Origin;
use crate::capability::ModuleMeta;
use crate::capability::activity::Trace;
use crate::event::{Event, EventId, EventKind};
use crate::ledger::{
    Act, AttemptEntry, Calls, Commit, Entry, HostCallEntry, INPUT_BYTES_MAX, InputContent, Inputs, Ledger,
    ModuleVersion, Outcome, Reverted, Seen, StartInputs, TimeByKind, Waits,
};
use crate::module::failure::Failure;
use crate::module::instance::Instance;
use crate::module::loader::Module;
use crate::state::scope::journal::tape::Tape;
use crate::state::{Changes, Cursors, payload_bytes};
use crate::store::committer::CommitError;

/// A handler call is slow if it takes more than one part in this many of its deadline: a second with the
/// default deadline.
const SLOW_PART: u64 = 10;

/// The entry of an attempt whose outcome is not known yet. `None` without a ledger.
pub(super) type Draft = Option<Box<Drafted>>;

/// The entry of an attempt whose outcome is not known yet, with its inputs if the ledger has them.
pub(super) struct Drafted {
    pub(super) attempt: Box<AttemptEntry>,
    inputs: Option<Box<Inputs>>,
}

/// A runner's wait for commits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waited {
    /// The time of all commits.
    pub(super) took: Duration,
    /// The number of commits in the last one's transaction.
    pub(super) group: usize,
}

/// A runner's notes for the ledger.
pub(super) struct Recording {
    ledger: Ledger,
    module: Arc<ModuleVersion>,
    /// The subscriptions that each kind of event can match: a bit for each.
    of_logs: u64,
    /// The subscriptions that matched the block or the tick.
    matched: u64,
    arrived: Option<(Instant, Option<Arc<Origin>>)>,
    rate: Duration,
    /// The start of the instance, if no event has used it yet.
    started: Option<(Instant, Instant)>,
    /// The start of the instance, in milliseconds since the Unix epoch.
    instance_ms: u64,
    /// The inputs of the start of the instance, if no entry has them yet.
    start: Option<StartInputs>,
    /// The last event, and its end.
    last: Option<(EventId, Instant)>,
    attempts: u32,
}

impl Recording {
    fn new(ledger: Ledger, module: &Module) -> Self {
        module.meta.activity.begin_trace();
        let is_logs = |subscription: &Subscription| matches!(subscription, Subscription::Logs(_));
        Self {
            module: Arc::new(version(module, ledger.now_ms())),
            ledger,
            of_logs: bits(module.subscriptions.iter().map(is_logs)),
            matched: 0,
            arrived: None,
            rate: Duration::ZERO,
            started: None,
            instance_ms: 0,
            start: None,
            last: None,
            attempts: 0,
        }
    }

    /// The inputs of an attempt, if they were recorded.
    fn inputs(
        &mut self,
        draft: &AttemptEntry,
        event: &Event,
        tape: Option<Tape>,
        changes: Option<&Changes>,
    ) -> Option<Inputs> {
        let call = tape?.finish(draft.begun_ms, changes.into_iter().flat_map(|changes| &changes.keys));
        let content = InputContent {
            payload: event.clone(),
            instance_ms: self.instance_ms,
            start: self.start.take(),
            call,
        };
        let has_room = payload_bytes(event) <= INPUT_BYTES_MAX;
        Some(Inputs {
            module: draft.module.name.clone(),
            event: draft.event,
            attempt: draft.attempt,
            content: has_room.then(|| Box::new(content)),
        })
    }

    /// Whether the list of calls is kept of an attempt without failure.
    fn wants_calls(&self, took: Duration, meta: &ModuleMeta) -> bool {
        let deadline_ms = u128::from(meta.limits[Limit::Deadline]);
        let chosen = match self.ledger.calls() {
            Calls::FailedAndSlow => false,
            Calls::OneIn(number) => self.attempts.is_multiple_of(number),
            Calls::All => true,
        };
        chosen || took.as_millis() * u128::from(SLOW_PART) >= deadline_ms
    }

    fn waits(&self, begun: Instant) -> Waits {
        let Some((arrived, _)) = &self.arrived else {
            return Waits {
                rate_us: us(self.rate),
                ..Waits::default()
            };
        };
        let behind = self.last.filter(|(_, ended)| ended > arrived);
        let started = self
            .started
            .map(|(from, to)| to.min(begun).saturating_duration_since(from.max(*arrived)));
        Waits {
            busy_us: behind.map_or(0, |(_, ended)| us(ended.saturating_duration_since(*arrived))),
            behind: behind.map(|(event, _)| event),
            rate_us: us(self.rate),
            start_us: started.map_or(0, us),
        }
    }

    /// Begins the entry of an attempt, after its handler call. `of_call` is the use of the limits, and
    /// whether the call failed.
    fn draft(
        &mut self,
        event: EventId,
        attempt: u32,
        instance: &Instance,
        (used, has_failed): (&LimitUsage, bool),
        meta: &ModuleMeta,
    ) -> AttemptEntry {
        let (began, took) = (instance.began(), instance.took());
        let now_ms = self.ledger.now_ms();
        let ms_before = |since: Instant| now_ms.saturating_sub(ms(since.elapsed()));
        self.attempts = self.attempts.wrapping_add(1);
        let is_detailed = has_failed || self.wants_calls(took, meta);
        let Trace { times, calls, left_out } = meta.activity.trace(is_detailed);
        let mut time = TimeByKind::default();
        for (kind, took) in &times {
            time.add(*kind, us(*took));
        }
        let in_host = times.iter().map(|(_, took)| *took).sum();
        time.guest_us = us(took.saturating_sub(in_host));
        let waits = self.waits(began);
        let matched = match event.kind {
            EventKind::Logs => self.matched & self.of_logs,
            EventKind::Block => self.matched & !self.of_logs,
            EventKind::Tick => self.matched,
        };
        self.rate = Duration::ZERO;
        self.started = None;
        self.last = Some((event, Instant::now()));
        AttemptEntry {
            module: self.module.clone(),
            event,
            attempt,
            seen: self.arrived.as_ref().map(|(at, origin)| Seen {
                at_ms: ms_before(*at),
                endpoint: origin.as_ref().map(|origin| origin.endpoint.clone()),
                pushed: origin.as_ref().is_some_and(|origin| origin.pushed),
            }),
            waits,
            matched,
            begun_ms: ms_before(began),
            took_us: us(took),
            outcome: Outcome::Handled,
            used: uses(used),
            time,
            is_detailed,
            calls: calls.into_iter().map(HostCallEntry::from).collect(),
            calls_left_out: if is_detailed { left_out } else { 0 },
            records: Vec::new(),
            writes: Vec::new(),
            writes_left_out: 0,
            effects: Vec::new(),
            commit: None,
        }
    }
}

impl Runner {
    /// Records all events of the runner in a ledger.
    #[must_use]
    pub(crate) fn with_ledger(mut self, ledger: Option<&Ledger>) -> Self {
        if let Some(ledger) = ledger {
            self.status.report_to(ledger.clone());
            self.recording = Some(Recording::new(ledger.clone(), &self.module));
        }
        self
    }

    /// Records later events as those of the runner's module, which a reload has replaced.
    pub(super) fn record_new_module(&mut self) {
        // The instance of the new module has started before.
        if let Some(Recording {
            ledger,
            last,
            instance_ms,
            start,
            ..
        }) = self.recording.take()
        {
            let recording = Recording::new(ledger, &self.module);
            self.recording = Some(Recording {
                last,
                instance_ms,
                start,
                ..recording
            });
        }
    }

    /// Whether the ledger gets what handlers see.
    pub(super) fn records_inputs(&self) -> bool {
        self.recording
            .as_ref()
            .is_some_and(|recording| recording.ledger.inputs())
    }

    /// Notes the arrival of a block, whose events follow. `matched` has a bit for each subscription.
    pub(super) fn note_block(&mut self, delivery: &Delivery, matched: u64) {
        if let Some(recording) = &mut self.recording {
            recording.arrived = delivery.arrived.map(|at| (at, delivery.origin.clone()));
            recording.matched = matched;
        }
    }

    /// Notes an event that came at its own time, or again on request.
    pub(super) fn note_due(&mut self, matched: u64) {
        if let Some(recording) = &mut self.recording {
            recording.arrived = None;
            recording.matched = matched;
        }
    }

    /// Notes a wait because of the event rate.
    pub(super) fn note_rate(&mut self, waited: Duration) {
        if let Some(recording) = &mut self.recording {
            recording.rate = recording.rate.saturating_add(waited);
        }
    }

    /// Notes the start of an instance, with the changes of its `init`. `None` for a start that failed.
    pub(super) fn note_start(&mut self, began: Instant, started: Option<(&mut Instance, &Changes)>) {
        let Some(recording) = &mut self.recording else { return };
        recording.started = Some((began, Instant::now()));
        let Some((instance, changes)) = started else { return };
        let now_ms = recording.ledger.now_ms().saturating_sub(ms(began.elapsed()));
        // Each instance has its own time.
        recording.instance_ms = now_ms.max(recording.instance_ms + 1);
        recording.start = instance.take_tape().map(|tape| StartInputs {
            seed: instance.wasi_seed(),
            call: tape.finish(recording.instance_ms, &changes.keys),
        });
    }

    /// Begins the entry of an attempt, after its handler call.
    pub(super) fn draft(
        &mut self,
        (id, event): (EventId, &Event),
        attempt: u32,
        used: &LimitUsage,
        result: &Result<Changes, Failure>,
    ) -> Draft {
        let (recording, instance) = (self.recording.as_mut()?, self.life.instance()?);
        let meta = &self.module.meta;
        let mut draft = recording.draft(id, attempt, instance, (used, result.is_err()), meta);
        let inputs = recording.inputs(&draft, event, instance.take_tape(), result.as_ref().ok());
        if let Ok(changes) = result {
            (draft.writes, draft.writes_left_out) = writes(changes);
            draft.note_effects(changes.effects.as_deref());
            if draft.is_detailed {
                draft.note_records(&meta.recorder.take_records());
            }
        }
        Some(Box::new(Drafted {
            attempt: Box::new(draft),
            inputs: inputs.map(Box::new),
        }))
    }

    /// Adds the entry of an event whose handler returned ok. `waited` is the wait for the commit.
    pub(super) fn record_kept(
        &mut self,
        mut draft: Draft,
        committed: &Result<(), CommitError>,
        waited: Option<Waited>,
    ) {
        if let (Some(recording), Some(draft)) = (&mut self.recording, &mut draft) {
            draft.attempt.commit = waited.map(|Waited { took, group }| Commit {
                at_ms: recording.ledger.now_ms(),
                took_us: us(took),
                group: saturating_u32(group as u64),
            });
            recording.last = Some((draft.attempt.event, Instant::now()));
        }
        let outcome = match committed {
            Ok(()) => Outcome::Handled,
            Err(error) => Outcome::StoreFailed {
                error: Causes(error).to_string(),
            },
        };
        self.record(draft, outcome);
    }

    /// Adds the entry of an attempt.
    pub(super) fn record(&self, draft: Draft, outcome: Outcome) {
        if let (Some(recording), Some(mut draft)) = (&self.recording, draft) {
            draft.attempt.outcome = outcome;
            recording.ledger.push_attempt(draft.attempt, draft.inputs);
        }
    }

    /// Adds entries for the topics whose events a reorganisation has reverted: those whose cursor is not the
    /// one `before`.
    pub(super) fn record_reverted(&self, before: &Cursors) {
        let Some(recording) = &self.recording else { return };
        for topic in self.feeds.iter().map(Feed::topic) {
            let last = |cursors: &Cursors| cursors.get(topic).and_then(|cursor| cursor.last);
            let now = self.last(topic);
            if last(before) != now {
                recording.ledger.push(Entry::Reverted(Reverted {
                    module: recording.module.name.clone(),
                    topic,
                    to: now.map(|progress| progress.position),
                }));
            }
        }
    }

    /// Adds the entry of a dead letter that the operator dropped.
    pub(super) fn record_dropped(&self, event: EventId) {
        if let Some(recording) = &self.recording {
            let module = recording.module.name.clone();
            recording.ledger.push(Entry::Dropped(Act { module, event }));
        }
    }

    /// The bits of the subscriptions to a schedule.
    pub(super) fn ticking(&self, topic: Topic) -> u64 {
        match &self.recording {
            Some(_) => bits(self.module.subscriptions.iter().map(|one| one.topic() == topic)),
            None => 0,
        }
    }
}
