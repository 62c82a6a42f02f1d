//! The record of a handler call for the ledger: its keys, its host calls and its effects. Unlike a [transcript](super::transcript), a tape has
//! everything that a replay needs, belongs to one handler call, and never changes what the guest gets.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_bytes::ByteBuf;

use super::super::super::effect::{EFFECT_REQUEST_BYTES_MAX, Effect};
use super::super::super::inputs::{
    CallInputs, INPUT_BYTES_MAX, INPUT_VALUE_BYTES_MAX, KnownKey, RecordedCall, RecordedEffect,
};
use super::EffectCall;
use super::transcript::content_of;
use crate::bindings::nexum::host::types::HostError;
use crate::state::{Change, Usage};

/// The bytes of an entry besides its values, about.
const ENTRY_BYTES: usize = 64;

/// The tape of a handler call.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    usage: Usage,
    letter_bytes: u64,
    keys: BTreeMap<Vec<u8>, KnownKey>,
    calls: Vec<RecordedCall>,
    /// `None` for an effect that has not begun yet, and for a request that is none.
    effects: Vec<Option<RecordedEffect>>,
    bytes: usize,
    left_out: u32,
}

impl Tape {
    /// The tape of a call that finds the module's state with this size.
    pub(crate) fn new(usage: Usage, letter_bytes: u64) -> Self {
        Self {
            usage,
            letter_bytes,
            ..Self::default()
        }
    }

    /// Adds a host call. Returns its place.
    pub(super) fn ask(&mut self, kind: &'static str, arguments: &[&[u8]]) -> Option<usize> {
        self.reserve(ENTRY_BYTES)?;
        let shown = arguments.iter().map_while(|argument| {
            let fits = argument.len() <= INPUT_VALUE_BYTES_MAX && self.reserve(argument.len()).is_some();
            fits.then(|| ByteBuf::from(*argument))
        });
        let shown = shown.collect();
        self.calls.push(RecordedCall {
            kind: Cow::Borrowed(kind),
            content: content_of(arguments),
            arguments: shown,
            answer: None,
        });
        Some(self.calls.len() - 1)
    }

    /// Sets the answer of a host call.
    pub(super) fn answer(&mut self, place: usize, answer: &[u8]) {
        let kept = self.keep(answer);
        if let Some(call) = self.calls.get_mut(place) {
            call.answer = kept;
        }
    }

    /// Notes that a part of an answer is secret, and so not in the tape.
    pub(crate) fn leave_out(&mut self) {
        self.left_out = self.left_out.saturating_add(1);
    }

    /// Notes a key of the committed state, with its value.
    pub(super) fn saw(&mut self, key: &[u8], value: Option<&[u8]>) {
        if !matches!(self.keys.get(key), None | Some(KnownKey::Listed)) {
            return;
        }
        let known = match value {
            Some(value) => self.keep(value).map_or(KnownKey::LeftOut, KnownKey::Value),
            None => KnownKey::Absent,
        };
        self.know(key, known);
    }

    /// Notes a key that a list of keys has passed over. `exists` is false for one that a recent event has deleted.
    pub(super) fn listed(&mut self, key: &[u8], exists: bool) {
        match (self.keys.get(key), exists) {
            (None, true) => self.know(key, KnownKey::Listed),
            (None | Some(KnownKey::Absent), false) => self.know(key, KnownKey::Deleted),
            _ => {}
        }
    }

    fn know(&mut self, key: &[u8], known: KnownKey) {
        let is_full = self.bytes.saturating_add(key.len() + ENTRY_BYTES) > INPUT_BYTES_MAX;
        match self.keys.entry(key.to_vec()) {
            Entry::Occupied(mut entry) => *entry.get_mut() = known,
            Entry::Vacant(_) if is_full => self.left_out = self.left_out.saturating_add(1),
            Entry::Vacant(entry) => {
                self.bytes += key.len() + ENTRY_BYTES;
                entry.insert(known);
            }
        }
    }

    /// Adds an effect, whose content is not known yet. Returns its place.
    pub(super) fn begin_effect(&mut self) -> usize {
        self.effects.push(None);
        self.effects.len() - 1
    }

    /// Sets the content of an effect.
    pub(super) fn name_effect(&mut self, place: usize, call: &EffectCall<'_>) {
        let shown = call.request.get(..EFFECT_REQUEST_BYTES_MAX).unwrap_or(call.request);
        if self.reserve(ENTRY_BYTES + shown.len()).is_none() {
            return;
        }
        if let Some(effect) = self.effects.get_mut(place) {
            *effect = Some(RecordedEffect {
                kind: Cow::Borrowed(call.kind),
                target: call.target.to_owned(),
                digest: Effect::digest_of(call.kind, call.target, call.request),
                request: ByteBuf::from(shown),
                request_bytes: call.request.len() as u64,
                answer: None,
                is_withdrawn: false,
            });
        }
    }

    /// Sets the answer of an effect, if it has none yet.
    pub(crate) fn told(&mut self, place: usize, answer: Result<&[u8], HostError>) {
        let known = self.effects.get(place).and_then(Option::as_ref);
        if known.is_none_or(|effect| effect.answer.is_some()) {
            return;
        }
        let answer = match answer {
            Ok(answer) => self.keep(answer).map(Ok),
            Err(error) => Some(Err(error)),
        };
        if let Some(Some(effect)) = self.effects.get_mut(place) {
            effect.answer = answer;
        }
    }

    /// Notes that nexum refused a request before it had an effect.
    pub(crate) fn withdraw(&mut self, place: usize) {
        if let Some(Some(effect)) = self.effects.get_mut(place) {
            effect.is_withdrawn = true;
        }
    }

    /// The keys that the call looked for, and that do not exist.
    pub(crate) fn absent(self) -> Vec<Vec<u8>> {
        let absent = |(key, known)| matches!(known, KnownKey::Absent).then_some(key);
        self.keys.into_iter().filter_map(absent).collect()
    }

    /// The inputs of the call, which began at this time in milliseconds since the Unix epoch and made these changes.
    pub(crate) fn finish<'a>(
        mut self,
        begun_ms: u64,
        changes: impl IntoIterator<Item = (&'a Vec<u8>, &'a Change)>,
    ) -> CallInputs {
        let mut writes = Vec::new();
        for (key, change) in changes {
            if self.reserve(key.len() + ENTRY_BYTES).is_none() {
                continue;
            }
            let value = match &change.new {
                None => None,
                Some(value) => match self.keep(value) {
                    Some(value) => Some(value),
                    None => continue,
                },
            };
            writes.push((ByteBuf::from(key.as_slice()), value));
        }
        let keys = self.keys.into_iter();
        CallInputs {
            begun_ms,
            state_keys: self.usage.keys,
            state_bytes: self.usage.bytes,
            letter_bytes: self.letter_bytes,
            keys: keys.map(|(key, known)| (key.into(), known)).collect(),
            calls: self.calls,
            effects: self.effects.into_iter().flatten().collect(),
            writes,
            left_out: self.left_out,
        }
    }

    /// A copy of a value, or `None` if it is too large for the tape.
    fn keep(&mut self, value: &[u8]) -> Option<ByteBuf> {
        if value.len() > INPUT_VALUE_BYTES_MAX {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.reserve(value.len())?;
        Some(ByteBuf::from(value))
    }

    fn reserve(&mut self, bytes: usize) -> Option<()> {
        match self.bytes.saturating_add(bytes) {
            sum if sum <= INPUT_BYTES_MAX => {
                self.bytes = sum;
                Some(())
            }
            _ => {
                self.left_out = self.left_out.saturating_add(1);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_at_a_key_counts() {
        let mut tape = Tape::default();
        tape.listed(b"a", true);
        tape.saw(b"a", Some(b"1"));
        tape.saw(b"a", Some(b"2"));
        tape.listed(b"a", true);
        tape.saw(b"b", None);
        tape.saw(b"b", Some(b"2"));
        tape.listed(b"c", false);
        let keys = tape.finish(0, []).keys;
        let expected = [
            ("a", KnownKey::Value(ByteBuf::from(b"1"))),
            ("b", KnownKey::Absent),
            ("c", KnownKey::Deleted),
        ];
        assert_eq!(
            keys,
            expected.map(|(key, known)| (key.as_bytes().to_vec().into(), known))
        );
    }

    #[test]
    fn a_value_that_is_too_large_is_left_out_and_counted() {
        let mut tape = Tape::default();
        let large = vec![7; INPUT_VALUE_BYTES_MAX + 1];
        let place = tape.ask("read", &[b"x"]).expect("a place");
        tape.answer(place, &large);
        tape.saw(b"key", Some(&large));
        let change = Change {
            old: None,
            new: Some(large),
        };
        let inputs = tape.finish(0, [(&b"key".to_vec(), &change)]);
        assert_eq!(inputs.left_out, 3);
        assert_eq!(inputs.calls[0].answer, None);
        assert_eq!(inputs.keys[0].1, KnownKey::LeftOut);
        assert!(inputs.writes.is_empty());
    }

    #[test]
    fn a_call_that_sees_too_much_is_bounded() {
        let mut tape = Tape::default();
        for number in 0..100_u32 {
            if let Some(place) = tape.ask("read", &[&number.to_be_bytes()]) {
                tape.answer(place, &vec![0; INPUT_VALUE_BYTES_MAX / 4]);
            }
        }
        assert!(tape.bytes <= INPUT_BYTES_MAX);
        let inputs = tape.finish(0, []);
        let answered = inputs.calls.iter().filter(|call| call.answer.is_some()).count();
        assert_eq!((answered, inputs.left_out > 0), (15, true));
    }
}
