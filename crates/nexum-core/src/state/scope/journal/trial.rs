//! The calls of a trial: a run of a module on past blocks that changes nothing outside nexum.

use std::collections::{BTreeMap, VecDeque};

use nexum_config::harmless::harmless;
use nexum_config::topic::ChainId;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::super::super::effect::{EFFECT_REQUEST_BYTES_MAX, Effect};
use super::super::super::transcript::Stored;
use super::playback::{Playback, Recorded};
use super::transcript::content_of;
use super::{EffectCall, EffectPlan};
use crate::bindings::nexum::host::types::HostError;
use crate::event::Position;

/// The reason that a guest gets for each request that a trial does not send.
const WITHHELD: &str = "this is a trial of a past block, which has no effects";

/// The reason that a guest gets for a read that a trial does not send.
const NOT_PINNED: &str = "this trial reads only what is pinned to its block";

/// The answer to an effect in a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrialEffects {
    /// `denied`.
    #[default]
    Refuse,
    /// The answer of a receiver that accepts the request. `denied` if nexum does not know this answer.
    AssumeOk,
}

/// The rules of a trial.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrialRules {
    /// The answers to effects.
    pub effects: TrialEffects,
    /// Whether nexum refuses each read that it cannot pin to the block, such as an HTTP request. Otherwise, its
    /// answer is that of today.
    pub pinned_only: bool,
    /// Whether a replay of recorded inputs ends an event that asks for something else. Otherwise, it reads again.
    pub recorded_only: bool,
}

/// A replay may not ask what its record does not answer. A host function returns this as its trap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record of the event has no answer to {0}")]
pub struct NotRecorded(String);

/// A request that a trial did not send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialEffect {
    /// The kind, as in the record of an effect, or `signature`.
    pub kind: &'static str,
    /// The receiver, without secrets.
    pub target: String,
    /// The first bytes that tell the request apart, up to [`EFFECT_REQUEST_BYTES_MAX`].
    pub request: Vec<u8>,
    /// The SHA-256 of kind, target and request, as in the record of an effect.
    pub digest: [u8; 32],
    /// The number of all of these bytes.
    pub request_bytes: u64,
    /// The origin of the guest's answer.
    pub answer: TrialAnswer,
}

/// The origin of the answer to a request that a trial did not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialAnswer {
    /// The trial refuses the request.
    Refused,
    /// It is that of a receiver that accepts the request.
    Assumed,
    /// It is in the record of an effect that the module had at the event.
    Recorded,
}

/// The host calls of one handler call in a trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCalls {
    /// The requests that the trial did not send, in their order.
    pub effects: Vec<TrialEffect>,
    /// The number of calls of each kind and method.
    pub counts: BTreeMap<(&'static str, &'static str), u64>,
    /// The number of reads whose answers are those of today, for each kind and method or server.
    pub unpinned: BTreeMap<(&'static str, String), u64>,
    /// The first questions that the record of a replayed event does not answer.
    pub not_recorded: Vec<String>,
    /// The answers to its reads. `None` if they are too many, and for `init`.
    pub answers: Option<Answers>,
}

/// The answers to the reads of a handler call, in their order. Another handler call at the same event can get them in
/// place of new ones, as far as it makes the same calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers(pub(crate) Stored);

/// Decides about the requests of a trial, and notes them.
#[derive(Debug)]
pub(crate) struct TrialCalls {
    rules: TrialRules,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    block: Option<(ChainId, Position)>,
    recorded: Recorded,
    /// `None` if the event has no recorded inputs.
    playback: Option<Playback>,
    calls: HostCalls,
}

/// The most questions without a recorded answer that a handler call notes.
const NOT_RECORDED_MAX: usize = 16;

impl TrialCalls {
    pub(crate) fn new(rules: TrialRules) -> Self {
        Self {
            rules,
            current: Mutex::default(),
        }
    }

    /// Begins a handler call at this block.
    pub(crate) fn open(&self, chain_id: ChainId, block: Position, recorded: Recorded) {
        *self.current.lock() = Current {
            block: Some((chain_id, block)),
            recorded,
            ..Current::default()
        };
    }

    /// Begins a handler call whose guest gets recorded answers.
    pub(crate) fn open_recorded(&self, block: Option<(ChainId, Position)>, playback: Playback) {
        *self.current.lock() = Current {
            block,
            recorded: playback.effects(),
            playback: Some(playback),
            ..Current::default()
        };
    }

    /// The recorded answer to a host call. `None` without one.
    pub(crate) fn recorded<T: DeserializeOwned>(&self, kind: &'static str, arguments: &[&[u8]]) -> Option<T> {
        let mut current = self.current.lock();
        let playback = current.playback.as_mut()?;
        let answer = playback.answer(kind, content_of(arguments))?;
        postcard::from_bytes(&answer).ok()
    }

    /// Notes a host call that the record does not answer, if there is a record.
    ///
    /// # Errors
    ///
    /// If the replay may not ask.
    pub(crate) fn miss(&self, kind: &'static str, arguments: &[&[u8]]) -> Result<(), NotRecorded> {
        let mut current = self.current.lock();
        if current.playback.is_none() {
            return Ok(());
        }
        let question = question(kind, arguments);
        if current.calls.not_recorded.len() < NOT_RECORDED_MAX {
            current.calls.not_recorded.push(question.clone());
        }
        match self.rules.recorded_only {
            true => Err(NotRecorded(question)),
            false => Ok(()),
        }
    }

    /// Ends a handler call, and returns what it did.
    pub(crate) fn close(&self) -> HostCalls {
        std::mem::take(&mut self.current.lock().calls)
    }

    /// Takes the answers of a handler call that ends.
    pub(crate) fn answered(&self, answers: Option<Stored>) {
        self.current.lock().calls.answers = answers.map(Answers);
    }

    /// The block to which the reads of a chain are pinned. `None` for a chain other than the trial's.
    pub(crate) fn block(&self, chain_id: ChainId) -> Option<Position> {
        let block = self.current.lock().block;
        block.filter(|(chain, _)| *chain == chain_id).map(|(_, block)| block)
    }

    /// Notes a host call.
    pub(crate) fn called(&self, kind: &'static str, method: &'static str) {
        let mut current = self.current.lock();
        *current.calls.counts.entry((kind, method)).or_default() += 1;
    }

    /// Notes a read that is not pinned. Returns the reason for the guest if the trial refuses it.
    pub(crate) fn read_today(&self, kind: &'static str, what: &str) -> Result<(), &'static str> {
        let mut current = self.current.lock();
        *current.calls.unpinned.entry((kind, what.to_owned())).or_default() += 1;
        match self.rules.pinned_only {
            true => Err(NOT_PINNED),
            false => Ok(()),
        }
    }

    /// Notes an effect, which the trial does not have.
    pub(crate) fn plan(&self, call: &EffectCall<'_>) -> EffectPlan {
        match self.withhold((call.kind, call.target), call.request, call.stand_in) {
            Ok(answer) => EffectPlan::Answered(answer),
            Err(Withheld::Denied(reason)) => EffectPlan::Denied(reason),
            Err(Withheld::Failed(error)) => EffectPlan::Failed(error),
        }
    }

    /// Notes a request that the trial does not send. Returns the stand-in for its answer, or the error of the guest.
    pub(crate) fn withhold(
        &self,
        (kind, target): (&'static str, &str),
        request: &[u8],
        stand_in: Option<&[u8]>,
    ) -> Result<Vec<u8>, Withheld> {
        let digest = Effect::digest_of(kind, target, request);
        let mut current = self.current.lock();
        let recorded = current.recorded.get_mut(&digest).and_then(VecDeque::pop_front);
        let is_effect = recorded.as_ref().is_none_or(|recorded| !recorded.is_withdrawn);
        let assumed = stand_in.filter(|_| self.rules.effects == TrialEffects::AssumeOk);
        let (origin, answer) = match (recorded, assumed) {
            (Some(recorded), _) => (TrialAnswer::Recorded, recorded.answer.map_err(Withheld::Failed)),
            (None, Some(assumed)) => (TrialAnswer::Assumed, Ok(assumed.to_vec())),
            (None, None) => (TrialAnswer::Refused, Err(Withheld::Denied(WITHHELD))),
        };
        if !is_effect {
            return answer;
        }
        let end = request.len().min(EFFECT_REQUEST_BYTES_MAX);
        current.calls.effects.push(TrialEffect {
            kind,
            target: target.to_owned(),
            request: request[..end].to_vec(),
            digest,
            request_bytes: request.len() as u64,
            answer: origin,
        });
        answer
    }
}

/// The guest's error for a request that a trial did not send.
pub(crate) enum Withheld {
    /// `denied`, for this reason.
    Denied(&'static str),
    /// The recorded error.
    Failed(HostError),
}

impl Withheld {
    /// The reason, for a request that is no effect and so has no record.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Denied(reason) => reason,
            Self::Failed(_) => WITHHELD,
        }
    }
}

/// A host call in words, with the begin of each argument.
fn question(kind: &str, arguments: &[&[u8]]) -> String {
    const ARGUMENT_BYTES_MAX: usize = 160;
    let mut text = kind.to_owned();
    for argument in arguments {
        let begin = &argument[..argument.len().min(ARGUMENT_BYTES_MAX)];
        text.push(' ');
        match std::str::from_utf8(begin) {
            Ok(argument) => text.push_str(&harmless(argument)),
            Err(_) => begin.iter().for_each(|byte| text.push_str(&format!("{byte:02x}"))),
        }
        if begin.len() < argument.len() {
            text.push_str("..");
        }
    }
    text
}
