//! A handle that watches and changes the modules of a host.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::engine::ModuleConfig;
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;
use tokio::task::JoinSet;

use super::error::ChangeError;
use crate::capability::module_meta::ModuleMeta;
use crate::engine::Engine;
use crate::module::candidate::Candidate;
use crate::module::load_errors::LoadErrors;
use crate::module::loader::Loader;
use crate::module::query::Loaded;
use crate::query::QueryPool;
use crate::runner::ModuleStatus;
use crate::supervisor::{SteerError, SupervisorHandle};

/// Watches and changes the modules of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HostHandle {
    supervisor: SupervisorHandle,
    loader: Arc<Loader>,
    engine: Engine,
}

impl HostHandle {
    pub(super) fn new(supervisor: SupervisorHandle, loader: Arc<Loader>, engine: Engine) -> Self {
        Self {
            supervisor,
            loader,
            engine,
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Every module that reacts to events, by name.
    pub fn modules(&self) -> Vec<Arc<ModuleStatus>> {
        self.supervisor.modules()
    }

    /// The module of this name that reacts to events.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn module(&self, name: &ModuleName) -> Result<Arc<ModuleStatus>, SteerError> {
        self.supervisor.module(name)
    }

    /// Every module that answers queries, by name. Empty before the host runs.
    pub fn queries(&self) -> Vec<Arc<QueryPool>> {
        self.supervisor.queries()
    }

    /// The module of this name that answers queries. There is none before the host runs.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn query(&self, name: &ModuleName) -> Result<Arc<QueryPool>, SteerError> {
        self.supervisor.query(name)
    }

    /// The chains that do not advance, with the reason for each.
    pub fn troubled_chains(&self) -> BTreeMap<ChainId, String> {
        self.supervisor.troubled_chains()
    }

    /// The modules that are being compiled, and the configuration of each.
    pub fn loading(&self) -> Vec<(ModuleConfig, Arc<ModuleMeta>)> {
        self.loader.loading()
    }

    /// Reads, checks, compiles and starts a module. A module that answers queries can be asked when this returns. Returns the
    /// module's name.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the module, or why the host does not take it: a module has the name, or the host does not run.
    pub async fn load(&self, config: ModuleConfig) -> Result<ModuleName, ChangeError> {
        let loaded = self.build(config).await?;
        let name = loaded.meta().name.clone();
        match loaded {
            Loaded::Event(module) => self.supervisor.load(*module).await?,
            Loaded::Query(module) => self.supervisor.load_query(*module).await?,
        }
        Ok(name)
    }

    /// Reads the files of a module again, and goes on with what they are now, with the module's state and cursors.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the files, or why the host does not take them. The old module goes on then.
    pub async fn reload(&self, name: &ModuleName) -> Result<(), ChangeError> {
        let origin = match self.query(name) {
            Ok(pool) => pool.module().origin.clone(),
            Err(_) => self.module(name)?.module().origin.clone(),
        };
        let path = origin.path.shown().to_owned();
        let loaded = self.build(origin).await?;
        let found = &loaded.meta().name;
        if found != name {
            let found = found.clone();
            return Err(ChangeError::Renamed { path, found });
        }
        match loaded {
            Loaded::Event(module) => self.supervisor.reload(*module).await?,
            Loaded::Query(module) => self.supervisor.reload_query(*module).await?,
        }
        Ok(())
    }

    /// Ends a module after the event in hand, or after its queries. Its state stays in the store.
    ///
    /// # Errors
    ///
    /// When there is none of this name.
    pub async fn remove(&self, name: &ModuleName) -> Result<(), SteerError> {
        self.supervisor.remove(name).await
    }

    /// The layer below, for tools that work on the store of a running host.
    pub fn supervisor(&self) -> &SupervisorHandle {
        &self.supervisor
    }

    /// Reads, checks and compiles a module.
    async fn build(&self, config: ModuleConfig) -> Result<Loaded, LoadErrors> {
        let path = config.path.clone();
        let loader = self.loader.clone();
        let inspected = tokio::task::spawn_blocking(move || loader.inspect(&config)).await;
        let candidate = inspected.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        candidate.log_warnings();
        let loaded = self.loader.load_any(&self.engine, candidate).await;
        loaded.map_err(|error| LoadErrors::of(path.shown(), [error]))
    }

    /// Compiles the candidates, in their order. Returns the errors of those that cannot be loaded.
    pub(super) async fn compile(&self, candidates: Vec<Candidate>) -> (Vec<Loaded>, LoadErrors) {
        let mut tasks = JoinSet::new();
        for (index, candidate) in candidates.into_iter().enumerate() {
            let Self { loader, engine, .. } = self.clone();
            let path = candidate.origin.path.clone();
            tasks.spawn(async move { (index, path, loader.load_any(&engine, candidate).await) });
        }
        let mut results = tasks.join_all().await;
        results.sort_by_key(|(index, ..)| *index);
        let mut modules = Vec::with_capacity(results.len());
        let mut errors = LoadErrors::default();
        for (_, path, result) in results {
            match result {
                Ok(module) => modules.push(module),
                Err(error) => errors.extend(LoadErrors::of(path.shown(), [error])),
            }
        }
        (modules, errors)
    }
}
