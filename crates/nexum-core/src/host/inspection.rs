//! The modules of a host before it compiles them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::available_parallelism;

use nexum_config::document::nearest;
use nexum_config::engine::ModuleConfig;
use nexum_config::names::ModuleName;
use tokio::task::JoinSet;

use super::Host;
use super::entries::{AbsentModule, Entries};
use super::handle::HostHandle;
use super::selection::Selection;
use crate::engine::{Engine, EngineConfig, EngineError};
use crate::module::candidate::Candidate;
use crate::module::error::LoadError;
use crate::module::load_errors::LoadErrors;
use crate::module::loader::Loader;
use crate::module::loader::inspect::{Inspected, RefusedModule};
use crate::supervisor::Supervisor;

/// The modules of a host that have passed every check which needs no compiler, and the errors of the others.
#[derive(Debug)]
pub struct Inspection {
    /// The modules that can be compiled, in the order in which they were added.
    pub candidates: Vec<Candidate>,
    /// The errors of the other modules.
    pub errors: LoadErrors,
    /// The notices of the other modules' manifests, each with the path of its module.
    pub warnings: Vec<String>,
    pub(super) entries: Entries,
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

    /// The configured modules that are not to run: those that the configuration disables, and those that
    /// the operator removed.
    pub fn absent(&self) -> Vec<AbsentModule> {
        self.entries.absent()
    }

    /// The entries of the modules that the operator loaded in earlier runs, by their names.
    pub fn loaded_by_operator(&self) -> BTreeMap<ModuleName, ModuleConfig> {
        self.entries.loaded()
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
        let handle = HostHandle::new(self.supervisor.handle(), self.loader, engine, self.entries, self.strict);
        Ok((Host::new(self.supervisor, handle), self.candidates))
    }
}

/// The modules that have passed every check that needs no compiler, and what is wrong with the others.
pub(super) struct Checked {
    pub(super) candidates: Vec<Candidate>,
    pub(super) errors: LoadErrors,
    pub(super) warnings: Vec<String>,
    pub(super) selection: Selection,
}

/// Reads the files of every module, and ignores those that the selection does not admit. Refuses the later of two modules with one
/// name, and those for which no memory is left. A module that is refused for another reason takes neither its name nor memory, but
/// learns what else would refuse it.
pub(super) async fn inspect(loader: &Arc<Loader>, configured: Vec<ModuleConfig>, mut selection: Selection) -> Checked {
    let inspect = |module: ModuleConfig| {
        let loader = loader.clone();
        move || loader.inspect_all(&module)
    };
    let modules = selection.all(configured);
    let inspected = parallel(modules.iter().cloned().map(inspect)).await;
    let mut candidates: Vec<Candidate> = Vec::with_capacity(modules.len());
    let mut refused = Vec::new();
    for (config, inspected) in modules.iter().zip(inspected) {
        let name = match &inspected {
            Inspected::Candidate(candidate) => Some(&candidate.meta.name),
            Inspected::Refused(module) => module.name.as_ref().or(config.name.as_ref()),
        };
        if !selection.admits(config, name) {
            continue;
        }
        let mut candidate = match inspected {
            Inspected::Candidate(candidate) => *candidate,
            Inspected::Refused(module) => {
                refused.push(*module);
                continue;
            }
        };
        let name = &candidate.meta.name;
        let admitted = match !candidate.origin.is_faulty && has_name(&candidates, name) {
            true => Err(LoadError::DuplicateName { name: name.clone() }),
            false => loader.admit(&mut candidate),
        };
        match admitted {
            Ok(()) => candidates.push(candidate),
            Err(error) => refused.push(RefusedModule::of(&candidate, error)),
        }
    }
    check_between(loader, &candidates, &mut refused);
    let mut errors = LoadErrors::default();
    let mut warnings = Vec::new();
    for module in refused {
        let path = module.entry.path.display();
        warnings.extend(module.warnings.iter().map(|warning| format!("{path}: {warning}")));
        errors.extend(LoadErrors::of(&module.entry, module.errors));
    }
    Checked {
        candidates,
        errors,
        warnings,
        selection,
    }
}

/// Whether a candidate has this name. The name of a faulty entry is not known.
fn has_name(candidates: &[Candidate], name: &ModuleName) -> bool {
    let known = candidates.iter().filter(|candidate| !candidate.origin.is_faulty);
    known.map(|candidate| &candidate.meta.name).any(|other| other == name)
}

/// Adds the errors that refused modules would have if nothing else were wrong with them.
fn check_between(loader: &Loader, candidates: &[Candidate], refused: &mut [RefusedModule]) {
    let mut names = BTreeSet::new();
    let mut reservations = Vec::new();
    for RefusedModule {
        name,
        memory_bytes,
        errors,
        ..
    } in refused
    {
        if let Some(name) = name
            && (has_name(candidates, name) || !names.insert(name.clone()))
        {
            errors.push(LoadError::DuplicateName { name: name.clone() });
        }
        match memory_bytes.map(|bytes| loader.reserve(bytes)) {
            Some(Ok(reservation)) => reservations.push(reservation),
            Some(Err(error)) => errors.push(error),
            None => {}
        }
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
