//! One running instance of a module. It calls into the guest within the module's limits, and
//! reports the result of each call.
//!
//! Invariant: nexum discards an instance after any failure. A trap leaves the wasmtime store
//! unusable, and an instance whose event was rolled back would remember data that the state store
//! has dropped.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::causes::Causes;
use nexum_config::engine::Metering;
use nexum_config::limits::{Limit, LimitUsage};
use tokio::time::Instant;
use wasmtime::component::Resource;
use wasmtime::{Store, Trap, UpdateDeadline};

use super::exports::{Exports, ExportsPre, missing};
use super::failure::{Failure, describe};
use super::loader::Module;
use super::query::QueryModule;
use crate::bindings::functions::CallContext;
use crate::bindings::functions::nexum::functions::context::Caller;
use crate::bindings::nexum::host::types::HostError;
use crate::capability::HostState;
use crate::capability::grant::Grant;
use crate::capability::module_meta::ModuleMeta;
use crate::engine::fair_scheduler::FairScheduler;
use crate::engine::limiter::LimitExceeded;
use crate::event::{Event, EventId, Handler, RequestId};
use crate::state::scope::{BudgetExhausted, EventScope, Pending};
use crate::state::{Change, Changes, DeadLetter, ModuleId, Usage};
use crate::store::{StateStore, StoreError};

/// A wasmtime store with a guest, ready for the next call.
pub(crate) struct Instance {
    store: Store<HostState>,
    exports: Exports,
    scheduler: FairScheduler,
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

/// The situation before a handler runs: the module's usage, and the changes that are not yet in the
/// store.
#[derive(Clone, Debug, Default)]
pub(crate) struct HandlerContext {
    pub(crate) usage: Usage,
    /// Bytes of the module's dead letters.
    pub(crate) letter_bytes: u64,
    pub(crate) pending: Option<Arc<Pending>>,
    /// The number of failed attempts so far.
    pub(crate) failures: u32,
}

impl HandlerContext {
    /// Changes that only add, remove or replace a dead letter.
    pub(crate) fn with_letter(&self, id: EventId, old: Option<&DeadLetter>, new: Option<&DeadLetter>) -> Changes {
        let change = Change {
            old: old.map(DeadLetter::encode),
            new: new.map(DeadLetter::encode),
        };
        Changes {
            dead_letters: vec![(id, change)],
            usage: self.usage,
            ..Changes::default()
        }
    }
}

impl Instance {
    /// Creates an instance and calls its `init`. Also returns the changes that `init` made.
    pub(crate) async fn start(
        module: &Module,
        id: ModuleId,
        state: Arc<dyn StateStore>,
        context: HandlerContext,
    ) -> Result<(Self, Changes), Failure> {
        let scope = EventScope::new(id, state, module.meta.limits);
        let mut instance = Self::begin(
            &module.exports,
            &module.scheduler,
            &module.meta,
            &module.grant,
            scope,
            context,
        )
        .await?;
        let changes = close(&mut instance.store);
        Ok((instance, changes))
    }

    /// Creates an instance for queries and read-only functions, and calls its `init`. Neither `init`
    /// nor a later call can change the module's state.
    pub(crate) async fn start_query(
        module: &QueryModule,
        id: ModuleId,
        state: Arc<dyn StateStore>,
    ) -> Result<Self, Failure> {
        let scope = EventScope::new(id, state, module.meta.limits).read_only(module.reads.clone());
        // Other instances of the module can run concurrently.
        let meta = Arc::new(module.meta.for_concurrent_instance());
        let context = HandlerContext::default();
        let mut instance =
            Self::begin(&module.exports, &module.scheduler, &meta, &module.grant, scope, context).await?;
        close(&mut instance.store);
        Ok(instance)
    }

    /// Creates an instance and calls its `init`, whose transaction stays open.
    async fn begin(
        exports: &ExportsPre,
        scheduler: &FairScheduler,
        meta: &Arc<ModuleMeta>,
        grant: &Grant,
        scope: EventScope,
        context: HandlerContext,
    ) -> Result<Self, Failure> {
        let mut store = hold(exports.engine(), scheduler, meta, grant, scope)?;
        open(&mut store, Handler::Init, Instant::now(), context)?;
        let started = within_deadline(&mut store, scheduler, async |store| {
            exports.start(store, &meta.config).await
        })
        .await;
        let (store, exports) = started_by(store, started).await?;
        let scheduler = scheduler.clone();
        Ok(Self {
            store,
            exports,
            scheduler,
        })
    }

    /// Calls the handler with an event and returns the changes that it made. The caller must drop
    /// the instance after an error.
    pub(crate) async fn on_event(
        &mut self,
        id: EventId,
        event: &Event,
        context: HandlerContext,
    ) -> Result<Changes, Failure> {
        let call = async |store: &mut Store<HostState>, exports: &Exports| match &exports.events {
            Some(exports) => exports.call_on_event(store, event).await,
            None => Err(missing("on-event")),
        };
        let ((), changes) = self.call(Handler::OnEvent(id), Instant::now(), context, call).await?;
        Ok(changes)
    }

    /// Calls the handler with a question and returns the answer. The caller must drop the instance
    /// after an error.
    pub(crate) async fn evaluate(&mut self, id: RequestId, now: Instant, input: &[u8]) -> Result<Vec<u8>, Failure> {
        let call = async |store: &mut Store<HostState>, exports: &Exports| match &exports.queries {
            Some(exports) => exports.call_evaluate(store, input).await,
            None => Err(missing("evaluate")),
        };
        let context = HandlerContext::default();
        let (answer, _) = self.call(Handler::Evaluate(id), now, context, call).await?;
        Ok(answer)
    }

    /// Calls a function. Returns its result, and the changes that it made. The caller must drop the
    /// instance after an error.
    pub(crate) async fn invoke(
        &mut self,
        call: FunctionCall<'_>,
        now: Instant,
        context: HandlerContext,
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
        let invoked = self.call(handler, now, context, invoke).await?;
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
        call: impl AsyncFnOnce(&mut Store<HostState>, &Exports) -> wasmtime::Result<Result<T, HostError>>,
    ) -> Result<(T, Changes), Failure> {
        let Self {
            store,
            exports,
            scheduler,
        } = self;
        open(store, handler, now, context)?;
        let called = within_deadline(store, scheduler, async |store| call(store, exports).await).await;
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

/// Frees a guest. This takes milliseconds for a large memory, so it runs on a thread that no other
/// task waits for.
pub(super) async fn discard(store: Store<HostState>) {
    // A panic of this thread frees the guest as well.
    let _ = tokio::task::spawn_blocking(move || drop(store)).await;
}

/// Creates a wasmtime store for a guest, within the module's limits.
pub(super) fn hold(
    engine: &wasmtime::Engine,
    scheduler: &FairScheduler,
    meta: &Arc<ModuleMeta>,
    grant: &Grant,
    scope: EventScope,
) -> Result<Store<HostState>, Failure> {
    let slots = grant.slots(meta).map_err(|(capability, error)| Failure::Prepare {
        capability,
        reason: error.to_string(),
    })?;
    let mut store = Store::new(engine, HostState::new(meta.clone(), scope, slots));
    store.limiter(|host| &mut host.limiter);
    // A guest that still computes at the end of its slice yields to others, and then continues.
    let scheduler = scheduler.clone();
    store.epoch_deadline_callback(move |mut context| {
        scheduler.has_computed();
        context.data_mut().spend_wasi_work()?;
        Ok(UpdateDeadline::Yield(1))
    });
    Ok(store)
}

/// Returns a guest whose `init` returned ok, with its exports. Frees the guest after a failure.
async fn started_by(
    mut store: Store<HostState>,
    started: Result<(Exports, Result<(), HostError>), Stop>,
) -> Result<(Store<HostState>, Exports), Failure> {
    let concluded = conclude(&mut store, Handler::Init, started);
    match concluded.and_then(|(exports, result)| result.map(|()| exports).map_err(Failure::returned)) {
        Ok(exports) => Ok((store, exports)),
        Err(failure) => {
            discard(store).await;
            Err(failure)
        }
    }
}

/// Starts a handler call now: its transaction, log allowance, fuel and first slice.
pub(super) fn open(
    store: &mut Store<HostState>,
    handler: Handler,
    now: Instant,
    context: HandlerContext,
) -> Result<(), Failure> {
    let host = store.data_mut();
    let attempt = context.failures.saturating_add(1);
    host.scope.open(handler, now, attempt, context.usage, context.pending);
    host.scope.reserve(context.letter_bytes);
    host.meta.recorder.open(handler);
    if host.meta.metering == Metering::Fuel {
        let fuel = host.meta.limits[Limit::Fuel];
        store.set_fuel(fuel).map_err(|error| Failure::Trap(error.to_string()))?;
    }
    store.set_epoch_deadline(1);
    Ok(())
}

/// Ends a handler call that returned ok.
fn close(store: &mut Store<HostState>) -> Changes {
    store.data_mut().scope.close()
}

/// The end of a failed call into a guest, before the reason is known.
pub(super) enum Stop {
    Deadline,
    Error(wasmtime::Error),
}

/// Runs a call within the deadline. An epoch cannot end a guest that waits in a host call, but the
/// wall clock can.
pub(super) async fn within_deadline<T>(
    store: &mut Store<HostState>,
    scheduler: &FairScheduler,
    call: impl AsyncFnOnce(&mut Store<HostState>) -> wasmtime::Result<T>,
) -> Result<T, Stop> {
    let deadline = store.data().scope.deadline();
    let (handler, began) = (store.data().scope.handler(), store.data().scope.began());
    let called = {
        // The call is pinned here, because each step on its way to the scheduler would otherwise
        // copy it.
        let call = pin!(call(store));
        tokio::time::timeout_at(deadline, scheduler.run(handler, began, call)).await
    };
    let (result, ended) = match called {
        Ok((result, ended)) => (result.map_err(Stop::Error), ended),
        Err(_) => (Err(Stop::Deadline), Instant::now()),
    };
    store.data_mut().scope.end(ended);
    result
}

/// The use of each limit by the current handler call of a store.
fn used(store: &Store<HostState>) -> LimitUsage {
    let host = store.data();
    let limits = &host.meta.limits;
    let mut used = *host.scope.used();
    if let Ok(left) = store.get_fuel() {
        used.add(Limit::Fuel, limits[Limit::Fuel].saturating_sub(left));
    }
    let elapsed_ms = host.scope.elapsed().as_millis();
    used.set(Limit::Deadline, u64::try_from(elapsed_ms).unwrap_or(u64::MAX));
    let state = host.scope.usage();
    used.set(Limit::StateBytes, state.bytes);
    used.set(Limit::StateKeys, state.keys);
    for held in [Limit::Memory, Limit::TableElements] {
        used.set(held, host.limiter.used(held));
    }
    used
}

/// Turns the end of a call into its result or the reason of its failure, with the first exceeded
/// limit.
pub(super) fn conclude<T>(
    store: &mut Store<HostState>,
    handler: Handler,
    called: Result<T, Stop>,
) -> Result<T, Failure> {
    let refused = store.data_mut().limiter.take_refused();
    let host = store.data();
    host.meta.recorder.close();
    let exceeded = |limit: Limit, used: u64| LimitExceeded {
        limit,
        bound: host.meta.limits[limit],
        used,
        module: host.meta.name.clone(),
        handler,
        attempt: host.scope.attempt(),
    };
    match called {
        Ok(value) => {
            if let Some((limit, used)) = refused {
                tracing::warn!(
                    target: "nexum::event",
                    module = host.meta.name.as_str(),
                    limit = limit.name(),
                    bound = host.meta.limits[limit],
                    used,
                    "the limit refused a request of {handler}, which continued without it"
                );
            }
            Ok(value)
        }
        Err(Stop::Deadline) => {
            let (limit, used) = refused.unwrap_or_else(|| (Limit::Deadline, used(store)[Limit::Deadline]));
            Err(Failure::Limit(exceeded(limit, used)))
        }
        Err(Stop::Error(error)) => {
            let out_of_fuel = matches!(error.downcast_ref::<Trap>(), Some(Trap::OutOfFuel));
            let exhausted = error
                .downcast_ref::<BudgetExhausted>()
                .map(|BudgetExhausted(limit)| *limit);
            let spent = exhausted.or(out_of_fuel.then_some(Limit::Fuel));
            match refused.or_else(|| spent.map(|limit| (limit, used(store)[limit]))) {
                Some((limit, used)) => Err(Failure::Limit(exceeded(limit, used))),
                None => Err(match error.downcast_ref::<StoreError>() {
                    // The guest's backtrace does not help: the store failed, not the guest.
                    Some(error) => Failure::Store(Causes(error).to_string()),
                    None => Failure::Trap(describe(&error)),
                }),
            }
        }
    }
}
