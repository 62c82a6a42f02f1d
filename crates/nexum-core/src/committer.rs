//! Makes the commits of many modules one durable transaction.
//!
//! Invariant: a commit that is acknowledged is durable. Invariant: a module's commits are made in the order in which it
//! sent them.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::store::{Commit, StateStore, StoreError};

/// How many commits one transaction takes at most, so that none of them waits for a long one: at this size a durable
/// transaction's fixed cost is already well under a tenth of the whole.
pub const COMMITS_PER_TRANSACTION_MAX: usize = 256;

/// Where runners hand in their commits.
#[derive(Clone, Debug)]
pub struct Committer {
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
struct Request {
    commit: Commit,
    done: oneshot::Sender<Result<(), Arc<StoreError>>>,
}

/// Why a commit was not made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The transaction that it was part of failed.
    #[error("the commit failed")]
    Store(#[source] Arc<StoreError>),
    /// The committer has stopped.
    #[error("the committer has stopped")]
    Stopped,
}

impl Committer {
    /// A committer, and the task that does its work: it runs until every clone of the committer is gone.
    pub fn new(store: Arc<dyn StateStore>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (requests, queue) = mpsc::channel(COMMITS_PER_TRANSACTION_MAX);
        (Self { requests }, work(store, queue))
    }

    /// Returns when the commit is durable.
    ///
    /// # Errors
    ///
    /// When the store failed: then nothing of the commit has happened.
    pub async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let (done, answer) = oneshot::channel();
        self.requests
            .send(Request { commit, done })
            .await
            .map_err(|_| CommitError::Stopped)?;
        answer
            .await
            .map_err(|_| CommitError::Stopped)?
            .map_err(CommitError::Store)
    }
}

async fn work(store: Arc<dyn StateStore>, mut queue: mpsc::Receiver<Request>) {
    let mut requests = Vec::new();
    while queue.recv_many(&mut requests, COMMITS_PER_TRANSACTION_MAX).await > 0 {
        let (commits, waiting): (Vec<_>, Vec<_>) = requests
            .drain(..)
            .map(|request: Request| (request.commit, request.done))
            .unzip();
        let store = store.clone();
        let result = tokio::task::spawn_blocking(move || store.commit(&commits)).await;
        let result = result
            .unwrap_or_else(|panic| Err(StoreError::Backend(panic.into())))
            .map_err(Arc::new);
        for done in waiting {
            // A runner that no longer waits has been stopped by force; its commit stands.
            let _ = done.send(result.clone());
        }
    }
}
