//! One task per module: it pulls the module's events in order, calls the handler, and commits the
//! changes.
//!
//! # Invariants
//!
//! - A runner handles its module's events one at a time, in the order of each chain's log.
//! - No runner blocks another, whatever it does or waits for.

mod awaited;
mod call;
mod calls;
mod catch_up;
mod commands;
mod effects;
mod failures;
mod feed;
mod lifecycle;
mod mailbox;
mod metrics;
mod place;
mod recording;
mod stage;
mod stall;
mod status;
mod step;
pub(crate) mod subscription_set;
mod transaction;

use std::sync::Arc;

use nexum_config::names::ModuleName;
use nexum_config::topic::Topic;

use crate::BoxError;
use crate::bus::source::{EventSource, SourceError};
use crate::event::Position;
use crate::module::failure::Failure;
use crate::module::loader::Module;
use crate::outage::Outage;
use crate::rate::Bucket;
use crate::store::StoreError;
use crate::store::committer::CommitError;

use calls::RecentCalls;
use failures::Failures;
use feed::Feed;
use lifecycle::Life;
use recording::Recording;
use stall::Stall;
use transaction::RevertFailed;

pub(crate) use call::{Call, CallError};
pub(crate) use feed::topics;
pub use mailbox::CommandError;
pub(crate) use mailbox::{Agreement, Decision, Mailbox};
pub use place::{ChainPosition, SchedulePosition, TopicPosition};
pub use stage::Stage;
pub use status::{
    Condition, EventMatch, FailureRecord, ModuleReport, ModuleStatus, Replaying, SubscriptionMatch, Success,
};
pub(crate) use transaction::Transaction;

/// The first pause after the store or a source fails, in milliseconds. For the store, each further
/// pause doubles.
const RETRY_DELAY_MS: u64 = 200;
/// The longest pause for the store, in milliseconds: the longest wait of an operator who has
/// repaired the cause.
const RETRY_DELAY_MS_MAX: u64 = 30_000;

/// Runs one module until nexum ends it, or until the module has failed too often.
pub(crate) struct Runner {
    module: Arc<Module>,
    transaction: Transaction,
    feeds: Vec<Feed>,
    /// The sources of the chains that the module requires and that have not been seen to work yet. Empty once its first
    /// `init` may run.
    awaited: Vec<Arc<dyn EventSource>>,
    /// The failures of `awaited` chains.
    awaited_outage: Outage,
    failures: Failures,
    recent_calls: RecentCalls,
    /// The failures of the store, until the module has caught up after them.
    stall: Option<Stall>,
    life: Life,
    status: Arc<ModuleStatus>,
    mailbox: Mailbox,
    /// The limiter of the event rate. `None` if the rate is unlimited.
    rate: Option<Bucket>,
    /// Whether nexum refuses the module if its next `init` fails.
    is_strict: bool,
    /// The notes for the ledger. `None` without one.
    recording: Option<Recording>,
}

/// The reason why a module died while the process continues.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Dead {
    #[error("{failures} failures in a row; the last: {last}")]
    TooManyFailures { failures: u32, last: Failure },
    #[error("its first `init` failed: {0}")]
    Refused(Failure),
    #[error("a chain that the module requires cannot be read")]
    NotReady(#[source] SourceError),
    #[error("the module has the maximum number or size of dead letters: retry or skip some, and restart it")]
    LettersMax,
    #[error(
        "the module has handled block {known} of chain {topic}, but the chain now has {canonical}, and they have no known \
         common ancestor: connect to a node of the module's chain, or remove the module's state with `nexum state purge \
         {module}` to start again"
    )]
    Diverged {
        module: ModuleName,
        topic: Topic,
        known: Position,
        canonical: Position,
    },
    #[error("chain {topic} is lost: {reason}")]
    ChainLost { topic: Topic, reason: Arc<str> },
    #[error("nexum cannot revert the module's state: remove it with `nexum state purge {module}` to start again")]
    Revert {
        module: ModuleName,
        #[source]
        failed: RevertFailed,
    },
}

/// An error that interrupts a runner's work.
enum StepError {
    Dead(Dead),
    /// The store cannot be written, which the committer reports. The runner waits and retries,
    /// because the operator may repair the store.
    Commit(CommitError),
    /// The store cannot be read. The runner reports it, waits and retries.
    Read(BoxError),
}

impl From<Dead> for StepError {
    fn from(dead: Dead) -> Self {
        Self::Dead(dead)
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::Read(error.into())
    }
}

impl From<CommitError> for StepError {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}
