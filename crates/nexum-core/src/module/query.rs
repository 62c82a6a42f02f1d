//! The part of a module that answers queries.

use std::sync::Arc;

use nexum_config::component::ModuleKind;
use nexum_config::engine::ModuleConfig;
use nexum_config::names::ModuleName;
use nexum_config::query::QueryBounds;
use nexum_config::restart::Restart;
use wasmtime::component::InstancePre;

use super::candidate::Candidate;
use super::error::LoadError;
use super::exports::ExportsPre;
use super::functions::Functions;
use super::loader::Room;
use crate::capability::HostState;
use crate::capability::grant::Grant;
use crate::capability::module_meta::ModuleMeta;
use crate::engine::Engine;
use crate::engine::fair_scheduler::FairScheduler;

/// The part of a module that answers queries and carries out read-only functions, compiled and
/// linked. A
/// [`QueryPool`](crate::query::QueryPool) creates its instances.
pub struct QueryModule {
    /// The module's properties that every part of the host may use.
    pub meta: Arc<ModuleMeta>,
    /// The bounds on the module's calls. The engine has room for this many instances.
    pub bounds: QueryBounds,
    /// The module's retry policy, for the calls of a module that is suspended.
    pub restart: Restart,
    /// The module whose rows the queries read. `None` for their own module.
    pub reads: Option<ModuleName>,
    /// The operator's entry for the module, to read its files again.
    pub origin: ModuleConfig,
    /// The module's functions. The pool carries out those that do not write.
    pub functions: Arc<Functions>,
    pub(crate) kind: ModuleKind,
    pub(crate) grant: Grant,
    pub(crate) exports: ExportsPre,
    pub(crate) scheduler: FairScheduler,
    _room: Arc<Room>,
}

impl QueryModule {
    /// `pre` denies what queries may not call.
    pub(super) fn of(
        candidate: &Candidate,
        engine: &Engine,
        pre: InstancePre<HostState>,
        functions: Arc<Functions>,
        room: Arc<Room>,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            meta: candidate.meta.clone(),
            bounds: candidate.query,
            restart: candidate.restart,
            reads: candidate.reads.clone(),
            origin: candidate.origin.clone(),
            functions,
            kind: candidate.kind,
            grant: candidate.grant.clone(),
            exports: ExportsPre::new(pre, candidate.kind).map_err(LoadError::Export)?,
            // Separate from that of the module's events, so that long queries do not slow them.
            scheduler: engine.scheduler().for_module(),
            _room: room,
        })
    }

    /// Whether the module has functions.
    pub fn has_functions(&self) -> bool {
        self.kind.has_functions
    }

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
            .field("reads", &self.reads)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}
