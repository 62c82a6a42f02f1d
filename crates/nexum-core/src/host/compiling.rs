//! The compilations of several modules.

use std::sync::Arc;

use nexum_config::engine::ModuleConfig;
use tokio::task::{JoinError, JoinSet};

use super::loading::{Entry, Loading};
use crate::engine::Engine;
use crate::module::candidate::Candidate;
use crate::module::error::LoadError;
use crate::module::load_errors::LoadErrors;
use crate::module::loaded::Loaded;
use crate::module::loader::Loader;

/// Compilations in progress, each in a task of its own. They end when the value is dropped.
pub(super) struct Compiling(JoinSet<Outcome>);

/// The modules of ended compilations in the order of the candidates, and the errors of the others.
#[derive(Default)]
pub(super) struct Compiled {
    pub(super) modules: Vec<Loaded>,
    /// Keep the modules in the list of those that the host is loading.
    pub(super) entries: Vec<Entry>,
    pub(super) errors: LoadErrors,
}

/// The end of one compilation.
struct Outcome {
    index: usize,
    origin: ModuleConfig,
    entry: Entry,
    /// `None` if the load is cancelled.
    result: Option<Result<Loaded, LoadError>>,
}

impl Compiling {
    /// Begins to compile the candidates.
    pub(super) fn begin(loader: &Arc<Loader>, engine: &Engine, list: &Loading, candidates: Vec<Candidate>) -> Self {
        let mut tasks = JoinSet::new();
        for (index, candidate) in candidates.into_iter().enumerate() {
            let (loader, engine) = (loader.clone(), engine.clone());
            let entry = list.enter(&candidate);
            tasks.spawn(async move {
                let origin = candidate.origin.clone();
                let result = load(&loader, &engine, candidate, &entry).await;
                Outcome {
                    index,
                    origin,
                    entry,
                    result,
                }
            });
        }
        Self(tasks)
    }

    /// Waits for the end of a compilation, and returns all that have ended. Returns none after the last.
    pub(super) async fn next(&mut self) -> Option<Compiled> {
        let mut outcomes = vec![outcome(self.0.join_next().await?)];
        while let Some(ended) = self.0.try_join_next() {
            outcomes.push(outcome(ended));
        }
        Some(Compiled::of(outcomes))
    }

    /// Waits for the end of all compilations, and returns them. Returns none after the last.
    pub(super) async fn all(&mut self) -> Option<Compiled> {
        let mut outcomes = vec![outcome(self.0.join_next().await?)];
        while let Some(ended) = self.0.join_next().await {
            outcomes.push(outcome(ended));
        }
        Some(Compiled::of(outcomes))
    }
}

/// Compiles a candidate. Returns `None` if the load is cancelled before.
pub(super) async fn load(
    loader: &Loader,
    engine: &Engine,
    candidate: Candidate,
    entry: &Entry,
) -> Option<Result<Loaded, LoadError>> {
    let name = candidate.meta.name.clone();
    let loaded = tokio::select! {
        biased;
        () = entry.cancelled() => {
            tracing::info!(module = name.as_str(), "the load of the module is cancelled");
            return None;
        }
        loaded = loader.load_any(engine, candidate) => loaded,
    };
    entry.compiled();
    Some(loaded)
}

fn outcome(ended: Result<Outcome, JoinError>) -> Outcome {
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

impl Compiled {
    fn of(mut outcomes: Vec<Outcome>) -> Self {
        outcomes.sort_by_key(|outcome| outcome.index);
        let mut compiled = Self::default();
        for Outcome {
            origin, entry, result, ..
        } in outcomes
        {
            match result {
                Some(Ok(module)) => {
                    compiled.modules.push(module);
                    compiled.entries.push(entry);
                }
                Some(Err(error)) => compiled.errors.extend(LoadErrors::of(&origin, [error])),
                None => {}
            }
        }
        compiled
    }
}
