//! One running instance of a module. It calls into the guest within the module's limits, and
//! reports the result of each call.
//!
//! Invariant: nexum discards an instance after any failure. A trap leaves the wasmtime store
//! unusable, and an instance whose event was rolled back would remember data that the state store
//! has dropped.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::limits::{Limit, LimitUsage};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wasmtime::Store;
use wasmtime::component::Resource;

use super::call::{HandlerContext, Stop, close, conclude, discard, hold, open, used, within_deadline};
use super::exports::{Exports, ExportsPre, missing};
use super::failure::Failure;
use super::loader::Module;
use super::query::QueryModule;
use crate::bindings::functions::CallContext;
use crate::bindings::functions::nexum::functions::context::Caller;
use crate::bindings::nexum::host::types::HostError;
use crate::capability::HostState;
use crate::engine::fair_scheduler::FairScheduler;
use crate::event::{Event, EventId, Handler, RequestId};
use crate::state::scope::EventScope;
use crate::state::scope::journal::tape::Tape;
use crate::state::scope::journal::trial::TrialCalls;
use crate::state::scope::journal::{Intent, Journal};
use crate::state::{Changes, Effect, EffectChanges, ModuleId, Part};
use crate::store::{Batch, StateStore, StoreError};

/// A wasmtime store with a guest, ready for the next call.
pub(crate) struct Instance {
    store: Store<HostState>,
    /// Boxed, because it is large and a runner moves its instance.
    exports: Box<Exports>,
    scheduler: FairScheduler,
    /// The intents of the handler's effects.
    intents: Intents,
}

/// The intents of an instance's effects. `None` for one that has no effects.
type Intents = Option<mpsc::Receiver<Intent>>;

/// The runner's part of a handler's effects.
pub(crate) trait CommitIntents: Send {
    /// Makes an intent durable, with all earlier changes of the module. Returns whether that succeeded.
    fn commit(
        &mut self,
        effects: Vec<Effect>,
        rows: Batch,
        transcript: Option<Part>,
    ) -> impl Future<Output = bool> + Send;
}

/// For instances that have no effects.
pub(crate) struct NoEffects;

impl CommitIntents for NoEffects {
    async fn commit(&mut self, _effects: Vec<Effect>, _rows: Batch, _transcript: Option<Part>) -> bool {
        false
    }
}

/// A call of a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FunctionCall<'a> {
    /// The number of the call.
    pub(crate) request: RequestId,
    /// The function. `None` for the module's default function.
    pub(crate) name: Option<&'a str>,
    /// The arguments as JSON.
    pub(crate) args: &'a str,
    pub(crate) caller: &'a Caller,
}

impl Instance {
    /// Creates an instance and calls its `init`. Also returns the changes that `init` made.
    pub(crate) async fn start(
        module: &Module,
        id: ModuleId,
        state: Arc<dyn StateStore>,
        context: HandlerContext,
        commit: &mut impl CommitIntents,
    ) -> Result<(Self, Changes), Failure> {
        let (journal, intents) = Journal::with_runner(state.clone());
        Self::start_with(module, (id, state), context, (journal, Some(intents)), commit).await
    }

    /// Creates an instance whose calls have no effects, and calls its `init`. Also returns the changes that
    /// `init` made.
    pub(crate) async fn start_trial(
        module: &Module,
        id: ModuleId,
        state: Arc<dyn StateStore>,
        context: HandlerContext,
        trial: Arc<TrialCalls>,
    ) -> Result<(Self, Changes), Failure> {
        let journal = Journal::in_trial(state.clone(), trial);
        Self::start_with(module, (id, state), context, (journal, None), &mut NoEffects).await
    }

    async fn start_with(
        module: &Module,
        (id, state): (ModuleId, Arc<dyn StateStore>),
        context: HandlerContext,
        (journal, mut intents): (Journal, Intents),
        commit: &mut impl CommitIntents,
    ) -> Result<(Self, Changes), Failure> {
        let scope = EventScope::new(id, state, module.meta.limits).with_effects(journal);
        let mut store = hold(
            module.exports.engine(),
            &module.scheduler,
            &module.meta,
            &module.grant,
            scope,
        )?;
        let exports = begin(
            &mut store,
            &module.exports,
            &module.scheduler,
            context,
            (&mut intents, commit),
        )
        .await;
        let mut instance = Self::of(store, exports, &module.scheduler, intents).await?;
        let changes = close(&mut instance.store);
        Ok((instance, changes))
    }

    /// Creates an instance for queries and read-only functions, and calls its `init`. Neither `init`
    /// nor a later call can change the module's state, or have an effect.
    pub(crate) async fn start_query(
        module: &QueryModule,
        id: ModuleId,
        state: Arc<dyn StateStore>,
    ) -> Result<Self, Failure> {
        let scope = EventScope::new(id, state, module.meta.limits).read_only(module.reads.clone());
        // Other instances of the module can run concurrently.
        let meta = Arc::new(module.meta.for_concurrent_instance());
        let mut store = hold(module.exports.engine(), &module.scheduler, &meta, &module.grant, scope)?;
        let context = HandlerContext::default();
        let none = (&mut None, &mut NoEffects);
        let exports = begin(&mut store, &module.exports, &module.scheduler, context, none).await;
        let mut instance = Self::of(store, exports, &module.scheduler, None).await?;
        close(&mut instance.store);
        Ok(instance)
    }

    /// The instance of a guest whose `init` returned ok. Frees the guest after a failure.
    async fn of(
        store: Store<HostState>,
        exports: Result<Exports, Failure>,
        scheduler: &FairScheduler,
        intents: Intents,
    ) -> Result<Self, Failure> {
        match exports {
            Ok(exports) => Ok(Self {
                store,
                exports: Box::new(exports),
                scheduler: scheduler.clone(),
                intents,
            }),
            Err(failure) => {
                discard(store).await;
                Err(failure)
            }
        }
    }

    /// Calls the handler with an event and returns the changes that it made. The caller must drop
    /// the instance after an error.
    pub(crate) async fn on_event(
        &mut self,
        id: EventId,
        event: &Event,
        context: HandlerContext,
        commit: &mut impl CommitIntents,
    ) -> Result<Changes, Failure> {
        let call = async |store: &mut Store<HostState>, exports: &Exports| exports.on_event(store, id, event).await;
        let handler = Handler::OnEvent(id);
        let ((), changes) = self.call(handler, Instant::now(), context, commit, call).await?;
        Ok(changes)
    }

    /// The remains of a failed handler call: the changes of the records of its effects.
    pub(crate) fn effects(&mut self) -> Option<Box<EffectChanges>> {
        self.store.data_mut().scope.close_failed()
    }

    /// Takes what the last handler call saw and asked for. `None` if it was not recorded.
    pub(crate) fn take_tape(&mut self) -> Option<Tape> {
        self.store.data().scope.journal().take_tape()
    }

    /// The seed of WASI. `None` for a module without WASI.
    pub(crate) fn wasi_seed(&self) -> Option<[u8; 16]> {
        self.store.data().wasi_seed()
    }

    /// Calls the handler with a question and returns the answer. The caller must drop the instance
    /// after an error.
    pub(crate) async fn evaluate(&mut self, id: RequestId, now: Instant, input: &[u8]) -> Result<Vec<u8>, Failure> {
        let call = async |store: &mut Store<HostState>, exports: &Exports| match &exports.queries {
            Some(exports) => exports.call_evaluate(store, input).await,
            None => Err(missing("evaluate")),
        };
        let context = HandlerContext::default();
        let handler = Handler::Evaluate(id);
        let (answer, _) = self.call(handler, now, context, &mut NoEffects, call).await?;
        Ok(answer)
    }

    /// Calls a function. Returns its result, and the changes that it made. The caller must drop the
    /// instance after an error.
    pub(crate) async fn invoke(
        &mut self,
        call: FunctionCall<'_>,
        now: Instant,
        context: HandlerContext,
        commit: &mut impl CommitIntents,
    ) -> Result<(String, Changes), Failure> {
        let handler = Handler::Invoke(call.request);
        let lent = CallContext {
            caller: call.caller.clone(),
            request_id: call.request.to_string(),
        };
        let lent = self.store.data_mut().table.push(lent);
        let lent = lent.map_err(|error| Failure::Trap(error.to_string()))?;
        let invoke = async |store: &mut Store<HostState>, exports: &Exports| match &exports.functions {
            Some(exports) => {
                let borrowed = Resource::new_borrow(lent.rep());
                exports.call_invoke(store, call.name, call.args, borrowed).await
            }
            None => Err(missing("invoke")),
        };
        let invoked = self.call(handler, now, context, commit, invoke).await?;
        // A guest that keeps the handle has trapped at its return. Without the entry, no later call
        // finds this one's context.
        let returned = self.store.data_mut().table.delete(lent);
        returned.map_err(|error| Failure::Trap(error.to_string()))?;
        Ok(invoked)
    }

    /// Calls an export within the module's limits. Returns its result, and the changes that it made.
    async fn call<T>(
        &mut self,
        handler: Handler,
        now: Instant,
        context: HandlerContext,
        commit: &mut impl CommitIntents,
        call: impl AsyncFnOnce(&mut Store<HostState>, &Exports) -> wasmtime::Result<Result<T, HostError>>,
    ) -> Result<(T, Changes), Failure> {
        let Self {
            store,
            exports,
            scheduler,
            intents,
        } = self;
        open(store, handler, now, context)?;
        let journal = store.data().scope.journal().clone();
        let called = within_deadline(store, scheduler, async |store| call(store, exports).await);
        let called = committing(&journal, intents, commit, called).await;
        let called = called.unwrap_or_else(|| Err(interrupted(store)));
        let result = conclude(store, handler, called)?.map_err(Failure::returned)?;
        Ok((result, close(store)))
    }

    /// The size of all linear memories of the guest, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.store.data().limiter.used(Limit::Memory)
    }

    /// Frees the instance's place in the pool and its memory.
    pub(crate) async fn discard(self) {
        discard(self.store).await;
    }

    /// The start of the last handler call.
    pub(crate) fn began(&self) -> Instant {
        self.store.data().scope.began()
    }

    /// The duration of the last handler call.
    pub(crate) fn took(&self) -> Duration {
        self.store.data().scope.elapsed()
    }

    /// The last handler call's use of each limit.
    pub(crate) fn used(&self) -> LimitUsage {
        used(&self.store)
    }
}

/// Calls the `init` of a guest, whose transaction stays open.
async fn begin(
    store: &mut Store<HostState>,
    exports: &ExportsPre,
    scheduler: &FairScheduler,
    context: HandlerContext,
    (intents, commit): (&mut Intents, &mut impl CommitIntents),
) -> Result<Exports, Failure> {
    open(store, Handler::Init, Instant::now(), context)?;
    let journal = store.data().scope.journal().clone();
    let meta = store.data().meta.clone();
    let started = within_deadline(store, scheduler, async |store| exports.start(store, &meta.config).await);
    let started = committing(&journal, intents, commit, started).await;
    let started = started.unwrap_or_else(|| Err(interrupted(store)));
    let (exports, result) = conclude(store, Handler::Init, started)?;
    result.map_err(Failure::returned)?;
    Ok(exports)
}

/// Runs a call, and makes the intents of its effects durable. Returns `None` if a commit fails: the call then
/// ends at once.
async fn committing<T>(
    journal: &Journal,
    intents: &mut Intents,
    commit: &mut impl CommitIntents,
    call: impl Future<Output = T>,
) -> Option<T> {
    let mut call = pin!(call);
    let Some(intents) = intents else {
        return Some(call.await);
    };
    loop {
        tokio::select! {
            biased;
            result = &mut call => return Some(result),
            Some(intent) = intents.recv() => {
                let Intent { effects, rows, transcript, call, done } = intent;
                // A task that outlived an earlier call learns that its intent has no record.
                if call != journal.call() {
                    continue;
                }
                if !commit.commit(effects, rows, transcript).await {
                    return None;
                }
                // The host function may have been cancelled.
                let _ = done.send(());
            }
        }
    }
}

/// Ends a call whose intent did not become durable. Its runner knows the reason.
fn interrupted(store: &mut Store<HostState>) -> Stop {
    let host = store.data_mut();
    let now = Instant::now();
    host.scope.end(now);
    host.meta.activity.close(now);
    let reason = "the commit of an effect's intent failed".into();
    Stop::Error(StoreError::Backend(reason).into())
}
