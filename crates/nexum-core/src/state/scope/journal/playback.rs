//! The recorded answers of an event, which a replay gives to the guest.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use serde_bytes::ByteBuf;

use super::super::super::inputs::CallInputs;
use super::{MONOTONIC, RANDOM};
use crate::bindings::nexum::host::types::HostError;

/// The answers of one recorded handler call, by what was asked.
#[derive(Debug, Default)]
pub(crate) struct Playback {
    answers: BTreeMap<Question, VecDeque<Option<ByteBuf>>>,
    effects: Recorded,
}

/// The kind of a host call, and what tells it apart from others of its kind.
type Question = (Cow<'static, str>, [u8; 32]);

/// The recorded answers to the effects of an event, by the digests of the effects.
pub(crate) type Recorded = BTreeMap<[u8; 32], VecDeque<RecordedAnswer>>;

/// A recorded answer to an effect.
#[derive(Clone, Debug)]
pub(crate) struct RecordedAnswer {
    pub(crate) answer: Result<Vec<u8>, HostError>,
    /// Whether nexum refused the request before it had an effect.
    pub(crate) is_withdrawn: bool,
}

impl RecordedAnswer {
    /// The answer of a receiver that accepted the request.
    pub(crate) fn done(answer: Vec<u8>) -> Self {
        Self {
            answer: Ok(answer),
            is_withdrawn: false,
        }
    }
}

impl Playback {
    /// The answers of a recorded handler call.
    pub(crate) fn of(inputs: &CallInputs) -> Self {
        let mut playback = Self::default();
        for call in &inputs.calls {
            let answers = playback.answers.entry((call.kind.clone(), call.content)).or_default();
            answers.push_back(call.answer.clone());
        }
        for effect in &inputs.effects {
            let Some(answer) = &effect.answer else { continue };
            let answers = playback.effects.entry(effect.digest).or_default();
            answers.push_back(RecordedAnswer {
                answer: answer.clone().map(ByteBuf::into_vec),
                is_withdrawn: effect.is_withdrawn,
            });
        }
        playback
    }

    /// The answers to effects.
    pub(crate) fn effects(&self) -> Recorded {
        self.effects.clone()
    }

    /// The next answer to a host call. A call that the guest repeats more often than it did then gets the last answer
    /// again, because it is that of one block. Random numbers and readings of a clock are not repeated.
    pub(crate) fn answer(&mut self, kind: &'static str, content: [u8; 32]) -> Option<ByteBuf> {
        let answers = self.answers.get_mut(&(Cow::Borrowed(kind), content))?;
        match answers.len() {
            1 if kind != RANDOM && kind != MONOTONIC => answers.front().cloned().flatten(),
            _ => answers.pop_front().flatten(),
        }
    }
}
