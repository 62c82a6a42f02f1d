//! The words between a capability and the journal: a request, the plan for it, and its outcome.

use std::any::Any;

use crate::bindings::nexum::host::types::HostError;
use crate::state::RowChanges;
use crate::state::effect::{EffectClass, key_text};
use crate::store::StoreError;

/// A request that changes something outside nexum.
#[derive(Clone, Copy)]
pub struct EffectCall<'a> {
    /// The kind, in one word: `order-book`, `http`, `transaction` or `rpc`.
    pub kind: &'static str,
    /// The receiver, without secrets.
    pub target: &'a str,
    /// The bytes that tell it apart from other requests of its kind to the receiver.
    pub request: &'a [u8],
    /// The consequence of a repetition.
    pub class: EffectClass,
    /// The answer of a receiver that accepts the request, if it is certain without asking. A [trial](crate::trial) can
    /// give it to the guest.
    pub stand_in: Option<&'a [u8]>,
    /// Whether another attempt at the event must make the same request. It fails if it makes another one
    /// of this kind to the receiver. Without this, the other request is one more effect.
    pub is_strict: bool,
}

/// The next step of a host function with an effect.
#[derive(Debug)]
pub enum EffectPlan {
    /// It sends the request, and then calls [`EffectJournal::settle`](crate::capability::EffectJournal::settle).
    Send(Sending),
    /// It returns this answer: an earlier attempt has sent the request.
    Answered(Vec<u8>),
    /// It tells the guest that the request is denied, for this reason.
    Denied(&'static str),
    /// It returns this error, which the guest got when the replayed event happened.
    Failed(HostError),
}

/// The rows and the answer that become durable with the record of an effect that nexum itself carries out, such as a transaction that it sends
/// until the chain has it.
pub struct PreparedEffect {
    /// The rows of the capability.
    pub rows: RowChanges,
    /// The answer of the guest, which is certain once the rows are durable.
    pub answer: Vec<u8>,
    /// Dropped when the commit has ended, such as a lock on the rows.
    pub held: Box<dyn Any + Send>,
}

/// An effect that a host function sends. If it is dropped, the outcome counts as unknown.
#[derive(Debug)]
#[must_use = "the outcome of the effect counts as unknown until it is settled"]
pub struct Sending {
    /// The number of the effect. `None` for one without a record.
    pub(super) number: Option<u32>,
    /// The number of the handler call.
    pub(super) call: u64,
    pub(super) is_repeated: bool,
    pub(super) key: [u8; 16],
}

impl Sending {
    /// The sending of an effect without a record, in the handler call with this number.
    pub(super) fn without_record(call: u64) -> Self {
        Self {
            number: None,
            call,
            is_repeated: false,
            key: rand::random(),
        }
    }

    /// A random text in the form of a UUID of version 4 (RFC 9562, 5.4). Each repetition of the request has the same one.
    pub fn key(&self) -> String {
        key_text(self.key)
    }

    /// Whether an earlier attempt may have sent the request.
    pub fn is_repeated(&self) -> bool {
        self.is_repeated
    }
}

/// The outcome of an effect.
#[derive(Debug)]
pub enum EffectOutcome {
    /// The receiver accepted the request, with this answer.
    Done(Vec<u8>),
    /// The receiver has certainly not acted on the request.
    Refused,
    /// The receiver may have acted on the request. The outcome is unknown for this reason.
    Unknown(String),
}

/// A handler cannot have an effect, and so fails at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EffectFault {
    /// An earlier attempt may have had the effect, and a repetition may have it twice.
    #[error(
        "nexum does not know whether effect {number} of this event, {kind} to {target}, has happened ({reason}), and \
         sends it once at most: ask the receiver, and tell nexum with `nexum effect resolve`"
    )]
    Unknown {
        /// The number of the effect.
        number: u32,
        /// The kind of the effect.
        kind: String,
        /// The receiver.
        target: String,
        /// Why the outcome is unknown.
        reason: String,
    },
    /// An earlier attempt had the effect, and its answer is lost.
    #[error(
        "effect {number} of this event, {kind} to {target}, has happened, its answer was too large to keep, and nexum \
         sends it once at most: give nexum the answer with `nexum effect resolve`"
    )]
    AnswerLost {
        /// The number of the effect.
        number: u32,
        /// The kind of the effect.
        kind: String,
        /// The receiver.
        target: String,
    },
    /// An earlier attempt had another effect at this place.
    #[error(
        "an earlier attempt at this event had effect {number}, {kind} to {target}, and this attempt asks for another \
         one in its place: `nexum effect show` has the first request"
    )]
    Mismatch {
        /// The number of the earlier effect.
        number: u32,
        /// The kind of the effect.
        kind: String,
        /// The receiver.
        target: String,
    },
}

/// The reason why an effect cannot begin. The calling host function returns it as its trap.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EffectError {
    /// The handler fails.
    #[error(transparent)]
    Fault(#[from] EffectFault),
    /// Another process may run the module by now.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The handler call has ended.
    #[error("the handler call has ended")]
    Ended,
}
