//! One handler call's effects, in memory.

use std::sync::Arc;

use super::super::super::effect::{ANSWER_BYTES_MAX, EFFECT_REQUEST_BYTES_MAX, Effect, EffectClass, EffectState};
use super::super::super::module::EffectChanges;
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
    answered: Vec<Effect>,
    made: Vec<Made>,
    pub(super) fault: Option<EffectFault>,
}

#[derive(Debug)]
struct Earlier {
    effect: Effect,
    is_used: bool,
}

#[derive(Debug)]
struct Made {
    effect: Effect,
    /// Whether the receiver has certainly not acted on the request: it has not left, or was refused.
    is_void: bool,
}

/// The next step of a host function.
pub(super) enum Step {
    Answer(Vec<u8>),
    /// Makes the new record durable, and then sends.
    Record(Box<Effect>, Sending),
    /// Sends a request whose record is durable already.
    Repeat(Sending),
}

impl Attempt {
    pub(super) fn new(call: u64, attempt: u32, earlier: EarlierEffects) -> Self {
        let unused = |effect| Earlier { effect, is_used: false };
        Self {
            attempt,
            earlier: earlier.of_event.into_iter().map(unused).collect(),
            stranded: earlier.stranded,
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
        let is_over = is_ok;
        let mut changes = EffectChanges {
            adopted: self.adopted,
            ..EffectChanges::default()
        };
        let answered = self.answered.into_iter();
        changes.answered = answered.map(|effect| Effect { is_over, ..effect }).collect();
        for Made { mut effect, is_void } in self.made {
            if is_void {
                changes.refused.push(effect);
                continue;
            }
            if effect.state == EffectState::Intent {
                effect.state = EffectState::Unknown("the handler call ended before the answer came".to_owned());
            }
            changes.set.push(Effect { is_over, ..effect });
        }
        if is_ok {
            let unused = self.earlier.into_iter().filter(|earlier| !earlier.is_used);
            changes.stranded.extend(unused.map(|earlier| earlier.effect));
        }
        (!changes.is_empty()).then(|| Box::new(changes))
    }

    /// Plans an effect of `event`.
    pub(super) fn plan(&mut self, call: &EffectCall<'_>, event: EventId, now_ms: u64) -> Result<Step, EffectFault> {
        let digest = Effect::digest_of(call.kind, call.target, call.request);
        let number = self.next_number();
        let mut unused = self.earlier.iter_mut().filter(|earlier| !earlier.is_used);
        if let Some(earlier) = unused.find(|earlier| earlier.effect.digest == digest) {
            earlier.is_used = true;
            let effect = earlier.effect.clone();
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
            key: rand::random(),
            attempt: self.attempt,
            at_ms: now_ms,
            state: EffectState::Intent,
            is_over: false,
            is_stranded: false,
            is_reported: false,
        };
        let sending = self.sending(&effect, false);
        self.made.push(Made {
            effect: effect.clone(),
            is_void: true,
        });
        Ok(Step::Record(Box::new(effect), sending))
    }

    /// Notes that the request of an effect may leave nexum now.
    pub(super) fn leave(&mut self, sending: &Sending) {
        if let Some(made) = self.made(sending) {
            made.is_void = false;
        }
    }

    /// Notes the outcome of an effect.
    pub(super) fn settle(&mut self, sending: &Sending, outcome: EffectOutcome, now_ms: u64) {
        let Some(made) = self.made(sending) else { return };
        made.effect.at_ms = now_ms;
        match outcome {
            EffectOutcome::Done(answer) => {
                let answer = (answer.len() <= ANSWER_BYTES_MAX).then(|| answer.into());
                made.effect.state = EffectState::Done(answer);
            }
            // A receiver that refuses a repetition may have acted on the first request.
            EffectOutcome::Refused => made.is_void = !sending.is_repeated,
            EffectOutcome::Unknown(reason) => made.effect.state = EffectState::Unknown(reason),
        }
    }

    /// Plans an effect that an earlier attempt, or an event that was taken back, has had or begun.
    fn repeat(&mut self, effect: Effect, call: &EffectCall<'_>, now_ms: u64) -> Result<Step, EffectFault> {
        if let EffectState::Done(Some(answer)) = &effect.state {
            let answer = answer.to_vec();
            self.answered.push(effect);
            return Ok(Step::Answer(answer));
        }
        let again = Effect {
            class: call.class,
            is_strict: call.is_strict,
            attempt: self.attempt,
            at_ms: now_ms,
            state: match effect.state {
                EffectState::Intent => EffectState::Unknown(ENDED.to_owned()),
                state => state,
            },
            ..effect
        };
        let step = match call.class {
            EffectClass::Once => Err(self.fail(unrepeatable(&again))),
            EffectClass::Repeatable | EffectClass::Idempotent => Ok(Step::Repeat(self.sending(&again, true))),
        };
        // The record stays, also that of an adopted effect.
        self.made.push(Made {
            effect: again,
            is_void: false,
        });
        step
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
        let all = earlier.chain(made).chain(&self.answered);
        all.map(|effect| effect.number).max().unwrap_or(0) + 1
    }

    /// The first effect of an earlier attempt that the call would stand in for.
    fn unused_alike(&self, call: &EffectCall<'_>) -> Option<Effect> {
        let mut unused = self.earlier.iter().filter(|earlier| !earlier.is_used);
        let is_alike = |Earlier { effect, .. }: &&Earlier| {
            effect.is_strict && effect.kind == call.kind && effect.target == call.target
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
        EffectState::Intent => EffectFault::Unknown {
            number,
            kind,
            target,
            reason: ENDED.to_owned(),
        },
    }
}
