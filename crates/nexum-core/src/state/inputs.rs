//! The inputs of attempts: what the guest saw and asked for, so that a replay needs nothing else.
//!
//! Headers of HTTP requests, cookies and credentials are in no input. Everything else that a module sends or reads can be.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::bindings::nexum::host::types::HostError;
use crate::event::{Event, EventId, log_bytes};

/// The most bytes of one value: an argument, an answer, or a value of the module's state. It has room for the logs of some
/// thousand transfers. A larger value is left out, and counted.
pub const INPUT_VALUE_BYTES_MAX: usize = 256 << 10;

/// The most bytes of the values of one handler call, and of the payload of one event: as many as those of a
/// transcript. nexum leaves out the rest, and counts it.
pub const INPUT_BYTES_MAX: usize = 1 << 20;

/// The inputs of an attempt. Its [`AttemptEntry`](crate::ledger::AttemptEntry) follows at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The module's name.
    pub module: String,
    /// The event.
    pub event: EventId,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// `None` if there was no room for them.
    pub content: Option<Box<InputContent>>,
}

/// The event and the host calls of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputContent {
    /// The event, as the handler received it.
    pub payload: Event,
    /// The start of the instance that handled the event, in milliseconds since the Unix epoch. Attempts of one
    /// instance have equal ones.
    pub instance_ms: u64,
    /// The start of the instance, in the first event after it.
    pub start: Option<StartInputs>,
    /// The call of the handler.
    pub call: CallInputs,
}

/// The inputs of the start of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartInputs {
    /// The seed of WASI, which the guest can read at any time.
    pub seed: Option<[u8; 16]>,
    /// The call of `init`.
    pub call: CallInputs,
}

/// The inputs of a handler call, and its writes.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallInputs {
    /// The start of the call, in milliseconds since the Unix epoch.
    pub begun_ms: u64,
    /// The number of the module's keys before the call.
    pub state_keys: u64,
    /// The bytes of the module's keys and values before the call.
    pub state_bytes: u64,
    /// The bytes of `state_bytes` that dead letters took.
    pub letter_bytes: u64,
    /// The keys of the module that the call looked at, as they were before it.
    pub keys: Vec<(ByteBuf, KnownKey)>,
    /// The host calls whose answers can differ, in their order.
    pub calls: Vec<RecordedCall>,
    /// The requests that change something outside nexum, in their order.
    pub effects: Vec<RecordedEffect>,
    /// Each changed key with its new value. `None` for a deleted key.
    pub writes: Vec<(ByteBuf, Option<ByteBuf>)>,
    /// The number of values that were left out, because of their size or because they are secret. The call cannot be
    /// repeated exactly unless it is 0.
    pub left_out: u32,
}

/// A key of a module's state before a handler call.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KnownKey {
    /// There is no such key.
    Absent,
    /// A recent event has deleted the key, and a list of keys has passed over it.
    Deleted,
    /// The key exists. The handler did not look at its value.
    Listed,
    /// The key's value.
    Value(ByteBuf),
    /// The key's value was left out.
    LeftOut,
}

/// A host call with its answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedCall {
    /// The kind, in one word of the capability.
    pub kind: Cow<'static, str>,
    /// The arguments, if they are short, or their digest: what tells the call apart from others of its kind.
    pub content: [u8; 32],
    /// The arguments for a reader, without secrets. They end early if they were too large.
    pub arguments: Vec<ByteBuf>,
    /// The answer in the format of its capability. `None` if it had not come, or was left out.
    pub answer: Option<ByteBuf>,
}

/// A request that changes something outside nexum, with its answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedEffect {
    /// The kind, in one word.
    pub kind: Cow<'static, str>,
    /// The receiver, without secrets.
    pub target: String,
    /// The SHA-256 of kind, receiver and request, as in the record of the effect.
    pub digest: [u8; 32],
    /// The first bytes of the request.
    pub request: ByteBuf,
    /// The number of all bytes of the request.
    pub request_bytes: u64,
    /// The answer of the guest. `None` if it had not come, or was left out.
    pub answer: Option<Result<ByteBuf, HostError>>,
    /// Whether nexum refused the request before it had an effect.
    pub is_withdrawn: bool,
}

impl Inputs {
    /// The approximate size in memory, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        let content = self.content.as_deref().map_or(0, InputContent::size_bytes);
        self.module.len() + content
    }
}

impl InputContent {
    fn size_bytes(&self) -> usize {
        let start = self.start.as_ref().map_or(0, |start| start.call.size_bytes());
        payload_bytes(&self.payload) + start + self.call.size_bytes()
    }
}

impl CallInputs {
    fn size_bytes(&self) -> usize {
        let of_value = |value: &KnownKey| match value {
            KnownKey::Value(value) => value.len(),
            _ => 0,
        };
        let keys = self.keys.iter().map(|(key, value)| key.len() + of_value(value));
        let calls = self.calls.iter().map(RecordedCall::size_bytes);
        let effects = self.effects.iter().map(RecordedEffect::size_bytes);
        let written = |value: &Option<ByteBuf>| value.as_ref().map_or(0, |value| value.len());
        let writes = self.writes.iter().map(|(key, value)| key.len() + written(value));
        let lists = size_of_val(&*self.keys) + size_of_val(&*self.writes);
        size_of::<Self>() + lists + keys.chain(calls).chain(effects).chain(writes).sum::<usize>()
    }
}

impl RecordedCall {
    fn size_bytes(&self) -> usize {
        let arguments: usize = self.arguments.iter().map(|argument| argument.len()).sum();
        size_of::<Self>() + arguments + self.answer.as_ref().map_or(0, |answer| answer.len())
    }
}

impl RecordedEffect {
    fn size_bytes(&self) -> usize {
        let answer = match &self.answer {
            Some(Ok(answer)) => answer.len(),
            Some(Err(error)) => error.message.len(),
            None => 0,
        };
        size_of::<Self>() + self.target.len() + self.request.len() + answer
    }
}

/// The approximate size of an event in memory, in bytes.
pub(crate) fn payload_bytes(event: &Event) -> usize {
    let bytes = match event {
        Event::Logs(logs) => logs.iter().map(log_bytes).sum(),
        Event::Message(message) => message.payload.len(),
        Event::Block(_) | Event::Tick(_) => 0,
    };
    size_of::<Event>() + bytes
}

/// Shows no content: a value may be a secret of the module.
macro_rules! without_content {
    ($($type:ident: $($field:ident),+;)+) => {
        $(impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type))$(.field(stringify!($field), &self.$field))+.finish_non_exhaustive()
            }
        })+
    };
}

without_content! {
    CallInputs: begun_ms, left_out;
    RecordedCall: kind;
    RecordedEffect: kind, target, is_withdrawn;
}

impl fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Deleted => f.write_str("Deleted"),
            Self::Listed => f.write_str("Listed"),
            Self::Value(value) => write!(f, "Value({} bytes)", value.len()),
            Self::LeftOut => f.write_str("LeftOut"),
        }
    }
}
