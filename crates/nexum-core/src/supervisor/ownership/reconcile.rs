//! The work of a run for its membership: its runners agree with the newest tenure.

use std::collections::BTreeMap;

use nexum_config::causes::Causes;
use nexum_config::names::ModuleName;
use tokio::time::{Instant, sleep};

use super::{RETRY_AFTER, Step, Waiting};
use crate::membership::Tenure;
use crate::module::loader::Module;
use crate::runner::ModuleStatus;
use crate::state;
use crate::store::committer::{CommitError, Committer};
use crate::store::{Batch, StoreError};
use crate::supervisor::shutdown::Deadline;
use crate::supervisor::{Ending, Run, Then};

impl Run {
    /// Does a step for the membership.
    pub(in crate::supervisor) async fn take(&mut self, step: Step) {
        match step {
            Step::Reconcile => self.reconcile().await,
            Step::Settled(name) => {
                if let Some(ownership) = &self.ownership {
                    ownership.membership.release(&name);
                }
            }
            Step::Broken => {
                tracing::error!("the membership in the installation panicked: this is a fault of nexum");
                self.vacate("the membership in the installation has ended").await;
            }
        }
    }

    /// Whether the store takes the writes of this process. Requests wait until it does.
    pub(in crate::supervisor) fn may_write(&self) -> bool {
        let ownership = self.ownership.as_ref();
        ownership.is_none_or(|ownership| ownership.tenure.borrow().epoch.is_some())
    }

    /// Makes the runners agree with the newest tenure.
    pub(in crate::supervisor) async fn reconcile(&mut self) {
        let Some(ownership) = &mut self.ownership else { return };
        ownership.retry_at = None;
        let tenure = ownership.tenure.borrow_and_update().clone();
        if let Some(lost) = &tenure.lost {
            return self.vacate(&lost.text).await;
        }
        let moved: Vec<_> = ownership
            .running
            .iter()
            .filter(|(name, number)| tenure.leaving.contains_key(*name) || tenure.owned.get(*name) != Some(*number))
            .map(|(name, _)| name.clone())
            .collect();
        for (name, waiting) in &ownership.waiting {
            let elsewhere = tenure.elsewhere.get(name).map(|reason| &*reason.text);
            waiting
                .status
                .stand_by(elsewhere.unwrap_or("nexum looks for a node for the module"));
        }
        for name in moved {
            self.hand_over(&name);
        }
        self.take_owned(&tenure).await;
        if let Err(error) = self.answer().await {
            tracing::warn!(error = %Causes(&error), "nexum cannot answer queries yet");
            self.retry_soon();
        }
    }

    /// Reconciles again after a pause.
    fn retry_soon(&mut self) {
        if let Some(ownership) = &mut self.ownership {
            ownership.retry_at = Some(Instant::now() + RETRY_AFTER);
        }
    }

    /// Starts the runners of the modules that the process has begun to own.
    async fn take_owned(&mut self, tenure: &Tenure) {
        let Some(ownership) = &mut self.ownership else { return };
        let is_mine = |name: &ModuleName, waiting: &Waiting| {
            let number = tenure.owned.get(name).copied().unwrap_or(0);
            number > waiting.after && !tenure.leaving.contains_key(name)
        };
        let mine: BTreeMap<_, _> = ownership
            .waiting
            .extract_if(.., |name, waiting| is_mine(name, waiting))
            .collect();
        if mine.is_empty() {
            return;
        }
        let prepared = match self.stopped_in_store(&mine).await {
            Ok(()) => self.prepare_start(mine.values().map(|waiting| &*waiting.status)).await,
            Err(error) => Err(error),
        };
        let Some(ownership) = &mut self.ownership else { return };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let reason = format!("this node owns the module and cannot read its state: {error}");
                mine.values().for_each(|waiting| waiting.status.stand_by(&reason));
                tracing::warn!(error = %Causes(&error), "nexum cannot start the modules that it owns yet");
                ownership.waiting.extend(mine);
                return self.retry_soon();
            }
        };
        let is_initial = mine.values().all(|waiting| waiting.is_initial);
        let mut modules = Vec::with_capacity(mine.len());
        for (name, waiting) in mine {
            tracing::info!(module = name.as_str(), "this node takes the module over");
            waiting.status.take_over();
            ownership
                .running
                .insert(name.clone(), tenure.owned.get(&name).copied().unwrap_or(0));
            modules.push((waiting.status, waiting.mailbox));
        }
        self.start_now(modules, prepared, is_initial);
    }

    /// Makes each module begin as the operator wants, who may have changed it on another node.
    async fn stopped_in_store(&self, modules: &BTreeMap<ModuleName, Waiting>) -> Result<(), StoreError> {
        let rows = crate::store::blocking(&self.store, |store| state::operator_rows(&*store.view()?)).await?;
        for (name, waiting) in modules {
            match rows
                .get(name)
                .map_or(state::Wanted::Running, state::OperatorRow::wanted)
            {
                state::Wanted::Running => waiting.status.begin_running(),
                state::Wanted::Stopped | state::Wanted::Removed => waiting.status.begin_stopped(),
            }
        }
        Ok(())
    }

    /// Ends the runner of a module for another process, after its current event.
    fn hand_over(&mut self, name: &ModuleName) {
        if !self.ending.contains_key(name) {
            let ending = Ending {
                done: None,
                then: Then::HandOver,
            };
            self.end(name.clone(), ending);
        }
    }

    /// Releases a module whose runner has ended, as soon as the store has its last changes. Returns the number of
    /// the ownership.
    pub(in crate::supervisor) fn give_up(&mut self, name: &ModuleName) -> u64 {
        let Some(ownership) = &mut self.ownership else { return 0 };
        let Some(number) = ownership.running.remove(name) else {
            return 0;
        };
        let settled = settle(self.committer.clone(), name.clone(), ownership.is_ending);
        ownership.settling.spawn(settled);
        number
    }

    /// Makes a module wait for an ownership after the one with this number.
    pub(in crate::supervisor) fn wait_again(&mut self, name: &ModuleName, after: u64) {
        let Some(old) = self.modules.get(name).and_then(|module| module.events) else {
            return;
        };
        let (status, mailbox) = ModuleStatus::new(old.module(), self.expected.left.clone());
        status.stand_by("this node hands the module over");
        let waiting = Waiting {
            status: status.clone(),
            mailbox,
            is_initial: false,
            after,
        };
        self.modules.end_events(name);
        self.modules.set_events(status);
        if let Some(ownership) = &mut self.ownership {
            ownership.waiting.insert(name.clone(), waiting);
        }
    }

    /// Withdraws the offer of a module that has ended.
    pub(in crate::supervisor) fn withdraw(&mut self, name: &ModuleName) {
        if let Some(ownership) = &mut self.ownership {
            ownership.waiting.remove(name);
            ownership.offers.remove(name);
            ownership.membership.offer(ownership.offers.clone());
        }
    }

    /// Makes the version of this process the one that the installation runs.
    pub(in crate::supervisor) fn promote(&mut self, name: &ModuleName) {
        if let Some(ownership) = &mut self.ownership {
            ownership.membership.promote(name);
        }
    }

    /// Offers the new version of a module whose runner has taken it.
    pub(in crate::supervisor) fn offer_again(&mut self, module: &Module) {
        if let Some(ownership) = &mut self.ownership {
            ownership
                .offers
                .insert(module.meta.name.clone(), ownership.offer(module));
            ownership.membership.offer(ownership.offers.clone());
        }
        self.promote(&module.meta.name);
    }

    /// Ends all runners at once, without their events in hand, and confirms the loss of all modules.
    async fn vacate(&mut self, reason: &str) {
        self.runners.shutdown().await;
        self.names.clear();
        let Some(ownership) = &mut self.ownership else { return };
        let lost = ownership.abandon(reason).await;
        self.committer.discard(|key| state::owner(key).is_some()).await;
        for (name, number) in lost {
            match self.ending.remove(&name) {
                Some(ending) if ending.then != Then::HandOver => self.ended_by_request(&name, ending),
                _ => self.wait_again(&name, number),
            }
        }
        self.unfollow_unused();
        self.ownership
            .iter()
            .for_each(|ownership| ownership.confirm_loss(reason));
    }

    /// Hands all modules over at the end of a run.
    pub(in crate::supervisor) async fn hand_over_all(&mut self, deadline: &Deadline) {
        let Some(ownership) = &mut self.ownership else { return };
        ownership.is_ending = true;
        let names: Vec<_> = ownership.running.keys().cloned().collect();
        names.iter().for_each(|name| self.hand_over(name));
        loop {
            let Some(ownership) = &mut self.ownership else { return };
            if self.names.is_empty() && ownership.settling.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                Some(ended) = self.runners.join_next_with_id() => self.ended(ended),
                Some(settled) = ownership.settling.join_next() => {
                    if let Ok(Some(name)) = settled {
                        ownership.membership.release(&name);
                    }
                }
                () = deadline.passed() => return,
            }
        }
    }
}

/// Waits until the store has all changes of a module whose runner has ended. `None` if this process may no longer
/// write, or if it `is_ending` and the store fails: the others then take the module after the end of its lease.
async fn settle(committer: Committer, name: ModuleName, is_ending: bool) -> Option<ModuleName> {
    loop {
        match committer.commit(Batch::default()).await {
            Ok(_) => return Some(name),
            Err(CommitError::Store(error)) if !is_ending && !matches!(*error, StoreError::Fenced { .. }) => {
                sleep(RETRY_AFTER).await;
            }
            Err(_) => return None,
        }
    }
}
