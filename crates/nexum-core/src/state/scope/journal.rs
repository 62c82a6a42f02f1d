//! The effects of the current handler call: which of them an earlier attempt has already had, and which
//! ones nexum sends now.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::super::effect::{ANSWER_BYTES_MAX, EFFECT_REQUEST_BYTES_MAX, Effect, EffectClass, EffectState};
use super::super::module::EffectChanges;
use crate::event::{EventId, Handler};
use crate::store::{StateStore, StoreError};

/// The requests of one instance's host functions to its runner. Each of them waits for the answer.
pub(crate) const INTENTS_MAX: usize = 16;

/// The reason why a query has no effects.
const IN_QUERY: &str = "a query may change nothing";

/// A request that changes something outside nexum.
#[derive(Clone, Copy)]
pub struct EffectCall<'a> {
    /// What it is, in one word: `order`, `http`, `transaction`.
    pub kind: &'static str,
    /// The receiver, without secrets.
    pub target: &'a str,
    /// The bytes that tell it apart from other requests of its kind to the receiver.
    pub request: &'a [u8],
    /// Who can tell a repetition.
    pub class: EffectClass,
    /// Whether another attempt at the event must make the same request. It fails if it makes another one
    /// of this kind to the receiver. Without this, the other request is one more effect.
    pub is_strict: bool,
}

/// What a host function does with an effect.
#[derive(Debug)]
pub enum EffectPlan {
    /// It sends the request, and then calls [`EffectJournal::settle`](crate::capability::EffectJournal::settle).
    Send(Sending),
    /// It returns this answer: an earlier attempt has sent the request.
    Answered(Vec<u8>),
    /// It tells the guest that the request is denied, for this reason.
    Denied(&'static str),
}

/// An effect that a host function sends. If it is dropped, the outcome counts as unknown.
#[derive(Debug)]
#[must_use = "the outcome of the effect counts as unknown until it is settled"]
pub struct Sending {
    number: Option<u32>,
    /// The number of the handler call.
    call: u64,
    is_repeated: bool,
    key: [u8; 16],
}

impl Sending {
    /// A random text in the form of a UUID of version 4 (RFC 9562, 5.4). Each repetition of the request has the same one.
    pub fn key(&self) -> String {
        let mut bytes = self.key;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
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
    /// An earlier attempt may have had the effect, whose repetition nobody could tell.
    #[error(
        "nobody knows whether effect {number} of this event, {kind} to {target}, has happened ({reason}), and nexum \
         sends it once at most: ask the receiver, and tell nexum with `nexum effect resolve`"
    )]
    Unknown {
        /// The number of the effect.
        number: u32,
        /// What it is.
        kind: String,
        /// The receiver.
        target: String,
        /// Why the outcome is unknown.
        reason: String,
    },
    /// An earlier attempt had another effect at this place.
    #[error(
        "an earlier attempt at this event had effect {number}, {kind} to {target}, and this attempt asks for another \
         one in its place: `nexum effect show` has the first request"
    )]
    Mismatch {
        /// The number of the earlier effect.
        number: u32,
        /// What it is.
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

/// The effects of the current handler call. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn StateStore>,
    /// The requests to the runner. `None` for an instance without a runner, which has no effects.
    intents: Option<mpsc::Sender<Intent>>,
    current: Mutex<Current>,
}

/// A request to the runner: it makes the intent of an effect durable, with all earlier changes.
#[derive(Debug)]
pub(crate) struct Intent {
    /// `None` for an effect without a record.
    pub(crate) effect: Option<Effect>,
    /// The number of the handler call.
    pub(crate) call: u64,
    /// Dropped if the commit fails.
    pub(crate) done: oneshot::Sender<()>,
}

/// The effects before a handler call.
#[derive(Clone, Debug, Default)]
pub(crate) struct EarlierEffects {
    /// Those of earlier attempts at the event.
    pub(crate) of_event: Vec<Effect>,
    /// The module's stranded ones.
    pub(crate) stranded: Option<Arc<Vec<Effect>>>,
}

#[derive(Debug, Default)]
struct Current {
    call: u64,
    attempt: u32,
    earlier: Vec<Earlier>,
    stranded: Option<Arc<Vec<Effect>>>,
    /// The stranded effects that this call has adopted.
    adopted: Vec<Effect>,
    made: Vec<Made>,
    fault: Option<EffectFault>,
}

#[derive(Debug)]
struct Earlier {
    effect: Effect,
    is_used: bool,
}

#[derive(Debug)]
struct Made {
    effect: Effect,
    is_refused: bool,
}

/// The next step of a host function.
enum Step {
    Do(EffectPlan),
    /// Makes the new record durable, and then sends.
    Record(Effect, Sending),
}

impl Journal {
    /// A journal without a runner.
    pub(crate) fn without_runner(store: Arc<dyn StateStore>) -> Self {
        Self::new(store, None)
    }

    /// A journal whose runner receives the intents.
    pub(crate) fn with_runner(store: Arc<dyn StateStore>) -> (Self, mpsc::Receiver<Intent>) {
        let (intents, requests) = mpsc::channel(INTENTS_MAX);
        (Self::new(store, Some(intents)), requests)
    }

    fn new(store: Arc<dyn StateStore>, intents: Option<mpsc::Sender<Intent>>) -> Self {
        let current = Mutex::default();
        Self {
            shared: Arc::new(Shared {
                store,
                intents,
                current,
            }),
        }
    }

    /// Begins a handler call.
    pub(crate) fn open(&self, attempt: u32, earlier: EarlierEffects) {
        let mut current = self.shared.current.lock();
        let call = current.call + 1;
        let unused = |effect| Earlier { effect, is_used: false };
        *current = Current {
            call,
            attempt,
            earlier: earlier.of_event.into_iter().map(unused).collect(),
            stranded: earlier.stranded,
            ..Current::default()
        };
    }

    /// Ends a handler call, and returns the changes of the records. `is_ok` tells that the module's state will
    /// know the effects.
    pub(super) fn close(&self, is_ok: bool) -> Option<Box<EffectChanges>> {
        let mut current = self.shared.current.lock();
        if current.made.is_empty() && current.adopted.is_empty() && (!is_ok || current.earlier.is_empty()) {
            return None;
        }
        let call = current.call + 1;
        let ended = std::mem::replace(
            &mut *current,
            Current {
                call,
                ..Current::default()
            },
        );
        let mut changes = EffectChanges {
            adopted: ended.adopted,
            ..EffectChanges::default()
        };
        for Made { mut effect, is_refused } in ended.made {
            match is_refused {
                true => changes.refused.push(effect),
                false => {
                    if effect.state == EffectState::Intent {
                        let reason = "the handler call ended before the answer came";
                        effect.state = EffectState::Unknown(reason.to_owned());
                    }
                    effect.is_over = is_ok;
                    changes.set.push(effect);
                }
            }
        }
        if is_ok {
            let unused = ended.earlier.into_iter().filter(|earlier| !earlier.is_used);
            changes.stranded.extend(unused.map(|earlier| earlier.effect));
        }
        Some(Box::new(changes))
    }

    /// The reason why the handler fails whatever it returns.
    pub(crate) fn fault(&self) -> Option<EffectFault> {
        self.shared.current.lock().fault.clone()
    }

    /// The number of the current handler call.
    pub(crate) fn call(&self) -> u64 {
        self.shared.current.lock().call
    }

    /// Plans an effect of the handler call with this number, at this time in milliseconds since the Unix epoch. When
    /// this returns that nexum sends the request, its record and all earlier changes of the module are durable.
    pub(crate) async fn begin(
        &self,
        (number, handler): (u64, Handler),
        call: &EffectCall<'_>,
        now_ms: u64,
    ) -> Result<EffectPlan, EffectError> {
        if self.shared.intents.is_none() {
            return Ok(EffectPlan::Denied(IN_QUERY));
        }
        let event = match (handler, call.class) {
            (Handler::OnEvent(event), _) => event,
            (Handler::Init, EffectClass::Once) => {
                let reason = "each new instance calls `init`, which may send only what its receiver can recognise";
                return Ok(EffectPlan::Denied(reason));
            }
            (Handler::Init | Handler::Invoke(_), _) => {
                self.commit(number, None).await?;
                let sending = Sending {
                    number: None,
                    call: number,
                    is_repeated: false,
                    key: rand::random(),
                };
                return Ok(EffectPlan::Send(sending));
            }
            (Handler::Evaluate(_) | Handler::ListFunctions, _) => return Ok(EffectPlan::Denied(IN_QUERY)),
        };
        let step = {
            let mut current = self.shared.current.lock();
            match current.call == number {
                true => current.plan(call, event, now_ms)?,
                false => return Err(EffectError::Ended),
            }
        };
        let plan = match step {
            Step::Do(plan) => plan,
            Step::Record(effect, sending) => {
                self.commit(number, Some(effect)).await?;
                EffectPlan::Send(sending)
            }
        };
        if let EffectPlan::Send(_) = plan {
            self.shared.store.check_lease()?;
        }
        Ok(plan)
    }

    /// Records the outcome of an effect at this time in milliseconds since the Unix epoch.
    pub(crate) fn settle(&self, sending: Sending, outcome: EffectOutcome, now_ms: u64) {
        let Sending {
            number: Some(number),
            call,
            ..
        } = sending
        else {
            return;
        };
        let mut current = self.shared.current.lock();
        // After the end of the handler call, the record says that the outcome is unknown.
        if current.call != call {
            return;
        }
        let Some(made) = current.made.iter_mut().find(|made| made.effect.number == number) else {
            return;
        };
        made.effect.at_ms = now_ms;
        match outcome {
            EffectOutcome::Done(answer) => {
                let answer = (answer.len() <= ANSWER_BYTES_MAX).then(|| answer.into());
                made.effect.state = EffectState::Done(answer);
            }
            EffectOutcome::Refused => made.is_refused = true,
            EffectOutcome::Unknown(reason) => made.effect.state = EffectState::Unknown(reason),
        }
    }

    /// Has the runner make an intent durable, with all earlier changes.
    async fn commit(&self, call: u64, effect: Option<Effect>) -> Result<(), EffectError> {
        self.shared.store.check_lease()?;
        let Some(intents) = &self.shared.intents else {
            return Err(EffectError::Ended);
        };
        let (done, committed) = oneshot::channel();
        let sent = intents.send(Intent { effect, call, done }).await;
        sent.map_err(|_| EffectError::Ended)?;
        committed.await.map_err(|_| EffectError::Ended)
    }
}

impl Current {
    fn plan(&mut self, call: &EffectCall<'_>, event: EventId, now_ms: u64) -> Result<Step, EffectFault> {
        let digest = Effect::digest_of(call.kind, call.target, call.request);
        let number = self.next_number();
        let unused = self.earlier.iter_mut().filter(|earlier| !earlier.is_used);
        let mut alike = None;
        for earlier in unused {
            if earlier.effect.digest == digest {
                earlier.is_used = true;
                let effect = earlier.effect.clone();
                return self.repeat(effect, call, now_ms);
            }
            let is_alike = earlier.effect.kind == call.kind && earlier.effect.target == call.target;
            alike = alike.or_else(|| is_alike.then(|| earlier.effect.clone()));
        }
        if let Some(other) = alike.filter(|_| call.is_strict) {
            return Err(self.fail(EffectFault::Mismatch {
                number: other.number,
                kind: other.kind,
                target: other.target,
            }));
        }
        if let Some(stranded) = self.stranded_alike(&digest) {
            let effect = Effect {
                event,
                number,
                attempt: self.attempt,
                at_ms: now_ms,
                is_over: false,
                is_stranded: false,
                is_reported: false,
                ..stranded.clone()
            };
            self.adopted.push(stranded);
            let step = self.repeat(effect.clone(), call, now_ms)?;
            if let Step::Do(EffectPlan::Answered(_)) = &step {
                let is_refused = false;
                self.made.push(Made { effect, is_refused });
            }
            return Ok(step);
        }
        let kept = call.request.len().min(EFFECT_REQUEST_BYTES_MAX);
        let effect = Effect {
            event,
            number,
            kind: call.kind.to_owned(),
            target: call.target.to_owned(),
            digest,
            class: call.class,
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
        Ok(Step::Record(effect.clone(), self.send(effect, false)))
    }

    /// Plans an effect that an earlier attempt, or an event that was taken back, has had or begun.
    fn repeat(&mut self, effect: Effect, call: &EffectCall<'_>, now_ms: u64) -> Result<Step, EffectFault> {
        let reason = match &effect.state {
            EffectState::Done(Some(answer)) => return Ok(Step::Do(EffectPlan::Answered(answer.to_vec()))),
            EffectState::Done(None) => "its answer was too large to keep",
            EffectState::Intent => "nexum ended before it knew the outcome",
            EffectState::Unknown(reason) => reason,
        };
        if call.class == EffectClass::Once {
            return Err(self.fail(EffectFault::Unknown {
                number: effect.number,
                kind: effect.kind.clone(),
                target: effect.target.clone(),
                reason: reason.to_owned(),
            }));
        }
        let again = Effect {
            class: call.class,
            attempt: self.attempt,
            at_ms: now_ms,
            state: EffectState::Intent,
            is_over: false,
            ..effect
        };
        // The record is durable already.
        let sending = self.send(again, true);
        Ok(Step::Do(EffectPlan::Send(sending)))
    }

    fn send(&mut self, effect: Effect, is_repeated: bool) -> Sending {
        let (number, key) = (Some(effect.number), effect.key);
        let is_refused = false;
        self.made.push(Made { effect, is_refused });
        Sending {
            number,
            call: self.call,
            is_repeated,
            key,
        }
    }

    fn fail(&mut self, fault: EffectFault) -> EffectFault {
        self.fault.get_or_insert(fault).clone()
    }

    fn next_number(&self) -> u32 {
        let earlier = self.earlier.iter().map(|earlier| earlier.effect.number);
        let made = self.made.iter().map(|made| made.effect.number);
        earlier.chain(made).max().unwrap_or(0) + 1
    }

    /// A stranded effect with this digest that no call has adopted.
    fn stranded_alike(&self, digest: &[u8; 32]) -> Option<Effect> {
        let is_free = |effect: &&Effect| effect.digest == *digest && !self.adopted.contains(effect);
        self.stranded.as_deref()?.iter().find(is_free).cloned()
    }
}
