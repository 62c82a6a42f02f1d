//! Repeats recorded attempts: the guest gets the event, the answers and the state that it had then.

use std::sync::Arc;

use super::{Trial, TrialError, Tried};
use crate::event::{EventId, Handler};
use crate::module::call::HandlerContext;
use crate::module::instance::{Instance, NoEffects};
use crate::state::scope::Pending;
use crate::state::scope::journal::playback::Playback;
use crate::state::{CallInputs, InputContent, KnownKey, StartInputs, Usage};

/// The state that a repeated attempt sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateOf {
    /// The recorded keys, and nothing else. The trial drops the writes.
    TheRecord,
    /// The store of the trial, which gets the writes.
    TheTrial,
}

impl Trial {
    /// Repeats an attempt at an event. `start` is the recorded start of its instance, if that is known. A new instance
    /// starts if the attempt had another one than the attempt before.
    ///
    /// # Errors
    ///
    /// Fails if the store is not usable.
    pub async fn repeat(
        &mut self,
        id: EventId,
        content: &InputContent,
        start: Option<&StartInputs>,
        state: StateOf,
    ) -> Result<Vec<Tried>, TrialError> {
        let mut tried = Vec::new();
        if self.instance.is_none() || self.instance_ms != content.instance_ms {
            if let Some(instance) = self.instance.take() {
                instance.discard().await;
            }
            self.instance_ms = content.instance_ms;
            let started = self.start_again(id, start, content.call.begun_ms, state).await?;
            let failed = started.outcome.is_err();
            tried.push(started);
            if failed {
                return Ok(tried);
            }
        }
        self.moment.set(content.call.begun_ms, id.to_string());
        let context = self.recorded_context(id, Some(&content.call), state);
        let Some(instance) = &mut self.instance else {
            return Ok(tried);
        };
        let result = instance.on_event(id, &content.payload, context, &mut NoEffects).await;
        tried.push(self.handled(id, result, state).await?);
        Ok(tried)
    }

    /// Creates an instance before this event.
    async fn start_again(
        &mut self,
        before: EventId,
        start: Option<&StartInputs>,
        now_ms: u64,
        state: StateOf,
    ) -> Result<Tried, TrialError> {
        let now_ms = start.map_or(now_ms, |start| start.call.begun_ms);
        self.moment.set(now_ms, format!("init {before}"));
        if let Some(seed) = start.and_then(|start| start.seed) {
            self.moment.draw_first(&seed);
        }
        let context = self.recorded_context(before, start.map(|start| &start.call), state);
        let (store, calls) = (self.store.clone(), self.calls.clone());
        let started = Instance::start_trial(&self.module, self.id, store, context, calls).await;
        let (instance, changes) = match started {
            Ok((instance, changes)) => (Some(Box::new(instance)), Ok(changes)),
            Err(failure) => (None, Err(failure)),
        };
        self.instance = instance;
        self.conclude(Handler::Init, before.position, changes, state)
    }

    /// Prepares the answers and the state of a handler call.
    fn recorded_context(&self, id: EventId, inputs: Option<&CallInputs>, state: StateOf) -> HandlerContext {
        let nothing = CallInputs::default();
        let inputs = inputs.unwrap_or(&nothing);
        let block = id.topic.chain_id().map(|chain_id| (chain_id, id.position));
        self.calls.open_recorded(block, Playback::of(inputs));
        match state {
            StateOf::TheTrial => HandlerContext {
                is_recorded: true,
                ..self.context(None)
            },
            StateOf::TheRecord => HandlerContext {
                usage: Usage {
                    keys: inputs.state_keys,
                    bytes: inputs.state_bytes,
                },
                letter_bytes: inputs.letter_bytes,
                pending: Some(Arc::new(pending(inputs))),
                ..HandlerContext::default()
            },
        }
    }
}

/// The recorded keys, as changes of earlier events: so a list passes over the deleted ones.
fn pending(inputs: &CallInputs) -> Pending {
    let keys = inputs.keys.iter().filter_map(|(key, known)| {
        let value = match known {
            // The store of the trial has no key.
            KnownKey::Absent | KnownKey::LeftOut => return None,
            KnownKey::Deleted => None,
            KnownKey::Listed => Some(Vec::new()),
            KnownKey::Value(value) => Some(value.to_vec()),
        };
        Some((key.to_vec(), value))
    });
    keys.collect()
}
