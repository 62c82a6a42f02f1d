//! The change of several modules of a run in one step.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::names::ModuleName;
use tokio::task::{JoinError, JoinSet};

use super::error::SteerError;
use super::handle::SupervisorHandle;
use super::inbox::{Exchange, RunnerChange};
use crate::module::loaded::Loaded;
use crate::runner::{Agreement, Decision};

/// A change of several modules.
#[derive(Debug, Default)]
pub(crate) struct Together {
    /// The new modules. Their names are free.
    pub(crate) added: Vec<Loaded>,
    /// The modules that replace others of their names.
    pub(crate) reloaded: Vec<Loaded>,
    /// The modules that end.
    pub(crate) removed: Vec<ModuleName>,
}

/// The module that refuses a change, and why.
pub(crate) type Failed = (ModuleName, SteerError);

/// Runners that have their new module, and wait for the decision.
#[derive(Default)]
struct Waiting {
    /// The reloads in progress.
    reloads: JoinSet<(ModuleName, Result<(), SteerError>)>,
    decisions: Vec<Decision>,
}

impl SupervisorHandle {
    /// Changes all of these modules, or none. First every runner that stays finishes its current event,
    /// and the `init` of its new module returns ok. Then the added modules start, all runners take their
    /// new modules, and the removed modules end after their current events.
    ///
    /// The parts of a module that gains or loses its runner are exchanged before the decision. They stay
    /// exchanged if a later exchange fails, because the store fails or another command removes its module.
    /// The log then names them.
    ///
    /// # Errors
    ///
    /// Fails with the first module that refuses its change. All other modules continue as before.
    pub(crate) async fn change(&self, change: Together) -> Result<(), Failed> {
        let Together {
            added,
            reloaded,
            removed,
        } = change;
        // First, because a task on the stored state can prevent it for long, and a runner that waits for the
        // decision handles no event.
        let adds_modules = !added.is_empty() || reloaded.iter().any(|module| !self.keeps_runner(module));
        let _may_load = match adds_modules {
            true => Some(self.may_load().await),
            false => None,
        };
        let mut waiting = Waiting::default();
        let mut exchanges = Vec::new();
        // In the order of the names, so that two changes cannot wait for each other.
        let reloaded: BTreeMap<_, _> = reloaded
            .into_iter()
            .map(|module| (module.meta.name.clone(), module))
            .collect();
        for (name, module) in reloaded {
            let begun = self.begin_reload(&name, module, &mut waiting).await;
            exchanges.extend(begun.map_err(|error| (name, error))?);
        }
        waiting.all_ready().await?;
        let names: Vec<_> = added.iter().map(|module| module.meta.name.clone()).collect();
        self.add_all(added).await?;
        let mut exchanged = Vec::new();
        for exchange in exchanges {
            let name = exchange.name.clone();
            if let Err(error) = self.exchange_now(exchange).await {
                if !exchanged.is_empty() {
                    tracing::error!(
                        modules = exchanged.join(", "),
                        "the change failed, and these modules have changed"
                    );
                }
                self.remove_all(names).await;
                return Err((name, error));
            }
            exchanged.push(name.to_string());
        }
        waiting.decide().await;
        self.remove_all(removed).await;
        Ok(())
    }

    /// Whether the module handles events, as the running one of its name does.
    fn keeps_runner(&self, module: &Loaded) -> bool {
        let running = self.get(&module.meta.name).ok().and_then(|running| running.runner());
        module.events.is_some() && running.is_some()
    }

    /// Begins the reload of a module whose runner stays. Returns the exchange of another one.
    async fn begin_reload(
        &self,
        name: &ModuleName,
        module: Loaded,
        waiting: &mut Waiting,
    ) -> Result<Option<Exchange>, SteerError> {
        let alone = self.get(name)?.reloads.lock_owned().await;
        let is_stopped = module.is_stopped;
        let running = self.get(name)?;
        let runner = match (running.runner(), module.events) {
            (Some(status), Some(events)) => {
                let (agreement, decision) = Agreement::new();
                waiting.decisions.push(decision);
                let (handle, name) = (self.clone(), name.clone());
                waiting.reloads.spawn(async move {
                    let reload =
                        handle.reload_running(&status, Arc::new(*events), module.queries, alone, Some(agreement));
                    (name, reload.await)
                });
                return Ok(None);
            }
            (None, Some(module)) => RunnerChange::Start { module, is_stopped },
            (_, None) if running.events.is_some() => RunnerChange::End,
            (_, None) => RunnerChange::None,
        };
        Ok(Some(Exchange {
            name: name.clone(),
            queries: module.queries,
            runner,
            alone,
        }))
    }

    /// Starts all of these modules, or none.
    async fn add_all(&self, modules: Vec<Loaded>) -> Result<(), Failed> {
        let Some(first) = modules.first().map(|module| module.meta.name.clone()) else {
            return Ok(());
        };
        let names: Vec<_> = modules.iter().map(|module| module.meta.name.clone()).collect();
        let taken = self.add_now(modules, false).await.map_err(|error| (first, error))?;
        match taken.first().map(|module| module.meta.name.clone()) {
            None => Ok(()),
            Some(name) => {
                let is_taken = |name: &ModuleName| taken.iter().any(|module| module.meta.name == *name);
                self.remove_all(names.into_iter().filter(|name| !is_taken(name)).collect())
                    .await;
                Err((name.clone(), SteerError::Exists(name)))
            }
        }
    }

    /// Ends these modules side by side, and waits for their ends.
    async fn remove_all(&self, names: Vec<ModuleName>) {
        let mut removals = JoinSet::new();
        for name in names {
            let handle = self.clone();
            // A module that has been removed meanwhile is no error.
            removals.spawn(async move { drop(handle.remove(&name).await) });
        }
        while removals.join_next().await.is_some() {}
    }
}

impl Waiting {
    /// Waits until all runners are ready.
    async fn all_ready(&mut self) -> Result<(), Failed> {
        for decision in &mut self.decisions {
            loop {
                tokio::select! {
                    biased;
                    Some(ended) = self.reloads.join_next() => {
                        // Without a decision, a reload only ends because it fails.
                        if let (name, Err(error)) = outcome(ended) {
                            return Err((name, error));
                        }
                    }
                    ready = &mut decision.ready => match ready {
                        Ok(()) => break,
                        // The end of the reload says why. It may be there already.
                        Err(_) => tokio::task::yield_now().await,
                    },
                }
            }
        }
        Ok(())
    }

    /// Lets all runners take their new modules, and waits until they have.
    async fn decide(mut self) {
        self.decisions.drain(..).for_each(Decision::agree);
        while let Some(ended) = self.reloads.join_next().await {
            if let (name, Err(error)) = outcome(ended) {
                let module = name.as_str();
                tracing::error!(module, %error, "the module has changed, and continues from its stored state");
            }
        }
    }
}

fn outcome<T>(ended: Result<T, JoinError>) -> T {
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
