//! The exports of a component that nexum calls.

use nexum_config::component::ModuleKind;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::bindings::functions::{Functions, FunctionsIndices};
use crate::bindings::nexum::host::types::{Config, HostError};
use crate::bindings::query::{Query, QueryIndices};
use crate::bindings::{Module, ModuleIndices};
use crate::capability::HostState;

/// A linked component, with the places of its exports.
pub(crate) struct ExportsPre {
    pre: InstancePre<HostState>,
    events: Option<ModuleIndices>,
    queries: Option<QueryIndices>,
    functions: Option<FunctionsIndices>,
}

/// The exports of an instance. At least one is there.
pub(crate) struct Exports {
    pub(super) events: Option<Module>,
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
        let events = kind.handles_events.then(|| ModuleIndices::new(&pre));
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
            (Some(exports), ..) => exports.call_init(store, config).await,
            (_, Some(exports), _) => exports.call_init(store, config).await,
            (.., Some(exports)) => exports.call_init(store, config).await,
            (None, None, None) => Ok(Ok(())),
        }
    }
}

/// The error of a call to an export that the component does not have. The loader gives a part of a
/// module only the calls that its component has.
pub(super) fn missing(export: &str) -> wasmtime::Error {
    wasmtime::format_err!("the component does not export `{export}`")
}
