//! One running instance of a module. It calls into the guest within the module's limits, and
//! reports the result of each call.
//!
//! Invariant: nexum discards an instance after any failure. A trap leaves the wasmtime store
//! unusable, and an instance whose event was rolled back would remember data that the state store
//! has dropped.

use std::sync::Arc;
use std::time::Duration;

use nexum_config::limits::{Limit, LimitUsage};
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
use crate::capability::grant::Grant;
use crate::capability::module_meta::ModuleMeta;
use crate::engine::fair_scheduler::FairScheduler;
use crate::event::{Event, EventId, Handler, RequestId};
use crate::state::scope::EventScope;
use crate::state::{Changes, ModuleId};
use crate::store::StateStore;

/// A wasmtime store with a guest, ready for the next call.
pub(crate) struct Instance {
    store: Store<HostState>,
    /// Boxed, because it is large and a runner moves its instance.
    exports: Box<Exports>,
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
            exports: Box::new(exports),
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
        let call = async |store: &mut Store<HostState>, exports: &Exports| exports.on_event(store, id, event).await;
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
