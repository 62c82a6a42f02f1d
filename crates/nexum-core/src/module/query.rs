//! Query modules.

use std::sync::Arc;

use nexum_config::engine::ModuleConfig;
use nexum_config::query::QueryBounds;
use nexum_config::restart::Restart;

use super::candidate::Candidate;
use super::error::LoadError;
use super::loader::{Loader, Module, Room};
use crate::bindings::query::QueryPre;
use crate::capability::HostState;
use crate::capability::grant::Grant;
use crate::capability::module_meta::ModuleMeta;
use crate::engine::Engine;
use crate::engine::fair_scheduler::FairScheduler;

/// A query module that is compiled and linked. A [`QueryPool`](crate::query::QueryPool) creates its
/// instances.
pub struct QueryModule {
    /// The module's properties that every part of the host may use.
    pub meta: Arc<ModuleMeta>,
    /// The bounds on the module's calls. The engine has room for this many instances.
    pub bounds: QueryBounds,
    /// The module's retry policy, for the calls of a module that is suspended.
    pub restart: Restart,
    /// The operator's entry for the module, to read its files again.
    pub origin: ModuleConfig,
    pub(crate) grant: Grant,
    pub(crate) pre: QueryPre<HostState>,
    pub(crate) scheduler: FairScheduler,
    _room: Room,
}

impl QueryModule {
    /// The capabilities and imports that the module may use.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

impl std::fmt::Debug for QueryModule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryModule")
            .field("meta", &self.meta)
            .field("bounds", &self.bounds)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

/// An event module or a query module.
#[derive(Debug)]
pub enum Loaded {
    /// A module that handles events.
    Event(Box<Module>),
    /// A module that answers queries.
    Query(Box<QueryModule>),
}

impl Loaded {
    /// The module's properties that every part of the host may use.
    pub fn meta(&self) -> &Arc<ModuleMeta> {
        match self {
            Self::Event(module) => &module.meta,
            Self::Query(module) => &module.meta,
        }
    }

    /// The operator's entry for the module.
    pub fn origin(&self) -> &ModuleConfig {
        match self {
            Self::Event(module) => &module.origin,
            Self::Query(module) => &module.origin,
        }
    }
}

impl Loader {
    /// Loads a candidate of either kind.
    ///
    /// # Errors
    ///
    /// Fails as [`Self::load`] and [`Self::load_query`] do.
    pub async fn load_any(&self, engine: &Engine, candidate: Candidate) -> Result<Loaded, LoadError> {
        match candidate.query {
            Some(_) => Ok(Loaded::Query(Box::new(self.load_query(engine, candidate).await?))),
            None => Ok(Loaded::Event(Box::new(self.load(engine, candidate).await?))),
        }
    }

    /// Compiles and links a candidate of a query module. It also [admits](Self::admit) the
    /// candidate, if the caller has not done so. A compiled component is reused.
    ///
    /// # Errors
    ///
    /// Fails in these cases:
    ///
    /// - The component does not compile.
    /// - The types of an import or export differ from the contract.
    /// - The component is an event module.
    /// - The engine or the memory limit has no room for all instances of the module.
    pub async fn load_query(&self, engine: &Engine, mut candidate: Candidate) -> Result<QueryModule, LoadError> {
        let engine = engine.metered_by(candidate.meta.metering);
        let (component, room) = self.compile(engine, &mut candidate).await?;
        let pre = self.link(engine, &candidate, &component)?;
        Ok(QueryModule {
            meta: candidate.meta,
            // A candidate with the exports of a query module has bounds.
            bounds: candidate.query.unwrap_or_default(),
            restart: candidate.restart,
            origin: candidate.origin,
            grant: candidate.grant,
            pre: QueryPre::new(pre).map_err(LoadError::Export)?,
            scheduler: engine.scheduler().for_module(),
            _room: room,
        })
    }
}
