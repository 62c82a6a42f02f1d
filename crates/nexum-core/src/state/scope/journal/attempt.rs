//! One handler call's effects, in memory.

mod replaced;

use std::sync::Arc;

use super::super::super::effect::{ANSWER_BYTES_MAX, EFFECT_REQUEST_BYTES_MAX, Effect, EffectClass, EffectState};
use super::super::super::module::EffectChanges;
use super::tape::Tape;
use super::transcript::Transcript;
use super::{EarlierEffects, EffectCall, EffectFault, EffectOutcome, Sending};
use crate::event::EventId;

/// The reason why nexum does not know the outcome of a request whose record has none.
const ENDED: &str = "nexum ended before it knew the outcome";

#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// The number of the handler call.
    pub(super) call: u64,
    /// The number of the attempt at the event.
    attempt: u32,
    earlier: Vec<Earlier>,
    stranded: Option<Arc<Vec<Effect>>>,
    /// The stranded effects that this call has adopted.
    adopted: Vec<Effect>,
    /// The effects whose answers the call has from an earlier attempt.
    known: Vec<Effect>,
    made: Vec<Made>,
    pub(super) fault: Option<EffectFault>,
    pub(super) transcript: Transcript,
    /// The tape of the call, for the ledger. `None` if nexum does not record it. Stays for a moment after the end of the
    /// call.
    pub(super) tape: Option<Tape>,
}

#[derive(Debug)]
struct Earlier {
    effect: Effect,
    is_used: bool,
    /// Whether the store has the record as it is.
    is_durable: bool,
}

#[derive(Debug)]
struct Made {
    effect: Effect,
    /// Whether the request may have left nexum. False while only the store knows whether it has the record as it is.
    has_left: bool,
    /// Whether the store has the record as it is.
    is_durable: bool,
    /// Whether rows of a capability become durable with the record, and with its answer.
    is_foreseen: bool,
}

/// The next step of a host function.
pub(super) enum Step {
    Answer(Vec<u8>),
    /// Makes the [unsaved](Attempt::unsaved) records durable, and then sends.
    Record(Sending),
    /// Sends a request whose record is durable already. If it is not saved, the [unsaved](Attempt::unsaved) records become
    /// durable first: the request replaces others.
    Repeat {
        is_saved: bool,
        sending: Sending,
    },
}

impl Attempt {
    pub(super) fn new(call: u64, attempt: u32, earlier: EarlierEffects) -> Self {
        let unused = |effect| Earlier {
            effect,
            is_used: false,
            is_durable: true,
        };
        Self {
            attempt,
            earlier: earlier.of_event.into_iter().map(unused).collect(),
            stranded: earlier.stranded,
            transcript: earlier.transcript.map(Transcript::new).unwrap_or_default(),
            ..Self::after(call)
        }
    }

    /// The time after a handler call.
    pub(super) fn after(call: u64) -> Self {
        Self {
            call,
            ..Self::default()
        }
    }

    /// Ends the handler call, and returns the changes of the records.
    pub(super) fn end(self, is_ok: bool) -> Option<Box<EffectChanges>> {
        let mut changes = EffectChanges {
            set: self.made.into_iter().filter_map(Made::end).collect(),
            known: self.known,
            adopted: self.adopted,
            ..EffectChanges::default()
        };
        if is_ok {
            let unused = self.earlier.into_iter().filter(|earlier| !earlier.is_used);
            let unused = unused.map(|earlier| earlier.effect);
            let (refused, others): (Vec<_>, _) = unused.partition(|effect| effect.state == EffectState::Refused);
            changes.known.extend(refused);
            changes.stranded = others;
        }
        for effect in changes.set.iter_mut().chain(&mut changes.known) {
            effect.is_over = is_ok;
        }
        (!changes.is_empty()).then(|| Box::new(changes))
    }

    /// Plans an effect of `event`.
    pub(super) fn plan(&mut self, call: &EffectCall<'_>, event: EventId, now_ms: u64) -> Result<Step, EffectFault> {
        // The handler call fails, whatever it does now.
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let digest = Effect::digest_of(call.kind, call.target, call.request);
        let number = self.next_number();
        if let Some(earlier) = self.unused_equal(&digest) {
            earlier.is_used = true;
            let effect = earlier.effect.clone();
            return match effect.state {
                EffectState::Refused => Ok(self.record(effect, call, now_ms)),
                _ => self.repeat(effect, call, now_ms),
            };
        }
        // First, because an earlier attempt may have adopted it, and have ended before that was durable.
        if let Some(stranded) = self.stranded_alike(&digest) {
            let mut effect = Effect {
                event,
                number,
                is_stranded: false,
                ..stranded.clone()
            };
            // The receiver may have another content by now, which the request replaces.
            if call.class == EffectClass::Idempotent {
                effect.state = EffectState::Unknown("another event had it".to_owned());
            }
            self.adopted.push(stranded);
            return self.repeat(effect, call, now_ms);
        }
        if call.is_strict
            && let Some(other) = self.unused_alike(call)
        {
            return Err(self.fail(EffectFault::Mismatch {
                number: other.number,
                kind: other.kind,
                target: other.target,
            }));
        }
        let kept = call.request.len().min(EFFECT_REQUEST_BYTES_MAX);
        let effect = Effect {
            event,
            number,
            kind: call.kind.to_owned(),
            target: call.target.to_owned(),
            digest,
            class: call.class,
            is_strict: call.is_strict,
            request: call.request[..kept].to_vec().into(),
            request_bytes: call.request.len() as u64,
            key: [0; 16],
            attempt: self.attempt,
            at_ms: now_ms,
            state: EffectState::Intent,
            is_over: false,
            is_stranded: false,
            is_reported: false,
        };
        Ok(self.record(effect, call, now_ms))
    }

    /// Plans to send a request that has not left nexum, or that its receiver has refused.
    fn record(&mut self, effect: Effect, call: &EffectCall<'_>, now_ms: u64) -> Step {
        let effect = Effect {
            state: EffectState::Intent,
            // A receiver may keep its refusal for a key.
            key: rand::random(),
            ..self.of_this_attempt(effect, call, now_ms)
        };
        let sending = self.sending(&effect, false);
        self.made.push(Made {
            effect,
            has_left: false,
            is_durable: false,
            is_foreseen: false,
        });
        self.supersede(sending.number);
        Step::Record(sending)
    }

    /// The records that the store does not have as they are: the new one, and what the call knows of others by now.
    /// The caller makes them durable, or the handler call ends.
    pub(super) fn unsaved(&mut self) -> Vec<Effect> {
        let earlier = self
            .earlier
            .iter_mut()
            .map(|earlier| (&earlier.effect, &mut earlier.is_durable));
        let made = self.made.iter_mut().map(|made| (&made.effect, &mut made.is_durable));
        let unsaved = earlier.chain(made).filter(|(_, is_durable)| !**is_durable);
        let unsaved = unsaved.map(|(effect, is_durable)| {
            *is_durable = true;
            effect.clone()
        });
        unsaved.collect()
    }

    /// Forgets an effect that the handler call has planned, and whose record is not durable.
    pub(super) fn withdraw(&mut self, sending: &Sending) {
        self.made.retain(|made| Some(made.effect.number) != sending.number);
    }

    /// Sets the answer of an effect that will certainly happen once its record is durable.
    pub(super) fn foresee(&mut self, sending: &Sending, answer: Vec<u8>) {
        if let Some(made) = self.made(sending) {
            made.effect.state = EffectState::Done(Some(answer.into()));
            made.is_foreseen = true;
        }
    }

    /// Notes that the request of an effect may leave nexum now, or that its refusal is durable.
    pub(super) fn leave(&mut self, sending: &Sending) {
        if let Some(made) = self.made(sending) {
            made.has_left = true;
        }
    }

    /// Notes that nexum does not carry out an effect. Until the commit of this ends, only the store knows whether it
    /// has happened.
    pub(super) fn refuse(&mut self, sending: &Sending, now_ms: u64) {
        self.settle(sending, EffectOutcome::Refused, now_ms);
        if let Some(made) = self.made(sending) {
            made.has_left = false;
        }
    }

    /// Notes the outcome of an effect.
    pub(super) fn settle(&mut self, sending: &Sending, outcome: EffectOutcome, now_ms: u64) {
        let Some(made) = self.made(sending) else { return };
        made.effect.at_ms = now_ms;
        made.is_durable = false;
        match outcome {
            EffectOutcome::Done(answer) => {
                let answer = (answer.len() <= ANSWER_BYTES_MAX).then(|| answer.into());
                made.effect.state = EffectState::Done(answer);
            }
            // A receiver that refuses a repetition may have acted on the first request.
            EffectOutcome::Refused if sending.is_repeated => {}
            EffectOutcome::Refused => made.effect.state = EffectState::Refused,
            EffectOutcome::Unknown(reason) => made.effect.state = EffectState::Unknown(reason),
        }
    }

    /// Plans an effect that an earlier attempt, or a reverted event, has had or begun.
    fn repeat(&mut self, mut effect: Effect, call: &EffectCall<'_>, now_ms: u64) -> Result<Step, EffectFault> {
        if self.is_superseded(&effect) && matches!(effect.state, EffectState::Done(_)) {
            effect.state = EffectState::Done(None);
        }
        if let EffectState::Done(Some(answer)) = &effect.state {
            let answer = answer.to_vec();
            self.known.push(effect);
            return Ok(Step::Answer(answer));
        }
        let mut again = self.of_this_attempt(effect, call, now_ms);
        if again.state == EffectState::Intent {
            again.state = EffectState::Unknown(ENDED.to_owned());
        }
        let fault = match call.class {
            EffectClass::Once => Some(unrepeatable(&again)),
            EffectClass::Repeatable | EffectClass::Idempotent => None,
        };
        let sending = self.sending(&again, true);
        // The record stays, also that of an adopted effect.
        self.made.push(Made::again(again));
        if let Some(fault) = fault {
            return Err(self.fail(fault));
        }
        self.supersede(sending.number);
        // The records of the requests that it replaces have to be durable before it leaves.
        let is_saved = self.earlier.iter().all(|earlier| earlier.is_durable);
        Ok(Step::Repeat { is_saved, sending })
    }

    fn of_this_attempt(&self, effect: Effect, call: &EffectCall<'_>, now_ms: u64) -> Effect {
        Effect {
            class: call.class,
            is_strict: call.is_strict,
            attempt: self.attempt,
            at_ms: now_ms,
            is_over: false,
            ..effect
        }
    }

    fn sending(&self, effect: &Effect, is_repeated: bool) -> Sending {
        Sending {
            number: Some(effect.number),
            call: self.call,
            is_repeated,
            key: effect.key,
        }
    }

    fn made(&mut self, sending: &Sending) -> Option<&mut Made> {
        let is_it = |made: &&mut Made| Some(made.effect.number) == sending.number;
        self.made.iter_mut().find(is_it)
    }

    fn fail(&mut self, fault: EffectFault) -> EffectFault {
        self.fault.get_or_insert(fault).clone()
    }

    fn next_number(&self) -> u32 {
        let earlier = self.earlier.iter().map(|earlier| &earlier.effect);
        let made = self.made.iter().map(|made| &made.effect);
        let all = earlier.chain(made).chain(&self.known);
        all.map(|effect| effect.number).max().unwrap_or(0) + 1
    }

    /// An unused effect of an earlier attempt with this digest, if possible one that may have happened.
    fn unused_equal(&mut self, digest: &[u8; 32]) -> Option<&mut Earlier> {
        let is_equal = |earlier: &Earlier| !earlier.is_used && earlier.effect.digest == *digest;
        let may_have_happened = |earlier: &Earlier| earlier.effect.state != EffectState::Refused;
        let mut equal = self.earlier.iter();
        let first = equal.position(|earlier| is_equal(earlier) && may_have_happened(earlier));
        let first = first.or_else(|| self.earlier.iter().position(is_equal));
        self.earlier.get_mut(first?)
    }

    /// The first effect of an earlier attempt that the call would stand in for.
    fn unused_alike(&self, call: &EffectCall<'_>) -> Option<Effect> {
        let mut unused = self.earlier.iter().filter(|earlier| !earlier.is_used);
        let is_alike = |Earlier { effect, .. }: &&Earlier| {
            effect.is_strict
                && effect.state != EffectState::Refused
                && effect.kind == call.kind
                && effect.target == call.target
        };
        unused.find(is_alike).map(|earlier| earlier.effect.clone())
    }

    /// A stranded effect with this digest that a new event may have and no call has adopted.
    fn stranded_alike(&self, digest: &[u8; 32]) -> Option<Effect> {
        let is_free =
            |effect: &&Effect| effect.digest == *digest && !effect.is_reported && !self.adopted.contains(effect);
        self.stranded.as_deref()?.iter().find(is_free).cloned()
    }
}

impl Made {
    /// An effect that an earlier attempt has had or begun.
    fn again(effect: Effect) -> Self {
        Self {
            effect,
            has_left: true,
            is_durable: false,
            is_foreseen: false,
        }
    }

    /// The record at the end of the handler call. `None` if only the store knows whether it has the record, because a
    /// commit failed.
    fn end(self) -> Option<Effect> {
        let mut effect = self.effect;
        if self.is_foreseen && !self.has_left {
            return None;
        }
        if effect.state == EffectState::Intent {
            effect.state = match self.has_left {
                true => EffectState::Unknown("the handler call ended before the answer came".to_owned()),
                false => EffectState::Refused,
            };
        }
        Some(effect)
    }
}

/// The reason why an effect cannot be repeated.
fn unrepeatable(effect: &Effect) -> EffectFault {
    let (number, kind, target) = (effect.number, effect.kind.clone(), effect.target.clone());
    match &effect.state {
        EffectState::Done(_) => EffectFault::AnswerLost { number, kind, target },
        EffectState::Unknown(reason) => EffectFault::Unknown {
            number,
            kind,
            target,
            reason: reason.clone(),
        },
        EffectState::Intent | EffectState::Refused => EffectFault::Unknown {
            number,
            kind,
            target,
            reason: ENDED.to_owned(),
        },
    }
}
