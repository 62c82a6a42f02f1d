//! One task for each module: pulls its events in order, calls its handler, commits.
//!
//! Invariant: a module's events are handled one at a time, in the order of each chain's log. Invariant: nothing that one
//! runner does or waits for holds up another.

mod catch_up;
mod commands;
mod failures;
mod feed;
mod lifecycle;
mod mailbox;
mod metrics;
mod stage;
mod status;
mod step;
mod subscription_set;
mod transaction;

use std::sync::Arc;

use nexum_config::topic::Topic;

use crate::BoxError;
use crate::event::Position;
use crate::module::instance::Failure;
use crate::module::loader::Module;
use crate::rate::Bucket;
use crate::store::StoreError;
use crate::store::committer::CommitError;

use failures::Failures;
use feed::Feed;
use lifecycle::Life;
use transaction::RevertFailed;

pub(crate) use feed::topics;
pub use mailbox::CommandError;
pub(crate) use mailbox::Mailbox;
pub use stage::Stage;
pub use status::{ModuleStatus, Replaying};
pub(crate) use transaction::Transaction;

/// The first pause before the store, or a source, is asked again after it failed; for the store it doubles each time.
const RETRY_DELAY_MS: u64 = 200;
/// The longest such pause: an operator who has mended the cause should not wait longer than this.
const RETRY_DELAY_MS_MAX: u64 = 30_000;

/// Runs one module until it is told to stop, or has failed too often.
pub(crate) struct Runner {
    module: Arc<Module>,
    transaction: Transaction,
    feeds: Vec<Feed>,
    failures: Failures,
    life: Life,
    status: Arc<ModuleStatus>,
    mailbox: Mailbox,
    /// None where events may come as fast as the module can.
    rate: Option<Bucket>,
    /// Whether the module is refused when its next `init` fails.
    is_strict: bool,
}

/// Why a module has ended while the process goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Dead {
    #[error("{failures} failures in a row; the last: {last}")]
    TooManyFailures { failures: u32, last: Failure },
    #[error("its first `init` failed: {0}")]
    Refused(Failure),
    #[error("its dead letters are as many or as large as the limits allow: retry or skip some, and restart it")]
    LettersMax,
    #[error(
        "the module has handled block {known} of chain {topic}, which now has {canonical} in its place, and no block before \
         it is known to both: remove the module's state to begin anew, or connect to a node of the chain that it followed"
    )]
    Diverged {
        topic: Topic,
        known: Position,
        canonical: Position,
    },
    #[error("chain {topic} is lost: {reason}")]
    ChainLost { topic: Topic, reason: Arc<str> },
    #[error("what the module did cannot be taken back: remove its state to begin anew")]
    Revert(#[source] RevertFailed),
}

/// Why a runner does not just go on.
enum StepError {
    Dead(Dead),
    /// The store failed. It may be mended, so nothing is given up.
    Store(BoxError),
}

impl From<Dead> for StepError {
    fn from(dead: Dead) -> Self {
        Self::Dead(dead)
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl From<CommitError> for StepError {
    fn from(error: CommitError) -> Self {
        Self::Store(error.into())
    }
}
