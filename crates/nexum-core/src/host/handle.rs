//! A handle that watches and changes the modules of a host.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::engine::ModuleConfig;
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;
use parking_lot::RwLock;

use super::compiling::{self, Compiled, Compiling};
use super::entries::{AbsentModule, Entries, ModuleEntry};
use super::error::ChangeError;
use super::loading::{Entry, Loading, LoadingModule};
use crate::bus::report::{SourceReport, Trouble};
use crate::engine::Engine;
use crate::module::candidate::Candidate;
use crate::module::error::LoadError;
use crate::module::load_errors::LoadErrors;
use crate::module::loaded::Loaded;
use crate::module::loader::Loader;
use crate::query::QueryPool;
use crate::runner::ModuleStatus;
use crate::state::OperatorRows;
use crate::supervisor::{Reloaded, RunningModule, SteerError, SupervisorHandle};

/// Watches and changes the modules of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HostHandle {
    pub(super) supervisor: SupervisorHandle,
    /// The loader of later loads. Clones of the handle share it.
    loader: Arc<RwLock<Arc<Loader>>>,
    pub(super) engine: Engine,
    pub(super) loading: Loading,
    pub(super) entries: Entries,
    /// Held by the only change of several modules.
    pub(super) changes: Arc<tokio::sync::Mutex<()>>,
    strict: bool,
}

impl HostHandle {
    pub(super) fn new(
        supervisor: SupervisorHandle,
        loader: Arc<Loader>,
        engine: Engine,
        entries: Entries,
        strict: bool,
    ) -> Self {
        Self {
            supervisor,
            loader: Arc::new(RwLock::new(loader)),
            engine,
            loading: Loading::default(),
            entries,
            changes: Arc::default(),
            strict,
        }
    }

    /// The loader of the next load.
    pub(super) fn loader(&self) -> Arc<Loader> {
        self.loader.read().clone()
    }

    pub(super) fn set_loader(&self, loader: Arc<Loader>) {
        *self.loader.write() = loader;
    }

    /// The engine that runs the modules.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Every module, by name. A module that only answers queries is among them when the host runs.
    pub fn all(&self) -> Vec<RunningModule> {
        self.supervisor.all()
    }

    /// The module of this name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn get(&self, name: &ModuleName) -> Result<RunningModule, SteerError> {
        self.supervisor.get(name)
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

    /// The chains that do not advance, with the reason for each, and since when.
    pub fn troubled_chains(&self) -> BTreeMap<ChainId, Trouble> {
        self.supervisor.troubled_chains()
    }

    /// Brings the conditions of all modules up to date with their chains, as nexum does each second. Call it before you read
    /// modules and chains together, so that both are of one moment.
    pub fn look(&self) {
        self.supervisor.look();
    }

    /// The state of each configured chain, by chain id, also of chains that no module uses.
    pub fn chain_reports(&self) -> Vec<SourceReport> {
        self.supervisor.chain_reports()
    }

    /// The modules that passed their checks and have not started yet, in the order of their start.
    pub fn loading(&self) -> Vec<LoadingModule> {
        self.loading.all()
    }

    /// Whether a module of this name [is being loaded](Self::loading).
    pub fn is_loading(&self, name: &ModuleName) -> bool {
        self.loading.has(name)
    }

    /// Cancels the load of a module, and waits for the end of the load. Returns whether there was one.
    pub(super) async fn cancel_load(&self, name: &ModuleName) -> bool {
        self.loading.cancel(name).await
    }

    /// The modules that the configuration or the command line names, in their order.
    pub fn configured(&self) -> Vec<ModuleEntry> {
        self.entries.configured()
    }

    /// The entries of the modules that the [operator](Self::operator) loaded.
    pub fn loaded_by_operator(&self) -> BTreeMap<ModuleName, ModuleConfig> {
        self.entries.loaded()
    }

    /// The configured modules that are not to run: those that the configuration disables, and those that
    /// the operator removed.
    pub fn absent(&self) -> Vec<AbsentModule> {
        self.entries.absent()
    }

    /// The operator's rows, by the names of the modules. A module without a row is to run as its entry
    /// says.
    pub fn operator_rows(&self) -> OperatorRows {
        self.entries.rows()
    }

    /// Compiles the modules of an [`Inspection`](super::Inspection), and starts each as soon as it is compiled. No compilation delays
    /// another module. Calls `refused` with the errors of each module that cannot start, as soon as they are known. Returns how many
    /// modules have started.
    ///
    /// A [strict](super::HostBuilder::strict) host compiles all modules before it starts any, and starts none if one is refused.
    ///
    /// The program has to run the host meanwhile: see [`Host::run`](super::Host::run). The compilations end when the future is dropped.
    ///
    /// # Errors
    ///
    /// When the host ends before, or the state store cannot be used.
    pub async fn load_each(
        &self,
        candidates: Vec<Candidate>,
        mut refused: impl FnMut(LoadErrors),
    ) -> Result<usize, SteerError> {
        let _expected = self.supervisor.expect();
        let names = candidates.iter().map(|candidate| candidate.meta.name.clone()).collect();
        let mut compiling = self.begin(candidates);
        // Before a module starts: a store that fails later, such as on a full disk, ends no run.
        self.supervisor.intern(names).await?;
        let mut started = 0;
        loop {
            let compiled = match self.strict {
                true => compiling.all().await,
                false => compiling.next().await,
            };
            let Some(compiled) = compiled else { return Ok(started) };
            let is_refused = !compiled.errors.is_empty();
            if is_refused {
                refused(compiled.errors);
            }
            if is_refused && self.strict {
                return Ok(0);
            }
            if !compiled.modules.is_empty() {
                started += self.start(compiled.modules, &mut refused).await?;
            }
            drop(compiled.entries);
        }
    }

    /// Starts compiled modules, and refuses those whose names are taken. Returns how many have started.
    async fn start(&self, mut modules: Vec<Loaded>, refused: &mut impl FnMut(LoadErrors)) -> Result<usize, SteerError> {
        modules.iter_mut().for_each(|module| self.note_stopped(module));
        let name_of = |module: &Loaded| module.meta.name.clone();
        let mut names: Vec<_> = modules.iter().map(name_of).collect();
        for module in self.supervisor.start(modules).await? {
            let name = name_of(&module);
            names.retain(|other| *other != name);
            refused(LoadErrors::of(&module.origin, [LoadError::DuplicateName { name }]));
        }
        for name in &names {
            tracing::info!(module = name.as_str(), "the module is loaded");
        }
        Ok(names.len())
    }

    /// Reads, checks, compiles and starts a module. A module that answers queries can be asked when this returns. Returns the
    /// module's name.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the module, or why the host does not take it: a module has the name, or the host does not run.
    pub async fn load(&self, config: ModuleConfig) -> Result<ModuleName, ChangeError> {
        let candidate = self.inspect(config).await?;
        let name = candidate.meta.name.clone();
        self.load_candidate(candidate).await?;
        Ok(name)
    }

    /// Fails if a module of this name exists, or is being loaded.
    pub(super) fn check_free(&self, name: &ModuleName) -> Result<(), SteerError> {
        match self.get(name).is_ok() || self.is_loading(name) {
            true => Err(SteerError::Exists(name.clone())),
            false => Ok(()),
        }
    }

    /// Compiles and starts an inspected module.
    pub(super) async fn load_candidate(&self, candidate: Candidate) -> Result<(), ChangeError> {
        let _expected = self.supervisor.expect();
        self.check_free(&candidate.meta.name)?;
        let (loaded, _entry) = self.compile_one(candidate).await?;
        Ok(self.supervisor.load(loaded).await?)
    }

    /// Records in the module whether the operator has stopped it.
    pub(super) fn note_stopped(&self, module: &mut Loaded) {
        module.is_stopped = self.entries.is_stopped(&module.meta.name);
    }

    /// Reads the files of a module again, and continues with their content. The module keeps its state and cursors. It may have other
    /// parts than before; the result says so, and the log.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the files, or why the host does not take them. The old module continues then.
    pub async fn reload(&self, name: &ModuleName) -> Result<Reloaded, ChangeError> {
        let missing = || SteerError::NoModule(name.clone());
        let (origin, _) = self.get(name)?.origin().ok_or_else(missing)?;
        let path = origin.path.shown().to_owned();
        let candidate = self.inspect(origin).await?;
        let found = &candidate.meta.name;
        if found != name {
            let found = found.clone();
            return Err(ChangeError::Renamed { path, found });
        }
        let (mut loaded, _entry) = self.compile_one(candidate).await?;
        self.note_stopped(&mut loaded);
        let reloaded = self.supervisor.reload(loaded).await?;
        if let Some(change) = reloaded.change() {
            tracing::warn!(module = name.as_str(), "{change}");
        }
        Ok(reloaded)
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

    /// Reads and checks a module.
    pub(super) async fn inspect(&self, config: ModuleConfig) -> Result<Candidate, LoadErrors> {
        let loader = self.loader();
        let inspected = tokio::task::spawn_blocking(move || loader.inspect(&config)).await;
        let candidate = inspected.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        candidate.log_warnings();
        Ok(candidate)
    }

    async fn compile_one(&self, candidate: Candidate) -> Result<(Loaded, Entry), ChangeError> {
        let (origin, name) = (candidate.origin.clone(), candidate.meta.name.clone());
        let entry = self.loading.enter(&candidate);
        match compiling::load(&self.loader(), &self.engine, candidate, &entry).await {
            Some(Ok(loaded)) => Ok((loaded, entry)),
            Some(Err(error)) => Err(LoadErrors::of(&origin, [error]).into()),
            None => Err(ChangeError::Cancelled(name)),
        }
    }

    fn begin(&self, candidates: Vec<Candidate>) -> Compiling {
        Compiling::begin(&self.loader(), &self.engine, &self.loading, candidates)
    }

    /// Compiles the candidates, in their order. Returns the errors of those that cannot be loaded.
    pub(super) async fn compile(&self, candidates: Vec<Candidate>) -> (Vec<Loaded>, LoadErrors) {
        let Compiled { modules, errors, .. } = self.begin(candidates).all().await.unwrap_or_default();
        (modules, errors)
    }
}
