//! The records of a module's effects: the requests that its events have sent out, which no rollback
//! undoes.
//!
//! # Invariants
//!
//! - A record is durable before its request leaves nexum, with every earlier change of the module.
//! - A record is removed only after no reorganisation can deliver its event again, and not while the event
//!   is a dead letter.

mod log;

use std::fmt;
use std::ops::ControlFlow;

use nexum_config::names::Digest;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{ModuleId, rows};
use crate::event::EventId;
use crate::store::{StoreError, View};

pub use log::{EFFECTS_MAX, STRANDED_MAX};
pub(crate) use log::{EffectLog, read as read_effects};

/// The bytes of a request that a record keeps. An operator sees them, and nothing else needs them: the
/// digest tells requests apart.
pub const EFFECT_REQUEST_BYTES_MAX: usize = 64 << 10;

/// The bytes of an answer that a record keeps. It is the largest answer that most modules read.
pub(crate) const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The consequence of a repeated request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EffectClass {
    /// Nothing: the receiver recognises it. nexum sends the request again if it does not know the outcome.
    Repeatable,
    /// It replaces what is there by the same content (RFC 9110, 9.2.2). nexum sends the request again if it
    /// does not know the outcome, and for each further event: there may be another content by then.
    Idempotent,
    /// It may do everything twice. nexum sends the request at most once, and asks the operator if it does not
    /// know the outcome.
    Once,
}

impl EffectClass {
    /// The class in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Repeatable => "repeatable",
            Self::Idempotent => "idempotent",
            Self::Once => "once",
        }
    }
}

/// A request that an event of a module has sent out, or was about to send.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The event.
    pub event: EventId,
    /// The number of the effect among those of its event, from 1.
    pub number: u32,
    /// The kind, in one word: `order-book`, `http`, `transaction` or `rpc`.
    pub kind: String,
    /// The receiver, without secrets.
    pub target: String,
    /// The SHA-256 of kind, target and request. Equal effects have equal digests.
    pub digest: [u8; 32],
    /// The consequence of a repetition.
    pub class: EffectClass,
    /// Whether another attempt at the event must make the same request.
    pub is_strict: bool,
    /// The request: its first [`EFFECT_REQUEST_BYTES_MAX`] bytes.
    pub request: ByteBuf,
    /// The length of the whole request, in bytes.
    pub request_bytes: u64,
    /// Random bytes that stay the same for each repetition of the request.
    pub key: [u8; 16],
    /// The number of the attempt at the event, from 1.
    pub attempt: u32,
    /// The time of the latest change of the record, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The outcome, as far as nexum knows it.
    pub state: EffectState,
    /// Whether the event has ended ok with this effect. The module then knows what nexum knows about the outcome.
    pub is_over: bool,
    /// Whether the module's state does not know the effect any more, because a reorganisation has removed its
    /// event, or because a later attempt at the event went another way.
    pub is_stranded: bool,
    /// Whether the log has a warning about the stranded effect, which no further event adopts.
    pub is_reported: bool,
}

/// The word of the operator about an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The receiver accepted the request, with this answer. It may be empty.
    Done(Vec<u8>),
    /// The receiver has not acted on the request.
    NotSent,
}

/// The outcome of an effect, as far as nexum knows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EffectState {
    /// nexum was about to send the request. After a crash, nexum does not know whether it did.
    Intent,
    /// nexum sent the request, and does not know the outcome for this reason.
    Unknown(String),
    /// The receiver accepted the request, with this answer. `None` if the answer was too large to keep.
    Done(Option<ByteBuf>),
    /// The receiver has certainly not acted on the request: it has refused it, or the request has not left
    /// nexum. Another attempt at the event may send it.
    Refused,
}

impl EffectState {
    /// The state in one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Unknown(_) => "unknown",
            Self::Done(_) => "done",
            Self::Refused => "refused",
        }
    }
}

impl Effect {
    /// Whether only the operator can say what happened: nexum does not send the request again, and the
    /// module does not know that the outcome is unknown.
    pub fn is_in_doubt(&self) -> bool {
        let is_known = matches!(self.state, EffectState::Done(_) | EffectState::Refused);
        self.class == EffectClass::Once && !is_known && (!self.is_over || self.is_stranded)
    }

    /// The key as text, as the receiver of a request may have it.
    pub fn key_text(&self) -> String {
        key_text(self.key)
    }

    /// The change of the record when the operator resolves the effect at this time in milliseconds since the Unix
    /// epoch. `None` removes the record.
    pub(crate) fn resolved(self, resolution: Resolution, now_ms: u64) -> Option<Self> {
        match resolution {
            Resolution::NotSent => None,
            Resolution::Done(answer) => Some(Self {
                state: EffectState::Done(Some(answer.into())),
                at_ms: now_ms,
                ..self
            }),
        }
    }

    /// The digest of a request.
    pub(crate) fn digest_of(kind: &str, target: &str, request: &[u8]) -> [u8; 32] {
        let lengths = [kind.len(), target.len()].map(|length| (length as u64).to_be_bytes());
        let bytes = [&lengths.concat(), kind.as_bytes(), target.as_bytes(), request].concat();
        *Digest::of(&bytes).as_bytes()
    }

    /// The key of its row.
    pub(crate) fn row(&self, id: ModuleId) -> Vec<u8> {
        match self.is_stranded {
            true => rows::stranded(id, &self.digest, &self.event, self.number),
            false => rows::effect(id, &self.event, self.number),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        rows::encode(self)
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        rows::decode(row, "the record of an effect")
    }
}

/// A random key in the form of a UUID of version 4 (RFC 9562, 5.4).
pub(in crate::state) fn key_text(key: [u8; 16]) -> String {
    let mut bytes = key;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Shows no content: a request may have a secret of the module.
impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effect")
            .field("event", &self.event)
            .field("number", &self.number)
            .field("kind", &self.kind)
            .field("target", &self.target)
            .field("class", &self.class)
            .field("state", &self.state)
            .field("is_stranded", &self.is_stranded)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EffectState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Passes the records whose keys start with `prefix` to `visit`, until it breaks off.
pub(super) fn scan(
    view: &dyn View,
    prefix: &[u8],
    visit: &mut dyn FnMut(Effect, usize) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut damaged = None;
    rows::scan(view, prefix, &mut |_, row| match Effect::decode(row) {
        Ok(effect) => visit(effect, row.len()),
        Err(error) => {
            damaged = Some(error);
            ControlFlow::Break(())
        }
    })?;
    damaged.map_or(Ok(()), Err)
}

/// The stored record of an effect, if the module still has it.
pub(crate) fn effect(view: &dyn View, id: ModuleId, effect: &Effect) -> Result<Option<Effect>, StoreError> {
    let row = view.get(&effect.row(id))?;
    row.map(|row| Effect::decode(&row)).transpose()
}

/// The records of one event's effects, in their order.
pub(crate) fn effects_of(view: &dyn View, id: ModuleId, event: &EventId) -> Result<Vec<Effect>, StoreError> {
    let mut effects = Vec::new();
    scan(
        view,
        &rows::effects_of(id, &rows::event_key(event)),
        &mut |effect, _| {
            effects.push(effect);
            ControlFlow::Continue(())
        },
    )?;
    Ok(effects)
}

/// Passes all records of a module's effects to `visit`, the stranded ones last, until it breaks off.
pub(crate) fn effects(
    view: &dyn View,
    id: ModuleId,
    visit: &mut dyn FnMut(Effect) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut flow = ControlFlow::Continue(());
    for prefix in [rows::effects(id), rows::all_stranded(id)] {
        if flow.is_continue() {
            scan(view, &prefix, &mut |effect, _| {
                flow = visit(effect);
                flow
            })?;
        }
    }
    Ok(())
}
