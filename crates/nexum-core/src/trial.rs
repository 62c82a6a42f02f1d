//! Trials: a module on past blocks, in memory and without consequences.
//!
//! A trial calls the handler as a runner does, in a sandbox with the module's limits. These are the differences:
//!
//! - The caller has the blocks, and decides about their order.
//! - The changes of an event go into a store of the caller, without undo records and cursors.
//! - nexum sends no [effect](crate::capability::EffectJournal). The guest gets the recorded answer of an earlier effect,
//!   `denied`, or a stand-in.
//! - Reads of the block's chain are pinned to the block. nexum notes each other read, or refuses it.
//! - The time is that of the block, and the random numbers follow from the event.
//! - An event has one attempt.
//!
//! # Invariants
//!
//! - No request that changes something outside nexum leaves a trial, and no account signs in it.

mod moment;
mod repeat;
mod rewind;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::limits::Limit;
use nexum_config::log_filter::LogFilter;
use nexum_config::names::ModuleName;
use nexum_config::topic::{ChainId, ChainTopic};

use crate::event::{Advance, Event, EventId, EventKind, Handler, Position};
use crate::module::Module;
use crate::module::call::HandlerContext;
use crate::module::failure::Failure;
use crate::module::instance::{Instance, NoEffects};
use crate::runner::subscription_set::SubscriptionSet;
use crate::runner::topics;
use crate::state::scope::journal::EarlierEffects;
use crate::state::scope::journal::playback::{Recorded, RecordedAnswer};
use crate::state::scope::journal::tape::Tape;
use crate::state::scope::journal::trial::TrialCalls;
use crate::state::{self, Change, Changes, Cursors, Effect, EffectState, ModuleId, ModuleState, Stored, Usage, rows};
use crate::store::{Batch, StateStore, StoreError};

pub use crate::state::scope::journal::trial::{Answers, HostCalls, TrialAnswer, TrialEffect, TrialEffects, TrialRules};
pub use moment::Moment;
pub use repeat::StateOf;
pub use rewind::{RewindError, rewind};

/// A module on the past blocks of one chain.
pub struct Trial {
    module: Module,
    chain_id: ChainId,
    topics: Vec<(ChainTopic, SubscriptionSet)>,
    moment: Moment,
    calls: Arc<TrialCalls>,
    store: Arc<dyn StateStore>,
    id: ModuleId,
    usage: Usage,
    /// The answers to the effects of earlier runs, by event.
    recorded: BTreeMap<String, Recorded>,
    /// `None` before the first event, and after a failure.
    instance: Option<Box<Instance>>,
    /// The recorded instance that `instance` repeats.
    instance_ms: u64,
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial")
            .field("module", &self.module)
            .field("chain_id", &self.chain_id)
            .finish_non_exhaustive()
    }
}

/// Whether a module with these cursors has handled no block of a chain before `block`.
pub fn begins_at(module: &Module, chain_id: ChainId, cursors: &Cursors, block: u64) -> bool {
    subscribed(module, chain_id).all(|(topic, subscriptions)| {
        let cursor = cursors.get(topic.into());
        cursor.is_some_and(|cursor| block <= subscriptions.first(cursor.live_from))
    })
}

/// Whether a module with these cursors has handled `block` of a chain.
pub fn has_handled(module: &Module, chain_id: ChainId, cursors: &Cursors, block: u64) -> bool {
    subscribed(module, chain_id).all(|(topic, _)| {
        let last = cursors.get(topic.into()).and_then(|cursor| cursor.last);
        last.is_some_and(|last| last.position.number >= block)
    })
}

/// Whether a module handles a block of a chain, whatever its logs are. A subscription without `from_block` begins before it.
pub fn handles_block(module: &Module, chain_id: ChainId, number: u64) -> bool {
    subscribed(module, chain_id).any(|(_, subscriptions)| subscriptions.wants_block(number, 0, || Some(number)))
}

/// A module's subscriptions to each topic of a chain.
fn subscribed(module: &Module, chain_id: ChainId) -> impl Iterator<Item = (ChainTopic, SubscriptionSet)> + '_ {
    let topics = topics(module)
        .into_iter()
        .filter(move |topic| topic.chain_id == chain_id);
    topics.map(|topic| (topic, SubscriptionSet::of(&module.subscriptions, topic)))
}

/// The outcome of a handler call in a trial.
#[derive(Clone, Debug)]
pub struct Tried {
    /// `init` or `on-event`.
    pub handler: Handler,
    /// The block.
    pub block: Position,
    /// The reason of a failure, which drops the writes.
    pub outcome: Result<(), Failure>,
    /// The fuel. 0 for a module whose fuel is not counted, and for an `init` that failed.
    pub fuel: u64,
    /// The duration.
    pub took: Duration,
    /// Each changed key with its value after the call. `None` for a deleted key.
    pub writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The keys that the call looked for, and that did not exist. Only of a [repeated](Trial::repeat) call.
    pub absent: Vec<Vec<u8>>,
    /// The host calls, with the effects that the trial did not have.
    pub calls: HostCalls,
    /// The last log records.
    pub records: Vec<String>,
}

/// Why a module cannot be tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// The module has no events on the chain.
    #[error("the module {module} subscribes to nothing on chain {chain_id}")]
    NotSubscribed {
        /// The module.
        module: ModuleName,
        /// The chain.
        chain_id: ChainId,
    },
    /// The store of the trial failed.
    #[error("the state of the trial cannot be used")]
    Store(#[from] StoreError),
}

impl Trial {
    /// Prepares a trial of a module on a chain. `moment` is that of the module's capabilities. The trial reads and
    /// changes the module's rows in `store`.
    ///
    /// # Errors
    ///
    /// Fails if the module does not subscribe to the chain, or if the store is not usable.
    pub fn new(
        module: Module,
        chain_id: ChainId,
        rules: TrialRules,
        moment: Moment,
        store: Arc<dyn StateStore>,
    ) -> Result<Self, TrialError> {
        let topics: Vec<_> = subscribed(&module, chain_id).collect();
        let name = module.meta.name.clone();
        if topics.is_empty() {
            return Err(TrialError::NotSubscribed { module: name, chain_id });
        }
        state::open(&*store)?;
        let id = state::intern(&*store, &[name])?.into_iter().next();
        let id = id.ok_or_else(|| StoreError::Damaged("a module has no number".to_owned()))?;
        let usage = ModuleState::load(&*store.view()?, id)?.usage();
        Ok(Self {
            module,
            chain_id,
            topics,
            moment,
            calls: Arc::new(TrialCalls::new(rules)),
            store,
            id,
            usage,
            recorded: BTreeMap::new(),
            instance: None,
            instance_ms: 0,
        })
    }

    /// Gives the guest the answers of these records when it asks for their effects again, at their events.
    #[must_use]
    pub fn with_records(mut self, effects: impl IntoIterator<Item = Effect>) -> Self {
        for effect in effects {
            if let EffectState::Done(Some(answer)) = effect.state {
                let of_event = self.recorded.entry(effect.event.to_string()).or_default();
                let answers = of_event.entry(effect.digest).or_default();
                answers.push_back(RecordedAnswer::done(answer.into_vec()));
            }
        }
        self
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The chains to which a module subscribes.
    pub fn chains(module: &Module) -> Vec<ChainId> {
        let mut chains: Vec<_> = topics(module).into_iter().map(|topic| topic.chain_id).collect();
        chains.dedup();
        chains
    }

    /// Sets a key of the trial's state, or removes it. For a key that the trial did not know.
    ///
    /// # Errors
    ///
    /// Fails if the store is not usable.
    pub fn correct(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), TrialError> {
        let row = rows::state(self.id, key);
        let old = self.store.view()?.get(&row)?;
        let size = |value: &[u8]| (key.len() + value.len()) as u64;
        let mut batch = Batch::default();
        batch.put(row, value.map(<[u8]>::to_vec));
        self.store.write(&batch)?;
        self.usage = self.usage.after(old.as_deref().map(size), value.map(size));
        Ok(())
    }

    /// The filters of the logs that the blocks need.
    pub fn filters(&self) -> Arc<[LogFilter]> {
        self.topics.iter().flat_map(|(_, set)| set.filters()).cloned().collect()
    }

    /// Handles the events of a block, in the order of a runner. A subscription without `from_block` begins before the
    /// first block. An event of `earlier` gets these answers to its reads, as far as it makes the same calls.
    ///
    /// # Errors
    ///
    /// Fails if the store is not usable.
    pub async fn handle(
        &mut self,
        block: &Arc<Advance>,
        earlier: &BTreeMap<String, Answers>,
    ) -> Result<Vec<Tried>, TrialError> {
        let (position, number) = (block.position, block.position.number);
        let mut events = Vec::new();
        for (topic, subscriptions) in &self.topics {
            let id = |kind| EventId {
                topic: (*topic).into(),
                position,
                kind,
            };
            let logs = subscriptions.pick_unrouted(block, 0);
            if !logs.is_empty() {
                events.push((id(EventKind::Logs), Event::Logs(logs)));
            }
            // The block counts as the newest one, as it was then.
            if subscriptions.wants_block(number, 0, || Some(number)) {
                events.extend(block.block_event().map(|event| (id(EventKind::Block), event.clone())));
            }
        }
        let now_ms = block.timestamp_ms().unwrap_or_default();
        let mut tried = Vec::new();
        for (id, event) in events {
            if self.instance.is_none() {
                let started = self.start(id, now_ms).await?;
                let failed = started.outcome.is_err();
                tried.push(started);
                if failed {
                    continue;
                }
            }
            tried.extend(self.on_event(id, &event, now_ms, earlier.get(&id.to_string())).await?);
        }
        Ok(tried)
    }

    /// Creates an instance before this event.
    async fn start(&mut self, before: EventId, now_ms: u64) -> Result<Tried, TrialError> {
        self.moment.set(now_ms, format!("init {before}"));
        self.calls.open(self.chain_id, before.position, Recorded::new());
        let (store, calls) = (self.store.clone(), self.calls.clone());
        let started = Instance::start_trial(&self.module, self.id, store, self.context(None), calls).await;
        let (instance, changes) = match started {
            Ok((instance, changes)) => (Some(Box::new(instance)), Ok(changes)),
            Err(failure) => (None, Err(failure)),
        };
        self.instance = instance;
        self.conclude(Handler::Init, before.position, changes, StateOf::TheTrial)
    }

    /// Handles an event with the instance. `None` without one.
    async fn on_event(
        &mut self,
        id: EventId,
        event: &Event,
        now_ms: u64,
        earlier: Option<&Answers>,
    ) -> Result<Option<Tried>, TrialError> {
        self.moment.set(now_ms, id.to_string());
        let recorded = self.recorded.remove(&id.to_string()).unwrap_or_default();
        self.calls.open(self.chain_id, id.position, recorded);
        let transcript = earlier.map_or_else(|| Stored::none(id), |answers| answers.0.clone());
        let context = self.context(Some(transcript));
        let Some(instance) = &mut self.instance else {
            return Ok(None);
        };
        let result = instance.on_event(id, event, context, &mut NoEffects).await;
        Ok(Some(self.handled(id, result, StateOf::TheTrial).await?))
    }

    /// Ends the handler call of an event. An instance whose handler failed is discarded.
    async fn handled(
        &mut self,
        id: EventId,
        result: Result<Changes, Failure>,
        state: StateOf,
    ) -> Result<Tried, TrialError> {
        if let (Err(_), Some(instance)) = (&result, &mut self.instance) {
            instance.effects();
        }
        let tried = self.conclude(Handler::OnEvent(id), id.position, result, state)?;
        if tried.outcome.is_err()
            && let Some(instance) = self.instance.take()
        {
            instance.discard().await;
        }
        Ok(tried)
    }

    fn context(&self, transcript: Option<Stored>) -> HandlerContext {
        HandlerContext {
            usage: self.usage,
            effects: EarlierEffects {
                transcript,
                ..EarlierEffects::default()
            },
            ..HandlerContext::default()
        }
    }

    /// Ends a handler call. Its changes go into the store, unless the call saw the state of a record.
    fn conclude(
        &mut self,
        handler: Handler,
        block: Position,
        result: Result<Changes, Failure>,
        state: StateOf,
    ) -> Result<Tried, TrialError> {
        let used = self
            .instance
            .as_ref()
            .map(|instance| (instance.used(), instance.took()));
        let (fuel, took) = used.map_or_else(Default::default, |(used, took)| (used[Limit::Fuel], took));
        let tape = self.instance.as_mut().and_then(|instance| instance.take_tape());
        let mut writes = BTreeMap::new();
        let outcome = match result {
            Ok(changes) => {
                let mut batch = Batch::default();
                for (key, Change { new, .. }) in changes.keys {
                    batch.put(rows::state(self.id, &key), new.clone());
                    writes.insert(key, new);
                }
                if state == StateOf::TheTrial {
                    self.store.write(&batch)?;
                    self.usage = changes.usage;
                }
                Ok(())
            }
            Err(failure) => Err(failure),
        };
        Ok(Tried {
            handler,
            block,
            outcome,
            fuel,
            took,
            writes,
            absent: tape.map(Tape::absent).unwrap_or_default(),
            calls: self.calls.close(),
            records: self.module.meta.recorder.take_records(),
        })
    }
}
