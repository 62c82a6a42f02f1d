//! The port to an installation of several processes that share one store: which modules this process
//! runs.
//!
//! # Invariants
//!
//! - A runner runs only for a module that the process owns.
//! - Before the process gives a module up, its runner has ended, and the store has all of its changes.
//! - Two modules with a name of [`Offer::together`] in common never run on two processes at the same time.
//! - After a loss, the store refuses every write until the process has [vacated](Membership::vacate) its
//!   modules. So no change of a lost runner is written in a later ownership.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::reason::Reason;

/// The membership of this process in an installation.
///
/// The supervisor calls [`run`](Self::run) once. It reads the [`tenure`](Self::tenure), and makes its runners
/// agree with the newest one.
#[async_trait]
pub trait Membership: Send + Sync + Debug + 'static {
    /// The modules that the process owns now, and its later changes.
    fn tenure(&self) -> watch::Receiver<Tenure>;

    /// Replaces the modules that the process can run. The process keeps those that it owns until it
    /// [releases](Self::release) them. Must not block.
    fn offer(&self, offers: BTreeMap<ModuleName, Offer>);

    /// Makes this version of a module the one that the installation runs. Processes with another version hand
    /// the module over. Must not block.
    fn promote(&self, module: &ModuleName);

    /// Gives up a module whose runner has ended, and whose changes are all in the store. Must not block.
    fn release(&self, module: &ModuleName);

    /// Confirms a [loss](Tenure::lost): no runner is left, and no write of one waits. The process may then join again.
    /// Must not block.
    fn vacate(&self);

    /// Joins the installation, renews the membership until `stop`, and leaves. It has released everything by
    /// then that the process could release. It must survive any outage of the store.
    async fn run(&self, stop: CancellationToken);
}

/// The modules that a process owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenure {
    /// The modules that the process owns, each with the number of this ownership. A later ownership of the same
    /// module has a larger number. Numbers begin with 1.
    pub owned: BTreeMap<ModuleName, u64>,
    /// The owned modules that the process has to [release](Membership::release), with the reason.
    pub leaving: BTreeMap<ModuleName, Arc<str>>,
    /// Why the process does not run the modules that it [offers](Membership::offer) and does not own, such as the name of the node that does.
    pub elsewhere: BTreeMap<ModuleName, Reason>,
    /// The name of the node that owns each offered module, as far as the process knows.
    pub owners: BTreeMap<ModuleName, Arc<str>>,
    /// The number of the membership, which grows with each join. `None` while the process is not a member, and the
    /// store refuses its writes.
    pub epoch: Option<u64>,
    /// Why the process has lost all of its modules. It then owns none, and has to [vacate](Membership::vacate) them.
    pub lost: Option<Reason>,
}

/// A module that a process can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Identifies the component, its manifest, and its part of the configuration. All processes of an installation
    /// run the same version of a module.
    pub version: String,
    /// The chains that the module follows or requires. Processes take modules of one chain together.
    pub chains: BTreeSet<ChainId>,
    /// Names of what only one process may use at a time, such as an account that sends transactions. The modules that
    /// have a name in common, directly or over other modules, run on one process.
    pub together: BTreeSet<String>,
}
