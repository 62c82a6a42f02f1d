//! The modules of an installation of several processes: which of them this process runs.
//!
//! A module that the process does not own is *waiting*: it is compiled and linked, and has no runner.
//!
//! # Invariants
//!
//! - A module has a runner only while the process owns it.
//! - The process releases a module only after the module's runner has ended and the store has its last changes.

mod reconcile;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nexum_config::names::{Digest, ModuleName};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::shutdown::Deadline;
use crate::membership::{Membership, Offer, Tenure};
use crate::module::loader::Module;
use crate::runner::{Mailbox, ModuleStatus, topics};

/// The pause after the store has failed to start or to release a module, before the retry.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The membership of a run, and the modules that wait.
pub(super) struct Ownership {
    membership: Arc<dyn Membership>,
    tenure: watch::Receiver<Tenure>,
    /// The modules without a runner.
    waiting: BTreeMap<ModuleName, Waiting>,
    /// The numbers of the ownerships of the modules with a runner.
    running: BTreeMap<ModuleName, u64>,
    offers: BTreeMap<ModuleName, Offer>,
    together: BTreeMap<ModuleName, BTreeSet<String>>,
    /// The last writes of modules whose runners have ended.
    settling: JoinSet<Option<ModuleName>>,
    /// The time of the next attempt to start modules.
    retry_at: Option<Instant>,
    /// Whether the run ends, so that a store that fails does not delay it.
    is_ending: bool,
    /// The membership's own task, and the token that ends it.
    task: JoinSet<()>,
    left: CancellationToken,
}

/// A module without a runner.
struct Waiting {
    status: Arc<ModuleStatus>,
    mailbox: Mailbox,
    is_initial: bool,
    /// The number of the last ownership, which has ended.
    after: u64,
}

/// Something that a run has to do for its membership.
pub(super) enum Step {
    /// The tenure has changed, or the store may work again.
    Reconcile,
    /// The store has all changes of a module whose runner has ended.
    Settled(ModuleName),
    /// The membership's task has ended by itself.
    Broken,
}

impl Ownership {
    /// Joins the installation.
    pub(super) fn begin(membership: Arc<dyn Membership>, together: BTreeMap<ModuleName, BTreeSet<String>>) -> Self {
        let left = CancellationToken::new();
        let mut task = JoinSet::new();
        let (member, token) = (membership.clone(), left.clone());
        task.spawn(async move { member.run(token).await });
        Self {
            tenure: membership.tenure(),
            membership,
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            offers: BTreeMap::new(),
            together,
            settling: JoinSet::new(),
            retry_at: None,
            is_ending: false,
            task,
            left,
        }
    }

    /// The modules that the process owns.
    pub(super) fn tenure(&self) -> watch::Receiver<Tenure> {
        self.tenure.clone()
    }

    /// Offers modules, which wait until the process owns them.
    pub(super) fn wait_for(&mut self, modules: Vec<(Arc<ModuleStatus>, Mailbox)>, is_initial: bool) {
        for (status, mailbox) in modules {
            status.stand_by("nexum has not joined the installation yet");
            let name = status.name().clone();
            self.offers.insert(name.clone(), self.offer(&status.module()));
            let after = self.waiting.remove(&name).map_or(0, |replaced| replaced.after);
            let waiting = Waiting {
                status,
                mailbox,
                is_initial,
                after,
            };
            self.waiting.insert(name, waiting);
        }
        self.membership.offer(self.offers.clone());
    }

    /// The offer of a module.
    fn offer(&self, module: &Module) -> Offer {
        let meta = &module.meta;
        let together = self.together.get(&meta.name).cloned().unwrap_or_default();
        let manifest = meta.manifest.map(|digest| digest.to_string()).unwrap_or_default();
        let mut text = format!("{} {manifest}", meta.digest);
        for (key, value) in &meta.config {
            text.extend(["\n", key, "=", value]);
        }
        // All processes that run a version agree on what it uses. A key has a name before its `=`.
        together.iter().for_each(|name| text.extend(["\n=", name]));
        let followed = topics(module).into_iter().map(|topic| topic.chain_id);
        Offer {
            version: Digest::of(text.as_bytes()).to_string(),
            chains: followed.chain(module.required_chains.iter().copied()).collect(),
            together,
        }
    }

    /// Ends the last writes of all modules, and returns the modules that had a runner. There is nothing to release.
    async fn abandon(&mut self, reason: &str) -> BTreeMap<ModuleName, u64> {
        self.settling.shutdown().await;
        let running = std::mem::take(&mut self.running);
        if !running.is_empty() {
            let modules = running.len();
            tracing::error!(
                modules,
                reason,
                "nexum has lost its modules, and joins the installation again"
            );
        }
        running
    }

    /// Confirms the loss of all modules, which now wait.
    fn confirm_loss(&self, reason: &str) {
        let waiting = self.waiting.values();
        waiting.for_each(|waiting| waiting.status.stand_by(reason));
        self.membership.vacate();
    }

    /// Leaves the installation. Every runner has ended.
    pub(super) async fn leave(mut self, deadline: &Deadline) {
        self.left.cancel();
        let left = async { while self.task.join_next().await.is_some() {} };
        if !deadline.bound(left).await {
            tracing::error!(
                "nexum ends without leaving the installation: the other nodes wait for the end of its lease"
            );
        }
    }
}

/// The next step for the membership. Waits forever without one.
pub(super) async fn next(ownership: &mut Option<Ownership>) -> Step {
    let Some(ownership) = ownership else {
        return std::future::pending().await;
    };
    let retry_at = ownership.retry_at;
    tokio::select! {
        biased;
        Some(settled) = ownership.settling.join_next() => match settled {
            Ok(Some(name)) => Step::Settled(name),
            Ok(None) | Err(_) => Step::Reconcile,
        },
        Ok(()) = ownership.tenure.changed() => Step::Reconcile,
        _ = ownership.task.join_next() => Step::Broken,
        () = sleep_until(retry_at.unwrap_or_else(Instant::now)), if retry_at.is_some() => Step::Reconcile,
    }
}
