//! The common fields of the parts of a loaded module.

use std::fmt;
use std::sync::Arc;

use nexum_config::component::ModuleKind;
use nexum_config::engine::ModuleConfig;
use nexum_config::restart::Restart;
use wasmtime::component::InstancePre;

use super::candidate::Candidate;
use super::error::LoadError;
use super::exports::ExportsPre;
use super::functions::Functions;
use super::memory::Reservation;
use crate::capability::HostState;
use crate::capability::grant::Grant;
use crate::capability::module_meta::ModuleMeta;
use crate::engine::fair_scheduler::FairScheduler;
use crate::engine::{Compiled, Engine, InstancePermit};

/// One part of a module, compiled and linked, so that the start of an instance compiles nothing.
pub struct Part {
    /// The module's properties that every part of the host may use.
    pub meta: Arc<ModuleMeta>,
    /// The module's retry policy. For queries, it decides about the suspension of the module.
    pub restart: Restart,
    /// The operator's entry for the module, to read its files again.
    pub origin: ModuleConfig,
    /// The module's functions, also those that the other part carries out.
    pub functions: Arc<Functions>,
    pub(crate) kind: ModuleKind,
    pub(crate) grant: Grant,
    pub(crate) exports: ExportsPre,
    /// Separate from that of the other part, so that long queries do not slow events.
    pub(crate) scheduler: FairScheduler,
    _room: Arc<Room>,
}

/// Reserves the places of all instances of a module in the engine, its code, and its part of the
/// memory, until all parts of the module are dropped.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) _compiled: Compiled,
    pub(super) _places: InstancePermit,
    pub(super) _memory: Reservation,
}

impl Part {
    /// A part of a candidate. `pre` has the imports of the part.
    ///
    /// # Errors
    ///
    /// Fails if the type of an export differs from the contract.
    pub(super) fn of(
        candidate: &Candidate,
        engine: &Engine,
        pre: InstancePre<HostState>,
        functions: Arc<Functions>,
        room: Arc<Room>,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            meta: candidate.meta.clone(),
            restart: candidate.restart,
            origin: candidate.origin.clone(),
            functions,
            kind: candidate.kind,
            grant: candidate.grant.clone(),
            exports: ExportsPre::new(pre, candidate.kind).map_err(LoadError::Export)?,
            scheduler: engine.scheduler().for_module(),
            _room: room,
        })
    }

    /// The capabilities and imports that the module may use.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("meta", &self.meta)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}
