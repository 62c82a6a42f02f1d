//! The modules of a host before it compiles them.

use std::sync::Arc;
use std::thread::available_parallelism;

use nexum_config::document::nearest;
use nexum_config::engine::ModuleConfig;
use nexum_config::names::ModuleName;
use tokio::task::JoinSet;

use super::Host;
use super::handle::HostHandle;
use crate::engine::{Engine, EngineConfig, EngineError};
use crate::module::candidate::Candidate;
use crate::module::error::LoadError;
use crate::module::load_errors::LoadErrors;
use crate::module::loader::Loader;
use crate::supervisor::Supervisor;

/// The modules of a host that have passed every check which needs no compiler, and the errors of the others.
#[derive(Debug)]
pub struct Inspection {
    /// The modules that can be compiled, in the order in which they were added.
    pub candidates: Vec<Candidate>,
    /// The errors of the other modules.
    pub errors: LoadErrors,
    pub(super) loader: Arc<Loader>,
    pub(super) supervisor: Supervisor,
    pub(super) engine: EngineConfig,
    pub(super) strict: bool,
}

impl Inspection {
    /// Adds a warning to each candidate whose queries read the rows of a module that is not among the
    /// candidates. For a caller without the store, which can have the rows of further modules.
    pub fn warn_of_missing_reads(&mut self) {
        let names: Vec<_> = self.candidates.iter().map(|one| one.meta.name.clone()).collect();
        for candidate in &mut self.candidates {
            let Some(reads) = candidate.reads.as_ref().filter(|reads| !names.contains(reads)) else {
                continue;
            };
            let nearest = nearest(reads.as_str(), names.iter().map(ModuleName::as_str));
            let nearest = nearest.map_or_else(String::new, |nearest| format!(", the nearest one is `{nearest}`"));
            candidate.warnings.push(format!(
                "its queries read the state of the module `{reads}`, which is not configured{nearest}: they find only the rows \
                 that an earlier run left in the state"
            ));
        }
    }

    /// Sets up an engine for the candidates. Returns a host without modules, and the candidates for [`Host::load`] or
    /// [`HostHandle::load_each`].
    ///
    /// # Errors
    ///
    /// When the machine cannot have the engine.
    pub fn set_up(self) -> Result<(Host, Vec<Candidate>), EngineError> {
        let engine = Engine::new(&EngineConfig {
            demand: Candidate::demand(&self.candidates),
            ..self.engine
        })?;
        let handle = HostHandle::new(self.supervisor.handle(), self.loader, engine, self.strict);
        Ok((Host::new(self.supervisor, handle), self.candidates))
    }
}

/// Reads the files of every module. Refuses the later of two modules with one name, and those for which no memory is left.
pub(super) async fn inspect(loader: &Arc<Loader>, modules: Vec<ModuleConfig>) -> (Vec<Candidate>, LoadErrors) {
    let inspect = |module: ModuleConfig| {
        let loader = loader.clone();
        move || loader.inspect(&module)
    };
    let mut candidates: Vec<Candidate> = Vec::with_capacity(modules.len());
    let mut errors = LoadErrors::default();
    for result in parallel(modules.into_iter().map(inspect)).await {
        let admitted = result.and_then(|mut candidate| {
            let refused = |error| LoadErrors::of(&candidate.origin.path, [error]);
            let name = &candidate.meta.name;
            if candidates.iter().any(|other| other.meta.name == *name) {
                return Err(refused(LoadError::DuplicateName { name: name.clone() }));
            }
            let path = candidate.origin.path.clone();
            loader
                .admit(&mut candidate)
                .map_err(|error| LoadErrors::of(&path, [error]))?;
            Ok(candidate)
        });
        match admitted {
            Ok(candidate) => candidates.push(candidate),
            Err(more) => errors.extend(more),
        }
    }
    (candidates, errors)
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
