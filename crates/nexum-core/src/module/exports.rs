//! The exports of a component that nexum calls.

use nexum_config::component::ModuleKind;
use wasmtime::Store;
use wasmtime::component::InstancePre;

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
    events: Option<ModuleIndices>,
    triggers: Option<TriggerModuleIndices>,
    queries: Option<QueryIndices>,
    functions: Option<FunctionsIndices>,
}

/// The exports of an instance. At least one is there.
pub(crate) struct Exports {
    events: Option<Module>,
    triggers: Option<TriggerModule>,
    pub(super) queries: Option<Query>,
    pub(super) functions: Option<Functions>,
}

impl ExportsPre {
    /// Finds the exports of a component of this kind.
    ///
    /// # Errors
    ///
    /// Fails if the type of an export differs from the contract.
    pub(super) fn new(pre: InstancePre<HostState>, kind: ModuleKind) -> wasmtime::Result<Self> {
        let events = (kind.handles_events && !kind.takes_triggers).then(|| ModuleIndices::new(&pre));
        let triggers = kind.takes_triggers.then(|| TriggerModuleIndices::new(&pre));
        let queries = kind.answers_queries.then(|| QueryIndices::new(&pre));
        let functions = kind.has_functions.then(|| FunctionsIndices::new(&pre));
        Ok(Self {
            events: events.transpose()?,
            triggers: triggers.transpose()?,
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
        let triggers = self.triggers.as_ref().map(|found| found.load(&mut *store, &instance));
        let queries = self.queries.as_ref().map(|found| found.load(&mut *store, &instance));
        let functions = self.functions.as_ref().map(|found| found.load(&mut *store, &instance));
        let exports = Exports {
            events: events.transpose()?,
            triggers: triggers.transpose()?,
            queries: queries.transpose()?,
            functions: functions.transpose()?,
        };
        let result = exports.init(store, config).await?;
        Ok((exports, result))
    }
}

impl Exports {
    async fn init(&self, store: &mut Store<HostState>, config: &Config) -> wasmtime::Result<Result<(), HostError>> {
        if let Some(exports) = &self.triggers {
            return trigger::init(exports, store, config).await;
        }
        match (&self.events, &self.queries, &self.functions) {
            (Some(exports), ..) => exports.call_init(store, config).await,
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
        match (&self.events, &self.triggers) {
            (Some(exports), _) => exports.call_on_event(store, event).await,
            // Boxed, so that the calls of other modules stay small.
            (None, Some(exports)) => Box::pin(trigger::on_event(exports, store, id, event)).await,
            (None, None) => Err(missing("on-event")),
        }
    }
}

/// The error of a call to an export that the component does not have. The loader gives a part of a
/// module only the calls that its component has.
pub(super) fn missing(export: &str) -> wasmtime::Error {
    wasmtime::format_err!("the component does not export `{export}`")
}
