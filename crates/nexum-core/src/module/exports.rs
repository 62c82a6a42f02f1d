//! The exports of a component that nexum calls.

use nexum_config::component::ModuleKind;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::trigger;
use crate::bindings::functions::{Functions, FunctionsIndices};
use crate::bindings::nexum::host::types::{Config, HostError};
use crate::bindings::query::{Query, QueryIndices};
use crate::bindings::trigger::{TriggerModule, TriggerModuleIndices};
use crate::bindings::{Module, ModuleIndices};
use crate::capability::HostState;
use crate::event::{Event, EventId};

/// A linked component, with the places of its exports.
pub(crate) struct ExportsPre {
    pre: InstancePre<HostState>,
    events: Option<EventIndices>,
    queries: Option<QueryIndices>,
    functions: Option<FunctionsIndices>,
}

/// The exports of an instance. At least one is there.
pub(crate) struct Exports {
    events: Option<EventExports>,
    pub(super) queries: Option<Query>,
    pub(super) functions: Option<Functions>,
}

/// The exports of a part that handles events.
enum EventExports {
    OnEvent(Module),
    OnTrigger(TriggerModule),
}

/// The places of [`EventExports`].
enum EventIndices {
    OnEvent(ModuleIndices),
    OnTrigger(TriggerModuleIndices),
}

impl EventIndices {
    fn new(pre: &InstancePre<HostState>, kind: ModuleKind) -> wasmtime::Result<Self> {
        match kind.takes_triggers {
            true => TriggerModuleIndices::new(pre).map(Self::OnTrigger),
            false => ModuleIndices::new(pre).map(Self::OnEvent),
        }
    }

    fn load(&self, store: &mut Store<HostState>, instance: &Instance) -> wasmtime::Result<EventExports> {
        match self {
            Self::OnEvent(found) => found.load(store, instance).map(EventExports::OnEvent),
            Self::OnTrigger(found) => found.load(store, instance).map(EventExports::OnTrigger),
        }
    }
}

impl ExportsPre {
    /// Finds the exports of a component of this kind.
    ///
    /// # Errors
    ///
    /// Fails if the type of an export differs from the contract.
    pub(super) fn new(pre: InstancePre<HostState>, kind: ModuleKind) -> wasmtime::Result<Self> {
        let events = kind.handles_events.then(|| EventIndices::new(&pre, kind));
        let queries = kind.answers_queries.then(|| QueryIndices::new(&pre));
        let functions = kind.has_functions.then(|| FunctionsIndices::new(&pre));
        Ok(Self {
            events: events.transpose()?,
            queries: queries.transpose()?,
            functions: functions.transpose()?,
            pre,
        })
    }

    pub(super) fn engine(&self) -> &wasmtime::Engine {
        self.pre.engine()
    }

    /// Whether there is `evaluate`.
    pub(crate) fn answers_queries(&self) -> bool {
        self.queries.is_some()
    }

    /// Creates an instance and calls its `init`.
    pub(super) async fn start(
        &self,
        store: &mut Store<HostState>,
        config: &Config,
    ) -> wasmtime::Result<(Exports, Result<(), HostError>)> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let events = self.events.as_ref().map(|found| found.load(&mut *store, &instance));
        let queries = self.queries.as_ref().map(|found| found.load(&mut *store, &instance));
        let functions = self.functions.as_ref().map(|found| found.load(&mut *store, &instance));
        let exports = Exports {
            events: events.transpose()?,
            queries: queries.transpose()?,
            functions: functions.transpose()?,
        };
        let result = exports.init(store, config).await?;
        Ok((exports, result))
    }
}

impl Exports {
    async fn init(&self, store: &mut Store<HostState>, config: &Config) -> wasmtime::Result<Result<(), HostError>> {
        match (&self.events, &self.queries, &self.functions) {
            (Some(EventExports::OnEvent(exports)), ..) => exports.call_init(store, config).await,
            (Some(EventExports::OnTrigger(exports)), ..) => trigger::init(exports, store, config).await,
            (_, Some(exports), _) => exports.call_init(store, config).await,
            (.., Some(exports)) => exports.call_init(store, config).await,
            (None, None, None) => Ok(Ok(())),
        }
    }

    /// Delivers an event.
    pub(super) async fn on_event(
        &self,
        store: &mut Store<HostState>,
        id: EventId,
        event: &Event,
    ) -> wasmtime::Result<Result<(), HostError>> {
        match &self.events {
            Some(EventExports::OnEvent(exports)) => exports.call_on_event(store, event).await,
            // Boxed, so that the calls of other modules stay small.
            Some(EventExports::OnTrigger(exports)) => Box::pin(trigger::on_event(exports, store, id, event)).await,
            None => Err(missing("on-event")),
        }
    }
}

/// The error of a call to an export that the component does not have. The loader gives a part of a
/// module only the calls that its component has.
pub(super) fn missing(export: &str) -> wasmtime::Error {
    wasmtime::format_err!("the component does not export `{export}`")
}
