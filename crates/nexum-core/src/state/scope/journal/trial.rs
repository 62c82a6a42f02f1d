//! The calls of a trial: a run of a module on past blocks that changes nothing outside nexum.

use std::collections::{BTreeMap, VecDeque};

use nexum_config::topic::ChainId;
use parking_lot::Mutex;

use super::super::super::effect::{EFFECT_REQUEST_BYTES_MAX, Effect};
use super::super::super::transcript::Stored;
use super::{EffectCall, EffectPlan};
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
}

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

/// The recorded answers to the effects of an event, by the digests of the effects.
pub(crate) type Recorded = BTreeMap<[u8; 32], VecDeque<Vec<u8>>>;

/// The host calls of one handler call in a trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCalls {
    /// The requests that the trial did not send, in their order.
    pub effects: Vec<TrialEffect>,
    /// The number of calls of each kind and method.
    pub counts: BTreeMap<(&'static str, &'static str), u64>,
    /// The number of reads whose answers are those of today, for each kind and method or server.
    pub unpinned: BTreeMap<(&'static str, String), u64>,
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
    calls: HostCalls,
}

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
            Err(reason) => EffectPlan::Denied(reason),
        }
    }

    /// Notes a request that the trial does not send. Returns the stand-in for its answer, or the reason for the guest.
    pub(crate) fn withhold(
        &self,
        (kind, target): (&'static str, &str),
        request: &[u8],
        stand_in: Option<&[u8]>,
    ) -> Result<Vec<u8>, &'static str> {
        let digest = Effect::digest_of(kind, target, request);
        let mut current = self.current.lock();
        let recorded = current.recorded.get_mut(&digest).and_then(VecDeque::pop_front);
        let assumed = stand_in.filter(|_| self.rules.effects == TrialEffects::AssumeOk);
        let (origin, answer) = match (recorded, assumed) {
            (Some(recorded), _) => (TrialAnswer::Recorded, Ok(recorded)),
            (None, Some(assumed)) => (TrialAnswer::Assumed, Ok(assumed.to_vec())),
            (None, None) => (TrialAnswer::Refused, Err(WITHHELD)),
        };
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
