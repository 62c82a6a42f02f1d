//! The effects of the current handler call: which of them an earlier attempt has already had, and which
//! ones nexum sends now.

mod attempt;
mod call;
pub(crate) mod playback;
pub(crate) mod tape;
mod transcript;
pub(crate) mod trial;

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use self::attempt::{Attempt, Step};
use self::tape::Tape;
use self::trial::{NotRecorded, TrialCalls};
use super::super::capability_rows::RowChanges;
use super::super::effect::{Effect, EffectClass};
use super::super::module::EffectChanges;
use super::super::transcript::{Part, Stored};
use crate::event::Handler;
use crate::store::{Batch, StateStore};

pub use self::call::{EffectCall, EffectError, EffectFault, EffectOutcome, EffectPlan, PreparedEffect, Sending};
pub(crate) use self::transcript::Divergence;

/// The requests of one instance's host functions to its runner. Each of them waits for the answer.
pub(crate) const INTENTS_MAX: usize = 16;

/// The reason why a query has no effects.
const IN_QUERY: &str = "a query may change nothing";

/// The reason why `init` has few effects.
const IN_INIT: &str = "each new instance calls `init`, which may send only what its receiver can recognise";

/// The kind of a call for random bytes.
pub(crate) const RANDOM: &str = "random";

/// The kind of a reading of the monotonic clock in a tape. No transcript has it.
pub(crate) const MONOTONIC: &str = "monotonic";

/// The place of a host call or of an effect in the transcript and in the tape of a handler call. `None` if the handler
/// call has no such record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The number of the handler call.
    pub(crate) call: u64,
    transcript: Option<usize>,
    tape: Option<usize>,
}

impl Place {
    /// Whether the ledger gets what happens here.
    pub(crate) fn is_taped(&self) -> bool {
        self.tape.is_some()
    }
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
    /// Decides about the requests of a trial, in place of a runner.
    trial: Option<Arc<TrialCalls>>,
    current: Mutex<Attempt>,
}

/// A request to the runner: it makes the intent of an effect durable, with all earlier changes.
#[derive(Debug)]
pub(crate) struct Intent {
    /// New and changed records. Empty for an effect without a new record.
    pub(crate) effects: Vec<Effect>,
    /// The rows of a capability that become durable with them.
    pub(crate) rows: Batch,
    /// The host calls that led to the effect.
    pub(crate) transcript: Option<Part>,
    /// The number of the handler call.
    pub(crate) call: u64,
    /// Dropped if the commit fails.
    pub(crate) done: oneshot::Sender<()>,
}

/// The effects before a handler call.
#[derive(Clone, Debug, Default)]
pub(crate) struct EarlierEffects {
    /// The effects of earlier attempts at the event.
    pub(crate) of_event: Vec<Effect>,
    /// The module's stranded ones.
    pub(crate) stranded: Option<Arc<Vec<Effect>>>,
    /// The transcript of these attempts. `None` for a handler call without one.
    pub(crate) transcript: Option<Stored>,
}

impl Journal {
    /// A journal without a runner.
    pub(crate) fn without_runner(store: Arc<dyn StateStore>) -> Self {
        Self::new(store, None, None)
    }

    /// A journal whose runner receives the intents.
    pub(crate) fn with_runner(store: Arc<dyn StateStore>) -> (Self, mpsc::Receiver<Intent>) {
        let (intents, requests) = mpsc::channel(INTENTS_MAX);
        (Self::new(store, Some(intents), None), requests)
    }

    /// A journal of a trial, which has no effects.
    pub(crate) fn in_trial(store: Arc<dyn StateStore>, trial: Arc<TrialCalls>) -> Self {
        Self::new(store, None, Some(trial))
    }

    fn new(store: Arc<dyn StateStore>, intents: Option<mpsc::Sender<Intent>>, trial: Option<Arc<TrialCalls>>) -> Self {
        let current = Mutex::default();
        Self {
            shared: Arc::new(Shared {
                store,
                intents,
                trial,
                current,
            }),
        }
    }

    /// The trial of the handler call. `None` for one with consequences.
    pub(crate) fn trial(&self) -> Option<&TrialCalls> {
        self.shared.trial.as_deref()
    }

    /// Begins a handler call.
    pub(crate) fn open(&self, attempt: u32, earlier: EarlierEffects) {
        let mut current = self.shared.current.lock();
        *current = Attempt::new(current.call + 1, attempt, earlier);
    }

    /// Records what the handler call that has begun sees and asks for.
    pub(crate) fn record(&self, tape: Tape) {
        self.shared.current.lock().tape = Some(tape);
    }

    /// Takes the tape of the handler call that has ended. `None` if nothing was recorded.
    pub(crate) fn take_tape(&self) -> Option<Tape> {
        self.shared.current.lock().tape.take()
    }

    /// Ends a handler call, and returns the changes of the records. `is_ok` tells that the module's state will
    /// know the effects.
    pub(super) fn close(&self, is_ok: bool) -> Option<Box<EffectChanges>> {
        let mut current = self.shared.current.lock();
        if let Some(trial) = self.trial() {
            trial.answered(current.transcript.so_far());
        }
        let mut next = Attempt::after(current.call + 1);
        next.tape = current.tape.take();
        std::mem::replace(&mut *current, next).end(is_ok)
    }

    /// The reason why the handler fails whatever it returns.
    pub(crate) fn fault(&self) -> Option<EffectFault> {
        self.shared.current.lock().fault.clone()
    }

    /// Notes a host call. Returns the recorded answer or that of an earlier attempt, or the place for the answer.
    ///
    /// # Errors
    ///
    /// If a replay may not ask, and its record has no answer.
    pub(crate) fn ask<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        arguments: &[&[u8]],
    ) -> Result<Result<T, Place>, NotRecorded> {
        if let Some(trial) = self.trial() {
            match trial.recorded(kind, arguments) {
                Some(answer) => return Ok(Ok(answer)),
                None => trial.miss(kind, arguments)?,
            }
        }
        Ok(self.ask_here(kind, arguments))
    }

    /// [`ask`](Self::ask) outside a replay.
    fn ask_here<T: DeserializeOwned>(&self, kind: &'static str, arguments: &[&[u8]]) -> Result<T, Place> {
        let mut current = self.shared.current.lock();
        let current = &mut *current;
        let tape = current.tape.as_mut().and_then(|tape| tape.ask(kind, arguments));
        let asked = current.transcript.ask(kind, arguments);
        if let (Ok(_), Some(tape), Some(place)) = (&asked, &mut current.tape, tape)
            && let Some(answer) = current.transcript.last_answer()
        {
            tape.answer(place, answer);
        }
        let call = current.call;
        asked.map_err(|transcript| Place { call, transcript, tape })
    }

    /// Sets the answer of a host call. `recorded` is the answer without secrets, if it has some.
    pub(crate) fn answer<T: Serialize>(&self, place: Place, answer: &T, recorded: Option<&T>) {
        let Ok(mut current) = self.current(place.call) else {
            return;
        };
        if let (Some(tape), Some(place)) = (&mut current.tape, place.tape) {
            if recorded.is_some() {
                tape.leave_out();
            }
            if let Ok(answer) = postcard::to_allocvec(recorded.unwrap_or(answer)) {
                tape.answer(place, &answer);
            }
        }
        if let Some(place) = place.transcript {
            current.transcript.answer(place, answer);
        }
    }

    /// [`ask`](Self::ask) for an answer that is there at once.
    pub(crate) fn ask_now<T: Serialize + DeserializeOwned>(
        &self,
        kind: &'static str,
        arguments: &[&[u8]],
        answer: impl FnOnce() -> T,
    ) -> T {
        if let Some(answer) = self.trial().and_then(|trial| trial.recorded(kind, arguments)) {
            return answer;
        }
        let place = match self.ask_here(kind, arguments) {
            Ok(answer) => return answer,
            Err(place) => place,
        };
        let answer = answer();
        self.answer(place, &answer, None);
        answer
    }

    /// A reading of the monotonic clock.
    pub(crate) fn monotonic(&self, now: impl FnOnce() -> u64) -> u64 {
        if let Some(recorded) = self.trial().and_then(|trial| trial.recorded(MONOTONIC, &[])) {
            return recorded;
        }
        let now = now();
        if let Some(tape) = &mut self.shared.current.lock().tape
            && let Some(place) = tape.ask(MONOTONIC, &[])
            && let Ok(answer) = postcard::to_allocvec(&now)
        {
            tape.answer(place, &answer);
        }
        now
    }

    /// Notes a key of the committed state, with its value.
    pub(super) fn saw(&self, key: &[u8], value: Option<&[u8]>) {
        if let Some(tape) = &mut self.shared.current.lock().tape {
            tape.saw(key, value);
        }
    }

    /// Notes a key that a list has passed over.
    pub(super) fn listed(&self, key: &[u8], exists: bool) {
        if let Some(tape) = &mut self.shared.current.lock().tape {
            tape.listed(key, exists);
        }
    }

    /// Notes an effect among the host calls. Returns its place.
    pub(crate) fn begin_effect(&self) -> Place {
        let mut current = self.shared.current.lock();
        Place {
            call: current.call,
            transcript: current.transcript.begin_effect(),
            tape: current.tape.as_mut().map(Tape::begin_effect),
        }
    }

    /// Sets the content of an effect.
    pub(crate) fn name_effect(&self, place: Place, call: &EffectCall<'_>) {
        if place.transcript.is_none() && place.tape.is_none() {
            return;
        }
        let Ok(mut current) = self.current(place.call) else {
            return;
        };
        if let Some(place) = place.transcript {
            let digest = Effect::digest_of(call.kind, call.target, call.request);
            current.transcript.name_effect(place, digest);
        }
        if let (Some(tape), Some(place)) = (&mut current.tape, place.tape) {
            tape.name_effect(place, call);
        }
    }

    /// Changes what the tape has of an effect.
    pub(crate) fn tape_effect(&self, place: Place, change: impl FnOnce(&mut Tape, usize)) {
        if let Some(of_tape) = place.tape
            && let Ok(mut current) = self.current(place.call)
            && let Some(tape) = &mut current.tape
        {
            change(tape, of_tape);
        }
    }

    /// The first host call that differs from the one of an earlier attempt.
    pub(crate) fn divergence(&self) -> Option<Divergence> {
        self.shared.current.lock().transcript.divergence.take()
    }

    /// The number of the current handler call.
    pub(crate) fn call(&self) -> u64 {
        self.shared.current.lock().call
    }

    /// Plans an effect of the handler call with this number, at this time in milliseconds since the Unix epoch. When
    /// this returns that nexum sends the request, its record and all earlier changes of the module are durable, with the
    /// rows of `prepare`. `prepare` runs if no earlier attempt has had the effect. If it fails, there is no effect.
    pub(crate) async fn begin_with<E>(
        &self,
        (number, handler): (u64, Handler),
        call: &EffectCall<'_>,
        now_ms: u64,
        prepare: impl Future<Output = Result<Option<PreparedEffect>, E>>,
    ) -> Result<Result<EffectPlan, E>, EffectError> {
        if let Some(trial) = self.trial() {
            return Ok(Ok(match handler {
                Handler::Init if call.class == EffectClass::Once => EffectPlan::Denied(IN_INIT),
                _ => trial.plan(call),
            }));
        }
        if self.shared.intents.is_none() {
            return Ok(Ok(EffectPlan::Denied(IN_QUERY)));
        }
        let (is_new, is_saved, sending) = match handler {
            Handler::OnEvent(event) => match self.current(number)?.plan(call, event, now_ms)? {
                Step::Answer(answer) => return Ok(Ok(EffectPlan::Answered(answer))),
                Step::Record(sending) => (true, false, sending),
                Step::Repeat { is_saved, sending } => (false, is_saved, sending),
            },
            Handler::Init if call.class == EffectClass::Once => return Ok(Ok(EffectPlan::Denied(IN_INIT))),
            Handler::Init | Handler::Invoke(_) => (true, false, Sending::without_record(number)),
            Handler::Evaluate(_) | Handler::ListFunctions => return Ok(Ok(EffectPlan::Denied(IN_QUERY))),
        };
        let prepared = match is_new {
            true => prepare.await,
            false => Ok(None),
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                self.current(number)?.withdraw(&sending);
                return Ok(Err(error));
            }
        };
        let (mut rows, mut held) = (Batch::default(), None);
        if let Some(prepared) = prepared {
            self.current(number)?.foresee(&sending, prepared.answer);
            rows = prepared.rows.into_batch();
            held = Some(prepared.held);
        }
        let records = match is_saved {
            true => Vec::new(),
            false => self.current(number)?.unsaved(),
        };
        self.commit(number, records, rows).await?;
        drop(held);
        self.shared.store.check_lease()?;
        // From here on the request may leave.
        self.current(number)?.leave(&sending);
        Ok(Ok(EffectPlan::Send(sending)))
    }

    /// Makes durable that a receiver has certainly not acted on the request of an effect, with rows of a capability.
    pub(crate) async fn refuse(&self, sending: Sending, rows: RowChanges, now_ms: u64) -> Result<(), EffectError> {
        let number = sending.call;
        let records = {
            let mut current = self.current(number)?;
            current.refuse(&sending, now_ms);
            current.unsaved()
        };
        self.commit(number, records, rows.into_batch()).await?;
        self.current(number)?.leave(&sending);
        Ok(())
    }

    /// Records the outcome of an effect at this time in milliseconds since the Unix epoch.
    pub(crate) fn settle(&self, sending: Sending, outcome: EffectOutcome, now_ms: u64) {
        // After the end of the handler call, the record says that the outcome is unknown.
        if let Ok(mut current) = self.current(sending.call) {
            current.settle(&sending, outcome, now_ms);
        }
    }

    /// The handler call with this number, if it has not ended.
    fn current(&self, number: u64) -> Result<parking_lot::MappedMutexGuard<'_, Attempt>, EffectError> {
        let current = self.shared.current.lock();
        parking_lot::MutexGuard::try_map(current, |current| (current.call == number).then_some(current))
            .map_err(|_| EffectError::Ended)
    }

    /// Has the runner make an intent durable, with all earlier changes.
    async fn commit(&self, call: u64, effects: Vec<Effect>, rows: Batch) -> Result<(), EffectError> {
        self.shared.store.check_lease()?;
        let Some(intents) = &self.shared.intents else {
            return Err(EffectError::Ended);
        };
        let (done, committed) = oneshot::channel();
        let transcript = self.current(call)?.transcript.take_part();
        let intent = Intent {
            effects,
            rows,
            transcript,
            call,
            done,
        };
        intents.send(intent).await.map_err(|_| EffectError::Ended)?;
        committed.await.map_err(|_| EffectError::Ended)
    }
}

#[cfg(test)]
mod tests;
