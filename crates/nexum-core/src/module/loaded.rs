//! A loaded module with its parts.

use std::sync::Arc;

use nexum_config::component::{EVENT_MODULE, ModuleKind, QUERY_MODULE};
use nexum_config::engine::ModuleConfig;

use super::candidate::Candidate;
use super::error::{self, LoadError};
use super::functions::Functions;
use super::loader::{Loader, Module};
use super::part::Part;
use super::query::QueryModule;
use super::sandbox;
use crate::capability::grant::Grant;
use crate::capability::module_meta::ModuleMeta;
use crate::engine::Engine;

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
    /// Whether the module begins stopped: its runner waits for a start of the operator.
    pub is_stopped: bool,
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
        takes_triggers: of_events.takes_triggers,
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
            is_stopped: false,
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
            is_stopped: false,
        }
    }
}

impl Loader {
    /// Compiles and links all parts of a candidate. It also [admits](Self::admit) the candidate, if
    /// the caller has not done so. A compiled component is reused.
    ///
    /// # Errors
    ///
    /// Fails in these cases:
    ///
    /// - The component does not compile.
    /// - The types of an import or export differ from the contract.
    /// - The engine or the memory limit has no room for all instances of the module.
    /// - The list of the module's functions is not valid. nexum reads it in a sandbox after all other
    ///   checks.
    pub async fn load_any(&self, engine: &Engine, mut candidate: Candidate) -> Result<Loaded, LoadError> {
        let engine = engine.metered_by(candidate.meta.metering);
        let (component, room) = self.compile(engine, &mut candidate).await?;
        let room = Arc::new(room);
        let mut linker = self.link(engine, &candidate, &component)?;
        let of_events = linker.instantiate_pre(&component).map_err(LoadError::Link)?;
        let functions = match candidate.kind.has_functions {
            true => {
                sandbox::read(
                    engine,
                    &component,
                    &candidate.summary.imports,
                    &candidate.meta,
                    &self.seams,
                )
                .await?
            }
            false => Functions::default(),
        };
        let functions = Arc::new(functions);
        let events = match candidate.kind.handles_events || functions.is_writeable() {
            true => {
                let part = Part::of(&candidate, engine, of_events, functions.clone(), room.clone())?;
                Some(Module::of(&candidate, part))
            }
            false => None,
        };
        let queries = match candidate.kind.has_pool() {
            true => {
                let denied = candidate.summary.denied_to_queries();
                Grant::deny(&mut linker, &component, denied).map_err(LoadError::Link)?;
                let of_queries = linker.instantiate_pre(&component).map_err(LoadError::Link)?;
                let part = Part::of(&candidate, engine, of_queries, functions, room)?;
                Some(QueryModule::of(&candidate, part))
            }
            false => None,
        };
        Ok(Loaded {
            meta: candidate.meta,
            origin: candidate.origin,
            events: events.map(Box::new),
            queries: queries.map(Box::new),
            is_stopped: false,
        })
    }

    /// Loads the part of a candidate that handles events.
    ///
    /// # Errors
    ///
    /// Fails as [`Self::load_any`] does, and if the module handles no events.
    pub async fn load(&self, engine: &Engine, candidate: Candidate) -> Result<Module, LoadError> {
        let none = error::world(EVENT_MODULE, &candidate.summary);
        let events = self.load_any(engine, candidate).await?.events;
        events.map(|module| *module).ok_or(none)
    }

    /// Loads the part of a candidate that answers queries.
    ///
    /// # Errors
    ///
    /// Fails as [`Self::load_any`] does, and if the module answers no queries.
    pub async fn load_query(&self, engine: &Engine, candidate: Candidate) -> Result<QueryModule, LoadError> {
        let none = error::world(QUERY_MODULE, &candidate.summary);
        let queries = self.load_any(engine, candidate).await?.queries;
        queries.map(|module| *module).ok_or(none)
    }
}
