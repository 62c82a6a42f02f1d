//! The outcome of a trial, for people and programs.

use std::borrow::Cow;

use nexum_core::capability::Handler;
use nexum_core::ledger::{AttemptEntry, CallInputs, Outcome, RecordedEffect};
use nexum_core::trial::{Trial, TrialAnswer, TrialEffect, Tried};
use serde::Serialize;

use crate::report::hex;
use crate::report::preview::preview;

/// The most bytes of a value or a request in a report.
const PREVIEW_BYTES_MAX: usize = 48;

/// The outcome of `nexum try`.
#[derive(Debug, Serialize)]
pub(super) struct TryReport {
    pub(super) module: String,
    /// The digest of the component.
    pub(super) digest: String,
    pub(super) chain_id: u64,
    pub(super) block: u64,
    /// The state before the block, in words.
    pub(super) start: String,
    /// The calls of the module, in their order. Empty if it subscribes to nothing in the block.
    pub(super) events: Vec<EventReport>,
}

/// A call of `init` or of `on-event`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct EventReport {
    /// The id of the event, or `init` and the number of the block.
    pub(super) event: String,
    pub(super) block: u64,
    /// The reason of a failure. `null` if the call returned ok.
    pub(super) failure: Option<String>,
    pub(super) fuel: u64,
    pub(super) took_us: u64,
    pub(super) calls: Vec<Calls>,
    /// Reads with answers of today. With `--pinned-only`, nexum refused them.
    pub(super) not_pinned: Vec<Calls>,
    /// The changed keys, in their order. A failed call has none.
    pub(super) writes: Vec<Write>,
    /// The requests that nexum did not send, in their order.
    pub(super) effects: Vec<Effect>,
    /// The questions of a replay that the record of the event does not answer.
    #[serde(skip)]
    pub(super) not_recorded: Vec<String>,
    /// The last lines of the module's log.
    pub(super) log: Vec<String>,
}

/// Host calls of one kind.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Calls {
    /// `chain`, `order book`, `http`, `store` or `other`.
    pub(super) kind: &'static str,
    /// The method, or the server.
    pub(super) what: String,
    pub(super) count: u64,
}

/// A changed key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Write {
    pub(super) key: String,
    /// The new value. `null` if the module deleted the key.
    pub(super) value: Option<Content>,
}

/// A request that nexum did not send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Effect {
    /// `order-book`, `http`, `transaction`, `rpc` or `signature`.
    pub(super) kind: Cow<'static, str>,
    /// The receiver.
    pub(super) to: String,
    /// `denied`, `assumed` or `recorded`.
    pub(super) answer: &'static str,
    pub(super) request: Content,
}

/// Bytes of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Content {
    pub(super) bytes: u64,
    /// The SHA-256 of the bytes; of a request, with its kind and its receiver.
    pub(super) digest: String,
    /// The first bytes, as text if they are text, or else as hexadecimal digits after 0x.
    pub(super) preview: String,
}

impl TryReport {
    pub(super) fn of(trial: &Trial, chain_id: u64, block: u64, start: String, events: Vec<EventReport>) -> Self {
        let meta = &trial.module().meta;
        Self {
            module: meta.name.to_string(),
            digest: meta.digest.to_string(),
            chain_id,
            block,
            start,
            events,
        }
    }
}

impl EventReport {
    pub(super) fn of(tried: &Tried) -> Self {
        let event = match tried.handler {
            Handler::OnEvent(event) => event.to_string(),
            handler => before(handler, tried.block.number),
        };
        let calls = tried.calls.counts.iter();
        let not_pinned = tried.calls.unpinned.iter();
        Self {
            event,
            block: tried.block.number,
            failure: tried.outcome.as_ref().err().map(ToString::to_string),
            fuel: tried.fuel,
            took_us: u64::try_from(tried.took.as_micros()).unwrap_or(u64::MAX),
            calls: calls
                .map(|((kind, method), count)| Calls {
                    kind,
                    what: (*method).to_owned(),
                    count: *count,
                })
                .collect(),
            not_pinned: not_pinned
                .map(|((kind, what), count)| Calls {
                    kind,
                    what: what.clone(),
                    count: *count,
                })
                .collect(),
            writes: tried
                .writes
                .iter()
                .map(|(key, value)| Write::of((key, value.as_deref())))
                .collect(),
            effects: tried.calls.effects.iter().map(Effect::of).collect(),
            not_recorded: tried.calls.not_recorded.clone(),
            log: tried.records.clone(),
        }
    }

    /// A recorded attempt at an event.
    pub(super) fn of_attempt(attempt: &AttemptEntry, call: &CallInputs) -> Self {
        let failure = match &attempt.outcome {
            Outcome::Handled => None,
            Outcome::Retried { error, .. }
            | Outcome::DeadLetter { error, .. }
            | Outcome::Died { error, .. }
            | Outcome::StoreFailed { error } => Some(error.clone()),
        };
        Self {
            failure,
            took_us: attempt.took_us,
            ..Self::of_record(attempt.event.to_string(), attempt, call)
        }
    }

    /// The recorded start of an instance, before an attempt.
    pub(super) fn of_start(attempt: &AttemptEntry, call: &CallInputs) -> Self {
        let number = attempt.event.position.number;
        Self::of_record(before(Handler::Init, number), attempt, call)
    }

    fn of_record(event: String, attempt: &AttemptEntry, call: &CallInputs) -> Self {
        let writes = call.writes.iter();
        let effects = call.effects.iter().filter(|effect| !effect.is_withdrawn);
        Self {
            event,
            block: attempt.event.position.number,
            failure: None,
            fuel: 0,
            took_us: 0,
            calls: Vec::new(),
            not_pinned: Vec::new(),
            writes: writes
                .map(|(key, value)| Write::of((key, value.as_deref().map(Vec::as_slice))))
                .collect(),
            effects: effects.map(Effect::of_record).collect(),
            not_recorded: Vec::new(),
            log: Vec::new(),
        }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.failure.is_none()
    }
}

/// The name of a call before a block.
fn before(handler: Handler, block: u64) -> String {
    format!("{} before block {block}", handler.name())
}

impl Write {
    pub(super) fn of((key, value): (&[u8], Option<&[u8]>)) -> Self {
        Self {
            key: preview(key, usize::MAX),
            value: value.map(Content::of),
        }
    }
}

impl Effect {
    fn of(effect: &TrialEffect) -> Self {
        Self {
            kind: effect.kind.into(),
            to: effect.target.clone(),
            answer: match effect.answer {
                TrialAnswer::Refused => "denied",
                TrialAnswer::Assumed => "assumed",
                TrialAnswer::Recorded => "recorded",
            },
            request: Content {
                bytes: effect.request_bytes,
                digest: hex(&effect.digest),
                preview: preview(&effect.request, PREVIEW_BYTES_MAX),
            },
        }
    }

    fn of_record(effect: &RecordedEffect) -> Self {
        Self {
            kind: effect.kind.clone(),
            to: effect.target.clone(),
            answer: match effect.answer {
                Some(_) => "recorded",
                None => "denied",
            },
            request: Content {
                bytes: effect.request_bytes,
                digest: hex(&effect.digest),
                preview: preview(&effect.request, PREVIEW_BYTES_MAX),
            },
        }
    }
}

impl Content {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            digest: hex(nexum_config::names::Digest::of(bytes).as_bytes()),
            preview: preview(bytes, PREVIEW_BYTES_MAX),
        }
    }
}
