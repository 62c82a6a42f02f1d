//! Idempotent effects that replace each other's content at their receiver.

use super::{Attempt, Effect, EffectClass, EffectState, Made};

impl Attempt {
    /// Forgets the answers of the idempotent effects that the one with this number replaces at its receiver, when it
    /// leaves now: those that this attempt has not had before it. nexum sends them again if the attempt asks for them.
    pub(super) fn supersede(&mut self, number: Option<u32>) {
        let sent = self.made.iter().find(|made| Some(made.effect.number) == number);
        let Some(sent) = sent.map(|made| made.effect.clone()).filter(is_idempotent) else {
            return;
        };
        let is_replaced = |effect: &Effect| {
            let has_answer = matches!(effect.state, EffectState::Done(Some(_)));
            has_answer && effect.number != sent.number && competes(effect, &sent)
        };
        for earlier in self.earlier.iter_mut().filter(|earlier| !earlier.is_used) {
            if is_replaced(&earlier.effect) {
                earlier.effect.state = EffectState::Done(None);
                earlier.is_durable = false;
            }
        }
        let is_later = |effect: &Effect| is_replaced(effect) && effect.number > sent.number;
        let known = self.known.extract_if(.., |effect| is_later(effect));
        let known: Vec<_> = known.map(Made::again).collect();
        self.made.extend(known);
        for made in self.made.iter_mut().filter(|made| is_later(&made.effect)) {
            made.effect.state = EffectState::Done(None);
            made.is_durable = false;
        }
    }

    /// Whether the attempt has had a later effect that may have replaced this idempotent one at its receiver.
    pub(super) fn is_superseded(&self, effect: &Effect) -> bool {
        let mut had = self.known.iter().chain(self.made.iter().map(|made| &made.effect));
        is_idempotent(effect) && had.any(|other| other.number > effect.number && competes(effect, other))
    }
}

fn is_idempotent(effect: &Effect) -> bool {
    effect.class == EffectClass::Idempotent
}

/// Whether one of the effects can replace the content of the other one.
fn competes(one: &Effect, other: &Effect) -> bool {
    is_idempotent(other) && is_idempotent(one) && one.kind == other.kind && one.target == other.target
}
