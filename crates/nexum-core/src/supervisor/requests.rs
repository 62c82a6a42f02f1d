//! The requests to a run in progress.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use nexum_config::names::ModuleName;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::error::SteerError;
use super::inbox::{Exchange, Ping, Prepared, Request, RunnerChange};
use super::start::{StartError, check_sources};
use super::{Ending, Run, Then};
use crate::module::loaded::Loaded;
use crate::module::loader::Module;
use crate::module::query::QueryModule;
use crate::runner::{ModuleStatus, topics};
use crate::state;
use crate::store::{self, StateStore, StoreError};

impl Run {
    /// Serves a request, and answers pings meanwhile: the store can take long. A stop abandons the
    /// request.
    pub(super) async fn serve_until(
        &mut self,
        stop: &CancellationToken,
        request: Request,
        pings: &mut mpsc::Receiver<Ping>,
    ) {
        let mut serving = pin!(self.serve(request));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = &mut serving => return,
                Some(ping) = pings.recv() => ping.answer(),
            }
        }
    }

    async fn serve(&mut self, request: Request) {
        // The caller may have left.
        match request {
            Request::Add {
                modules,
                is_initial,
                done,
            } => drop(done.send(self.add(modules, is_initial).await)),
            Request::Exchange(exchange, done) => self.exchange(exchange, done).await,
            Request::Intern(names, done) => drop(done.send(self.intern(names).await)),
            Request::Committer(done) => drop(done.send(Ok(self.committer.clone()))),
            Request::Prepare(module, queries, done) => drop(done.send(self.prepare(&module, queries).await)),
            Request::Remove(name, done) => self.remove(name, done),
            Request::Reloaded(module, done) => {
                self.offer_again(&module);
                self.unfollow_unused();
                drop(done.send(Ok(())));
            }
        }
    }

    /// Removes a module, after the end of its runner if it has one.
    fn remove(&mut self, name: ModuleName, done: oneshot::Sender<Result<(), SteerError>>) {
        let is_removed = match self.ending.get_mut(&name) {
            Some(ending) if ending.then == Then::Remove => true,
            Some(ending) => {
                // The runner ends already, because a reload has changed the kind of the module, or because
                // another process takes the module over.
                let removal = Ending {
                    done: Some(done),
                    then: Then::Remove,
                };
                return std::mem::replace(ending, removal).answer();
            }
            None => self.modules.get(&name).is_none(),
        };
        match is_removed {
            true => drop(done.send(Err(SteerError::NoModule(name)))),
            false => self.end(
                name,
                Ending {
                    done: Some(done),
                    then: Then::Remove,
                },
            ),
        }
    }

    /// Ends the runner of a module, and then the module or its part that handles events.
    pub(super) fn end(&mut self, name: ModuleName, ending: Ending) {
        let status = self.modules.get(&name).and_then(|module| module.events);
        match status {
            Some(status) if self.names.values().any(|running| *running == name) => {
                status.end();
                self.ending.insert(name, ending);
            }
            // There is no runner, or it has panicked.
            _ => self.ended_by_request(&name, ending),
        }
    }

    pub(super) fn ended_by_request(&mut self, name: &ModuleName, ending: Ending) {
        let released = self.give_up(name);
        match ending.then {
            Then::Remove => self.modules.remove(name),
            Then::EndEvents => self.modules.end_events(name),
            Then::HandOver => self.wait_again(name, released),
        }
        if ending.then != Then::HandOver {
            self.withdraw(name);
        }
        self.unfollow_unused();
        ending.answer();
    }

    /// Ends the sources of the chains that no module uses any more.
    pub(super) fn unfollow_unused(&mut self) {
        let mut used = BTreeSet::new();
        for name in self.names.values() {
            let Some(status) = self.modules.get(name).and_then(|module| module.events) else {
                continue;
            };
            let module = status.module();
            used.extend(topics(&module).iter().map(|topic| topic.chain_id));
            used.extend(&module.required_chains);
        }
        // A lost chain stays lost.
        used.extend(self.lost.iter().map(|lost| lost.chain_id));
        self.chains.retain(&used);
    }

    /// Replaces the parts of a module. A runner that has to end delays the answer, and no other
    /// part.
    async fn exchange(&mut self, exchange: Exchange, done: oneshot::Sender<Result<(), SteerError>>) {
        let Exchange {
            name,
            queries,
            runner,
            alone: _alone,
        } = exchange;
        let ends = matches!(runner, RunnerChange::End);
        match self.replace(&name, queries, runner).await {
            Ok(()) if ends => self.end(
                name,
                Ending {
                    done: Some(done),
                    then: Then::EndEvents,
                },
            ),
            outcome => drop(done.send(outcome)),
        }
    }

    async fn replace(
        &mut self,
        name: &ModuleName,
        queries: Option<Box<QueryModule>>,
        runner: RunnerChange,
    ) -> Result<(), SteerError> {
        if self.modules.get(name).is_none() || self.ending.contains_key(name) {
            return Err(SteerError::NoModule(name.clone()));
        }
        let pool = self.pool(queries).await?;
        if let RunnerChange::Start { module, is_stopped } = runner {
            if self.names.values().any(|running| running == name) {
                return Err(SteerError::TakenOver(name.clone()));
            }
            check_sources(self.chains.sources(), [&*module])?;
            let started = self.start_all(vec![(*module, is_stopped)], false).await;
            started.map_err(StartError::Store)?;
            self.promote(name);
        }
        self.modules.replace_queries(name, pool);
        Ok(())
    }

    /// Starts the runners of these modules. Each module comes with whether it begins stopped.
    async fn start_all(&mut self, modules: Vec<(Module, bool)>, is_initial: bool) -> Result<(), StoreError> {
        let left = &self.expected.left;
        let added = modules.into_iter().map(|(module, is_stopped)| {
            let (status, mailbox) = ModuleStatus::new(Arc::new(module), left.clone());
            if is_stopped {
                status.begin_stopped();
            }
            (status, mailbox)
        });
        let added: Vec<_> = added.collect();
        let statuses: Vec<_> = added.iter().map(|(status, _)| status.clone()).collect();
        self.start(added, is_initial).await?;
        statuses.into_iter().for_each(|status| self.modules.set_events(status));
        Ok(())
    }

    async fn intern(&self, names: Vec<ModuleName>) -> Result<(), SteerError> {
        let intern = move |store: &dyn StateStore| state::intern(store, &names);
        store::blocking(&self.store, intern).await.map_err(StartError::Store)?;
        Ok(())
    }

    /// Starts those of the modules whose names are free, and returns the others.
    async fn add(&mut self, modules: Vec<Loaded>, is_initial: bool) -> Result<Vec<Loaded>, SteerError> {
        let is_taken = |module: &Loaded| self.modules.get(&module.meta.name).is_some();
        let (taken, free): (Vec<_>, Vec<_>) = modules.into_iter().partition(is_taken);
        let (mut of_events, mut of_queries) = (Vec::new(), Vec::new());
        for module in free {
            let is_stopped = module.is_stopped;
            of_events.extend(module.events.map(|module| (*module, is_stopped)));
            of_queries.extend(module.queries.map(|module| *module));
        }
        check_sources(self.chains.sources(), of_events.iter().map(|(module, _)| module))?;
        let pools = self.pools(of_queries).await.map_err(StartError::Store)?;
        self.start_all(of_events, is_initial).await.map_err(StartError::Store)?;
        pools.into_iter().for_each(|pool| self.modules.set_queries(pool));
        Ok(taken)
    }

    /// Prepares the exchange of a module whose runner stays.
    async fn prepare(&mut self, module: &Module, queries: Option<Box<QueryModule>>) -> Result<Prepared, SteerError> {
        check_sources(self.chains.sources(), [module])?;
        let pool = self.pool(queries).await?;
        let followed = self.chains.open(&topics(module)).await.map_err(StartError::Store)?;
        // The chains start before the module reads them, because its position in a topic starts
        // there.
        self.chains.begin(module.required_chains.iter().copied());
        Ok(Prepared { followed, pool })
    }
}
