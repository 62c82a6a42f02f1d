//! The requests of the handle to the supervisor.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_config::topic::ChainTopic;
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

use super::error::SteerError;
use crate::bus::source::TopicHandle;
use crate::module::loaded::Loaded;
use crate::module::loader::Module;
use crate::module::query::QueryModule;
use crate::query::QueryPool;
use crate::store::committer::Committer;

/// A request to the supervisor.
#[derive(Debug)]
pub(super) enum Request {
    /// Starts modules. The answer has those whose names are taken.
    Add {
        modules: Vec<Loaded>,
        /// Whether the run began for them: see [`SupervisorHandle::start`].
        is_initial: bool,
        done: oneshot::Sender<Result<Vec<Loaded>, SteerError>>,
    },
    /// Replaces the parts of a module whose runner starts, ends, or does not exist.
    Exchange(Exchange, oneshot::Sender<Result<(), SteerError>>),
    /// Prepares the exchange of a module whose runner stays: follows the chains of the new module,
    /// and creates its pool.
    Prepare(
        Arc<Module>,
        Option<Box<QueryModule>>,
        oneshot::Sender<Result<Prepared, SteerError>>,
    ),
    Remove(ModuleName, oneshot::Sender<Result<(), SteerError>>),
    /// Makes the version of a reloaded module the one that all processes of the installation run.
    Reloaded(Arc<Module>, oneshot::Sender<Result<(), SteerError>>),
    /// Requests rows in the store for modules of these names.
    Intern(Vec<ModuleName>, oneshot::Sender<Result<(), SteerError>>),
    /// Requests the committer.
    Committer(oneshot::Sender<Result<Committer, SteerError>>),
}

/// A question whether the supervisor works.
#[derive(Debug)]
pub(super) struct Ping(pub(super) oneshot::Sender<()>);

impl Ping {
    pub(super) fn answer(self) {
        // The caller may have left.
        let _ = self.0.send(());
    }
}

/// The requests to a supervisor.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) pings: mpsc::Receiver<Ping>,
}

/// The new parts of a module.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) name: ModuleName,
    /// The new pool. `None` removes the pool.
    pub(super) queries: Option<Box<QueryModule>>,
    pub(super) runner: RunnerChange,
    /// The lock of the module's reloads. It is part of the request, because the caller may leave.
    pub(super) alone: OwnedMutexGuard<()>,
}

/// The change of a module's runner in an [`Exchange`].
#[derive(Debug)]
pub(super) enum RunnerChange {
    /// There is no runner, before and after.
    None,
    /// The module did not handle events before.
    Start { module: Box<Module>, is_stopped: bool },
    /// The module no longer handles events.
    End,
}

/// The requirements of a module that replaces another one.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The followed topics.
    pub(super) followed: BTreeMap<ChainTopic, TopicHandle>,
    pub(super) pool: Option<QueryPool>,
}
