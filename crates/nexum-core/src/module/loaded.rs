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
    /// The part that handles events, for a runner.
    pub events: Option<Box<Module>>,
    /// The part that answers queries, for a pool.
    pub queries: Option<Box<QueryModule>>,
}

impl Loaded {
    /// The parts of the module.
    pub fn kind(&self) -> ModuleKind {
        ModuleKind {
            handles_events: self.events.is_some(),
            answers_queries: self.queries.is_some(),
        }
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
