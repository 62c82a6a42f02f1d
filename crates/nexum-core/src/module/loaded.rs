//! A loaded module with its parts.

use std::sync::Arc;

use nexum_config::component::ModuleKind;
use nexum_config::engine::ModuleConfig;

use super::loader::Module;
use super::query::QueryModule;
use crate::capability::module_meta::ModuleMeta;

/// A module that is compiled and linked: one name and one state, with the parts that use them.
#[derive(Debug)]
pub struct Loaded {
    /// The module's properties that every part of the host may use.
    pub meta: Arc<ModuleMeta>,
    /// The operator's entry for the module.
    pub origin: ModuleConfig,
    /// The part that handles events and carries out writeable functions, for a runner.
    pub events: Option<Box<Module>>,
    /// The part that answers queries and carries out read-only functions, for a pool.
    pub queries: Option<Box<QueryModule>>,
}

impl Loaded {
    /// The parts of the module.
    pub fn kind(&self) -> ModuleKind {
        let of_events = self.events.as_ref().map(|module| module.kind);
        let of_queries = self.queries.as_ref().map(|module| module.kind);
        of_parts(of_events, of_queries)
    }
}

/// The kind of a module with these parts. Each part has the kind of its whole component.
pub(crate) fn of_parts(of_events: Option<ModuleKind>, of_queries: Option<ModuleKind>) -> ModuleKind {
    let (of_events, of_queries) = (of_events.unwrap_or_default(), of_queries.unwrap_or_default());
    ModuleKind {
        handles_events: of_events.handles_events,
        ..of_queries
    }
}

impl From<Module> for Loaded {
    fn from(module: Module) -> Self {
        Self {
            meta: module.meta.clone(),
            origin: module.origin.clone(),
            events: Some(Box::new(module)),
            queries: None,
        }
    }
}

impl From<QueryModule> for Loaded {
    fn from(module: QueryModule) -> Self {
        Self {
            meta: module.meta.clone(),
            origin: module.origin.clone(),
            events: None,
            queries: Some(Box::new(module)),
        }
    }
}
