//! Modules that answer queries.

use std::sync::Arc;

use nexum_config::engine::ModuleConfig;
use nexum_config::query::QueryBounds;

use super::candidate::Candidate;
use super::error::LoadError;
use super::exports;
use super::loader::{Loader, Module, Room};
use crate::bindings::query::QueryPre;
use crate::capability::HostState;
use crate::capability::grant::Grant;
use crate::capability::module_meta::ModuleMeta;
use crate::engine::Engine;
use crate::engine::lane::Lane;

/// A module that can be asked: what a [`QueryPool`](crate::query::QueryPool) makes instances of.
pub struct QueryModule {
    /// What every part of the host may know of it.
    pub meta: Arc<ModuleMeta>,
    /// How many calls it takes. There is room in the engine for as many instances.
    pub bounds: QueryBounds,
    /// Where it came from, to be read again.
    pub origin: ModuleConfig,
    pub(crate) grant: Grant,
    pub(crate) pre: QueryPre<HostState>,
    pub(crate) lane: Lane,
    _room: Room,
}

impl QueryModule {
    /// What it may call.
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

/// A module of either kind.
#[derive(Debug)]
pub enum Loaded {
    /// It reacts to events.
    Event(Box<Module>),
    /// It answers queries.
    Query(Box<QueryModule>),
}

impl Loaded {
    /// What every part of the host may know of it.
    pub fn meta(&self) -> &Arc<ModuleMeta> {
        match self {
            Self::Event(module) => &module.meta,
            Self::Query(module) => &module.meta,
        }
    }

    /// Where it came from.
    pub fn origin(&self) -> &ModuleConfig {
        match self {
            Self::Event(module) => &module.origin,
            Self::Query(module) => &module.origin,
        }
    }
}

impl Loader {
    /// Loads a candidate as what it is.
    ///
    /// # Errors
    ///
    /// Those of [`Self::load`] and [`Self::load_query`].
    pub async fn load_any(&self, engine: &Engine, candidate: Candidate) -> Result<Loaded, LoadError> {
        match candidate.query {
            Some(_) => Ok(Loaded::Query(Box::new(self.load_query(engine, candidate).await?))),
            None => Ok(Loaded::Event(Box::new(self.load(engine, candidate).await?))),
        }
    }

    /// Compiles a candidate that answers queries, or finds it compiled, and links it. [Admits](Self::admit) it, unless that has been
    /// done.
    ///
    /// # Errors
    ///
    /// When the component does not compile, or has imports or exports of other types than the contract's; when it is one that
    /// reacts to events; or when there is no room for all of its instances.
    pub async fn load_query(&self, engine: &Engine, mut candidate: Candidate) -> Result<QueryModule, LoadError> {
        let engine = engine.metered_by(candidate.meta.metering);
        let (component, room) = self.compile(engine, &mut candidate).await?;
        exports::check_query_module(&component)?;
        let pre = self.link(engine, &candidate, &component)?;
        Ok(QueryModule {
            meta: candidate.meta,
            // A candidate whose exports are those of this world has them.
            bounds: candidate.query.unwrap_or_default(),
            origin: candidate.origin,
            grant: candidate.grant,
            pre: QueryPre::new(pre).map_err(LoadError::Link)?,
            lane: engine.lane().for_module(),
            _room: room,
        })
    }
}
