//! A run in progress: it starts runners, and answers requests and ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use nexum_config::causes::Causes;
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainTopic;
use tokio::task::{Id, JoinError};
use tokio_util::sync::CancellationToken;

use super::inbox::Inbox;
use super::shutdown::Deadline;
use super::{Ending, ReadyToStart, Report, Run, Then, modules, ownership};
use crate::runner::{Mailbox, ModuleStatus, Runner, Stage, Transaction, topics};
use crate::service::ServiceContext;
use crate::state::{self, ModuleState};
use crate::store::{self, StateStore, StoreError};

impl Ending {
    pub(super) fn answer(self) {
        // The caller may have left.
        self.done.map(|done| done.send(Ok(())));
    }
}

impl Run {
    /// Starts these modules, and follows their chains. The run knows the initial modules from its configuration.
    /// A module that another process owns waits.
    pub(super) async fn start(
        &mut self,
        modules: Vec<(Arc<ModuleStatus>, Mailbox)>,
        is_initial: bool,
    ) -> Result<(), StoreError> {
        match &mut self.ownership {
            Some(ownership) => {
                ownership.wait_for(modules, is_initial);
                self.reconcile().await;
            }
            None => {
                let prepared = self.prepare_start(modules.iter().map(|(status, _)| &**status)).await?;
                self.start_now(modules, prepared, is_initial);
            }
        }
        Ok(())
    }

    /// The context of the services.
    pub(super) fn service_context(&self) -> ServiceContext {
        ServiceContext {
            tenure: self.ownership.as_ref().map(ownership::Ownership::tenure),
            ..ServiceContext::new(self.store.clone(), self.clock.clone())
        }
    }

    /// Loads the states of modules, and opens the logs of their topics.
    pub(super) async fn prepare_start<'a>(
        &mut self,
        modules: impl Iterator<Item = &'a ModuleStatus> + Clone,
    ) -> Result<ReadyToStart, StoreError> {
        let names: Vec<_> = modules.clone().map(|status| status.name().clone()).collect();
        let load = move |store: &dyn StateStore| {
            let ids = state::intern(store, &names)?;
            // Another process may have run the modules meanwhile.
            state::forget(store, &ids);
            let view = &*store.view()?;
            let states = ids.into_iter().map(|id| ModuleState::load_to_run(store, view, id));
            states.collect::<Result<Vec<_>, StoreError>>()
        };
        let states = store::blocking(&self.store, load).await?;
        let topics: BTreeSet<ChainTopic> = modules.flat_map(|status| topics(&status.module())).collect();
        let followed = self.chains.open(&topics).await?;
        Ok(ReadyToStart { states, followed })
    }

    /// Starts the runners of modules, and the sources of their chains.
    pub(super) fn start_now(
        &mut self,
        modules: Vec<(Arc<ModuleStatus>, Mailbox)>,
        prepared: ReadyToStart,
        is_initial: bool,
    ) {
        let ReadyToStart { states, followed } = prepared;
        let strict = is_initial && self.strict;
        let mut needed = BTreeSet::new();
        for ((status, mailbox), state) in modules.into_iter().zip(states) {
            let required = status.module().required_chains.clone();
            let sources = required
                .iter()
                .filter_map(|chain_id| self.chains.sources().get(chain_id));
            let sources: Vec<_> = sources.cloned().collect();
            needed.extend(required);
            if let Some((chain_id, trouble)) = sources
                .iter()
                .find_map(|source| Some((source.chain_id(), source.trouble()?)))
            {
                status.waits_in(chain_id, &trouble.text);
            }
            let name = status.name().clone();
            let (store, committer) = (self.store.clone(), self.committer.clone());
            let transaction = Transaction::new(state, store, committer, self.policy, self.clock.clone());
            let runner = Runner::new(status, mailbox, transaction, &followed, sources, is_initial, strict)
                .with_ledger(self.ledger.as_ref());
            let task = self.runners.spawn(runner.run());
            self.names.insert(task.id(), name);
        }
        self.chains.begin(needed);
    }

    /// Serves requests and watches tasks. Returns when the caller stops the run, or when no work is
    /// left.
    pub(super) async fn watch(&mut self, stop: &CancellationToken, mut inbox: Inbox) {
        let mut looks = tokio::time::interval(modules::LOOK_EVERY);
        loop {
            let left = self.expected.left.clone();
            tokio::select! {
                // The order matters, because a stop also ends the sources.
                biased;
                () = stop.cancelled() => return,
                () = left.notified() => {}
                Some(ended) = self.runners.join_next_with_id() => self.ended(ended),
                ended = self.chains.ended() => match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::error!(error = %Causes(&error), "a chain is lost");
                        self.lost_chains.lose(&error, self.clock.now_ms());
                        self.lost.push(error);
                    }
                    Err(panic) => tracing::error!(error = %panic, "a source panicked: this is a fault of nexum"),
                },
                Some(ping) = inbox.pings.recv() => ping.answer(),
                Some(request) = inbox.requests.recv(), if self.may_write() => self.serve_until(stop, request, &mut inbox.pings).await,
                step = ownership::next(&mut self.ownership) => self.take(step).await,
                now = looks.tick() => self.modules.discard_old(now),
            }
            if let Some(reason) = self.is_over() {
                tracing::error!("{reason}");
                return;
            }
        }
    }

    /// The reason why no work is left, or `None`. A run without any module waits for the operator.
    fn is_over(&self) -> Option<&'static str> {
        let is_removed = |name: &ModuleName| self.ending.get(name).is_some_and(|ending| ending.then == Then::Remove);
        let mut modules = self.modules.all_events();
        modules.retain(|status| !is_removed(status.name()));
        let mut alive = modules.iter().filter(|status| status.stage() != Stage::Dead).peekable();
        if modules.iter().any(|status| status.is_refused()) {
            return Some("a module is refused");
        }
        // Callers may query the modules as long as nexum runs, and a module that is still being loaded has work.
        let queries = self.modules.all_queries();
        let has_queries = queries.iter().any(|pool| !is_removed(pool.name())) || !self.unanswered.is_empty();
        if has_queries || !self.expected.is_none() {
            return None;
        }
        if !modules.is_empty() && alive.peek().is_none() {
            return Some("no module is left");
        }
        // The modules of a lost chain end by themselves, after they have handled its last events.
        let follows_none = |status: &Arc<ModuleStatus>| status.module().subscriptions.is_empty();
        let is_lost = !self.lost.is_empty() && self.chains.is_empty();
        (is_lost && alive.all(follows_none)).then_some("no chain is left")
    }

    /// Handles the end of a runner: a requested end, or a panic.
    pub(super) fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(panic) => panic.id(),
        };
        let Some(name) = self.names.remove(&id) else { return };
        let status = self.modules.get(&name).and_then(|module| module.events);
        if let (Err(panic), Some(status)) = (&ended, status) {
            tracing::error!(module = name.as_str(), error = %panic, "a module's runner panicked: this is a fault of nexum");
            status.end();
            status.die(panic);
        }
        if let Some(ending) = self.ending.remove(&name) {
            self.ended_by_request(&name, ending);
        }
    }

    pub(super) async fn finish(mut self, stopped: bool, deadline: &Deadline) -> Report {
        let modules = self.modules.all_events();
        let abandoned = self.end_all(deadline).await;
        Report {
            modules,
            lost_chains: self.lost,
            stopped,
            abandoned,
        }
    }
}
