//! The requests to a run in progress.

use std::sync::Arc;

use nexum_config::names::ModuleName;

use super::Run;
use super::error::SteerError;
use super::handle::{Request, Topics};
use super::start::{StartError, check_sources};
use crate::module::loader::Module;
use crate::module::query::Loaded;
use crate::runner::{ModuleStatus, topics};
use crate::state;
use crate::store::{self, StateStore};

impl Run {
    pub(super) async fn serve(&mut self, request: Request) {
        // The caller may have left.
        match request {
            Request::Add {
                modules,
                is_initial,
                done,
            } => drop(done.send(self.add(modules, is_initial).await)),
            Request::ReloadQuery(module, done) => drop(done.send(self.reload_query(*module).await)),
            Request::Intern(names, done) => drop(done.send(self.intern(names).await)),
            Request::Committer(done) => drop(done.send(Ok(self.committer.clone()))),
            Request::Follow(module, done) => drop(done.send(self.follow(&module).await)),
            Request::Remove(name, done) if self.queries.remove(&name) => drop(done.send(Ok(()))),
            Request::Remove(name, done) => {
                match self.modules.get(&name).filter(|_| !self.removed.contains_key(&name)) {
                    Some(status) if self.names.values().any(|running| *running == name) => {
                        status.end();
                        self.removed.insert(name, done);
                    }
                    // The module's runner has panicked.
                    Some(_) => {
                        self.modules.remove(&name);
                        drop(done.send(Ok(())));
                    }
                    None => drop(done.send(Err(SteerError::NoModule(name)))),
                }
            }
        }
    }

    async fn intern(&self, names: Vec<ModuleName>) -> Result<(), SteerError> {
        let intern = move |store: &dyn StateStore| state::intern(store, &names);
        store::blocking(&self.store, intern).await.map_err(StartError::Store)?;
        Ok(())
    }

    /// Starts those of the modules whose names are free, and returns the others.
    async fn add(&mut self, modules: Vec<Loaded>, is_initial: bool) -> Result<Vec<Loaded>, SteerError> {
        let is_taken = |module: &Loaded| {
            let name = &module.meta().name;
            self.modules.get(name).is_some() || self.queries.get(name).is_some()
        };
        let (taken, free): (Vec<_>, Vec<_>) = modules.into_iter().partition(is_taken);
        let (mut of_events, mut of_queries) = (Vec::new(), Vec::new());
        for module in free {
            match module {
                Loaded::Event(module) => of_events.push(*module),
                Loaded::Query(module) => of_queries.push(*module),
            }
        }
        check_sources(self.chains.sources(), &of_events)?;
        let left = &self.expected.left;
        let added = of_events.into_iter().map(Arc::new);
        let added: Vec<_> = added.map(|module| ModuleStatus::new(module, left.clone())).collect();
        let statuses: Vec<_> = added.iter().map(|(status, _)| status.clone()).collect();
        self.start(added, is_initial).await.map_err(StartError::Store)?;
        statuses.into_iter().for_each(|status| self.modules.insert(status));
        self.answer(of_queries).await.map_err(StartError::Store)?;
        Ok(taken)
    }

    /// Follows the chains of a module that will replace another one.
    async fn follow(&mut self, module: &Module) -> Result<Topics, SteerError> {
        check_sources(self.chains.sources(), [module])?;
        let followed = self.chains.open(&topics(module)).await.map_err(StartError::Store)?;
        // The chains start before the module reads them, because its position in a topic starts
        // there.
        self.chains.begin(module.required_chains.iter().copied());
        Ok(followed)
    }
}
