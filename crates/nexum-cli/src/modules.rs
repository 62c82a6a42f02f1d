//! From the command line to loaded modules: what `run` and `check` share.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;

use nexum_config::engine::{Config, ModuleConfig};
use nexum_core::bus::source::EventSource;
use nexum_core::capability::module_meta::ModuleMeta;
use nexum_core::clock::Seams;
use nexum_core::engine::{Engine, EngineConfig};
use nexum_core::module::candidate::Candidate;
use nexum_core::module::error::LoadError;
use nexum_core::module::loader::Loader;
use nexum_core::module::query::Loaded;
use nexum_store::StoreConfig;
use tokio::task::JoinSet;

use crate::args::Load;
use crate::command;
use crate::compose;
use crate::configure::wanted;
use crate::report::{Refusal, Refusals};

/// The directory of compiled components, in the state directory.
const CACHE_DIR: &str = "cache";

/// Builds modules from their files, also while others run.
#[derive(Clone)]
pub(crate) struct ModuleBuilder {
    loader: Arc<Loader>,
    engine: Engine,
}

impl ModuleBuilder {
    /// The modules that are being compiled now, and where each came from.
    pub(crate) fn loading(&self) -> Vec<(ModuleConfig, Arc<ModuleMeta>)> {
        self.loader.loading()
    }

    /// Reads, checks and compiles a module.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) async fn build(&self, config: ModuleConfig) -> Result<Loaded, Refusals> {
        let path = config.path.display().to_string();
        let loader = self.loader.clone();
        let inspected = tokio::task::spawn_blocking(move || loader.inspect(&config)).await;
        let candidate = match inspected {
            Ok(inspected) => inspected.map_err(|errors| Refusals::of_module(&path, &errors))?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        for warning in &candidate.warnings {
            tracing::warn!(module = candidate.meta.name.as_str(), "{warning}");
        }
        let loaded = self.loader.load_any(&self.engine, candidate).await;
        loaded.map_err(|error| Refusals::of_module(&path, &[error]))
    }
}

/// Everything that is known before anything is compiled.
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) sources: Vec<Arc<dyn EventSource>>,
    pub(crate) store: StoreConfig,
    loader: Arc<Loader>,
    modules: Vec<ModuleConfig>,
}

impl Plan {
    /// Puts the build's capabilities and the configuration together.
    pub(crate) fn new(config: Config, load: &Load) -> Result<Self, Refusals> {
        let seams = Seams::system();
        let composition = compose::compose(&config, seams.clone())?;
        let chains = config.chains.keys().copied();
        let loader = Loader::new(composition.capabilities, config.limits, chains, seams)
            .restart(config.restart)
            .query(config.query)
            .total_memory_bytes(config.total_memory_bytes);
        let modules = wanted(&config, load)?;
        Ok(Self {
            config,
            sources: composition.sources,
            store: composition.store,
            loader: Arc::new(loader),
            modules,
        })
    }

    /// Reads every module's files. Returns what can go on, and what is wrong with the others.
    pub(crate) async fn inspect(&self) -> (Vec<Candidate>, Refusals) {
        let inspect = |module: ModuleConfig| {
            let loader = self.loader.clone();
            move || (module.path.display().to_string(), loader.inspect(&module))
        };
        let mut inspected: Vec<_> = parallel(self.modules.iter().cloned().map(inspect)).await;
        let mut candidates: Vec<Candidate> = Vec::with_capacity(inspected.len());
        let mut refusals = Refusals::default();
        for (path, result) in inspected.drain(..) {
            match result {
                Ok(candidate) if candidates.iter().any(|other| other.meta.name == candidate.meta.name) => {
                    let name = candidate.meta.name.clone();
                    refusals.extend(Refusals::of_module(&path, &[LoadError::DuplicateName { name }]));
                }
                Ok(mut candidate) => match self.loader.admit(&mut candidate) {
                    Ok(()) => candidates.push(candidate),
                    Err(error) => refusals.extend(Refusals::of_module(&path, &[error])),
                },
                Err(errors) => refusals.extend(Refusals::of_module(&path, &errors)),
            }
        }
        (candidates, refusals)
    }

    /// The files, absolute, of those that are not among the modules which were loaded.
    pub(crate) fn refused(&self, loaded: &[Loaded]) -> Vec<PathBuf> {
        let is_loaded = |config: &&ModuleConfig| loaded.iter().any(|module| module.origin().path == config.path);
        let refused = self.modules.iter().filter(|config| !is_loaded(config));
        refused
            .filter_map(|config| std::path::absolute(&config.path).ok())
            .collect()
    }

    /// Sets the engine up for these candidates.
    pub(crate) fn engine(&self, candidates: &[Candidate]) -> Result<Engine, Refusals> {
        let config = EngineConfig {
            cache_dir: Some(self.config.state_dir.join(CACHE_DIR)),
            pooling: self.config.pooling,
            demand: Candidate::demand(candidates),
            compiler: command::compiler(),
        };
        Engine::new(&config).map_err(|error| {
            let refusal = Refusal::of(&error);
            error
                .hint()
                .map_or_else(|| Refusal::of(&error), |hint| refusal.with_hint(hint))
                .into()
        })
    }

    /// What makes more modules with this engine.
    pub(crate) fn builder(&self, engine: &Engine) -> ModuleBuilder {
        ModuleBuilder {
            loader: self.loader.clone(),
            engine: engine.clone(),
        }
    }

    /// Compiles the candidates, in their order.
    pub(crate) async fn load(&self, engine: &Engine, candidates: Vec<Candidate>) -> (Vec<Loaded>, Refusals) {
        let mut tasks = JoinSet::new();
        for (index, candidate) in candidates.into_iter().enumerate() {
            let (loader, engine) = (self.loader.clone(), engine.clone());
            let path = candidate.origin.path.display().to_string();
            tasks.spawn(async move { (index, path, loader.load_any(&engine, candidate).await) });
        }
        let mut loaded = tasks.join_all().await;
        loaded.sort_by_key(|(index, ..)| *index);
        let mut modules = Vec::with_capacity(loaded.len());
        let mut refusals = Refusals::default();
        for (_, path, result) in loaded {
            match result {
                Ok(module) => modules.push(module),
                Err(error) => refusals.extend(Refusals::of_module(&path, &[error])),
            }
        }
        (modules, refusals)
    }
}

/// Runs blocking jobs on as many threads as there are processors, and returns their results in order.
async fn parallel<T: Send + 'static>(jobs: impl Iterator<Item = impl FnOnce() -> T + Send + 'static>) -> Vec<T> {
    let threads = available_parallelism().map_or(1, usize::from);
    let mut queue = jobs.enumerate();
    let mut running = JoinSet::new();
    let mut results = Vec::new();
    loop {
        while running.len() < threads {
            let Some((index, job)) = queue.next() else { break };
            running.spawn_blocking(move || (index, job()));
        }
        match running.join_next().await {
            Some(Ok(result)) => results.push(result),
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            None => break,
        }
    }
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
