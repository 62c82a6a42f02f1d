//! Makes the commits of many modules one durable transaction.
//!
//! Rows that need not be durable at once, such as the cursor of a module whose event wrote nothing, wait in memory for the next
//! transaction, or for [`CommitPolicy::cursor_flush`].
//!
//! Invariant: a commit that is acknowledged is durable. Invariant: a module's commits are made in the order in which it
//! sent them, and a row that waits is never durable before what was committed ahead of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::metrics::CommitterMetrics;
use super::{Batch, StateStore, StoreError, blocking};

/// How many commits one transaction takes at most, so that none of them waits for a long one: at this size a durable
/// transaction's fixed cost is already well under a tenth of the whole.
pub(crate) const COMMITS_PER_TRANSACTION_MAX: usize = 256;

/// After how many bytes a transaction takes no further commit: what a disk writes in some tens of milliseconds.
pub(crate) const BYTES_PER_TRANSACTION_MAX: usize = 16 << 20;

/// When things become durable that may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitPolicy {
    /// How long the cursor of an event that wrote nothing may wait. Default one second: after a crash so much is handled
    /// again that left no trace.
    pub cursor_flush: Duration,
    /// How many events of a module that replays history make one commit. Default 64.
    pub replay_commit_events: usize,
}

impl Default for CommitPolicy {
    fn default() -> Self {
        Self {
            cursor_flush: Duration::from_secs(1),
            replay_commit_events: 64,
        }
    }
}

/// Where runners hand in their commits.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    requests: mpsc::Sender<Request>,
    lazy: Lazy,
}

/// Rows that become durable with the next transaction, at the latest after [`CommitPolicy::cursor_flush`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Lazy {
    shared: Arc<LazyShared>,
}

#[derive(Debug, Default)]
struct LazyShared {
    rows: Mutex<LazyRows>,
    first: Notify,
}

/// Each row's new value, or none where it is removed.
type LazyRows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

#[derive(Debug)]
struct Request {
    batch: Batch,
    done: oneshot::Sender<Result<(), Arc<StoreError>>>,
}

/// Why a commit was not made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The transaction that it was part of failed. It may have been made all the same.
    #[error("the commit failed")]
    Store(#[source] Arc<StoreError>),
    /// The committer has stopped.
    #[error("the committer has stopped")]
    Stopped,
}

impl Committer {
    /// A committer, and the task that does its work: it runs until every clone of the committer is gone, and ends with
    /// everything durable.
    pub(crate) fn new(
        store: Arc<dyn StateStore>,
        policy: CommitPolicy,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (requests, queue) = mpsc::channel(COMMITS_PER_TRANSACTION_MAX);
        let lazy = Lazy::default();
        let work = Work {
            store,
            lazy: lazy.clone(),
            flush_after: policy.cursor_flush,
            flush_at: None,
            metrics: CommitterMetrics::new(),
        };
        (Self { requests, lazy }, work.run(queue))
    }

    /// Returns when the changes are durable, all of them, with the rows that waited when this was called.
    ///
    /// # Errors
    ///
    /// When the store failed: then all of it has happened, or nothing, and only the store can say which.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let (done, answer) = oneshot::channel();
        self.requests
            .send(Request { batch, done })
            .await
            .map_err(|_| CommitError::Stopped)?;
        answer
            .await
            .map_err(|_| CommitError::Stopped)?
            .map_err(CommitError::Store)
    }

    /// Rows that may wait.
    pub(crate) fn lazy(&self) -> &Lazy {
        &self.lazy
    }
}

impl Lazy {
    /// Has a row set, or removed where there is no value, in place of what waited for this key.
    pub(crate) fn put(&self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let mut rows = self.shared.rows.lock();
        let is_first = rows.is_empty();
        rows.insert(key, value);
        drop(rows);
        if is_first {
            self.shared.first.notify_one();
        }
    }

    /// Forgets what waits for this key.
    pub(crate) fn cancel(&self, key: &[u8]) {
        self.shared.rows.lock().remove(key);
    }

    fn take(&self) -> LazyRows {
        std::mem::take(&mut *self.shared.rows.lock())
    }

    /// Puts back what could not be written, unless something newer waits.
    fn put_back(&self, rows: LazyRows) {
        let mut waiting = self.shared.rows.lock();
        let newer = std::mem::replace(&mut *waiting, rows);
        waiting.extend(newer);
        drop(waiting);
        self.shared.first.notify_one();
    }
}

/// What the committer's task has.
struct Work {
    store: Arc<dyn StateStore>,
    lazy: Lazy,
    flush_after: Duration,
    /// When the rows that wait have waited long enough.
    flush_at: Option<Instant>,
    metrics: CommitterMetrics,
}

impl Work {
    async fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut requests = Vec::new();
        loop {
            let flush_at = self.flush_at;
            tokio::select! {
                received = queue.recv_many(&mut requests, COMMITS_PER_TRANSACTION_MAX) => {
                    if received == 0 {
                        break;
                    }
                    self.commit(&mut requests).await;
                }
                () = self.lazy.shared.first.notified(), if flush_at.is_none() => {
                    self.flush_at = Some(Instant::now() + self.flush_after);
                }
                () = tokio::time::sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => {
                    self.write(Batch::default()).await.unwrap_or_else(|error| report(&error));
                }
            }
        }
        self.write(Batch::default())
            .await
            .unwrap_or_else(|error| report(&error));
    }

    /// Makes these commits, in as many transactions as their size asks for.
    async fn commit(&mut self, requests: &mut Vec<Request>) {
        let mut requests = requests.drain(..).peekable();
        while requests.peek().is_some() {
            let (mut batch, mut waiting) = (Batch::default(), Vec::new());
            while batch.bytes() < BYTES_PER_TRANSACTION_MAX
                && let Some(request) = requests.next()
            {
                batch.append(request.batch);
                waiting.push(request.done);
            }
            let result = self.write(batch).await;
            match &result {
                Ok(()) => self.metrics.commits(waiting.len()),
                Err(error) => report(error),
            }
            for done in waiting {
                // A runner that no longer waits has been stopped by force; its commit stands.
                let _ = done.send(result.clone());
            }
        }
    }

    /// One transaction, of the rows that wait and then these changes.
    async fn write(&mut self, changes: Batch) -> Result<(), Arc<StoreError>> {
        let rows = self.lazy.take();
        self.flush_at = None;
        if rows.is_empty() && changes.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        for (key, value) in &rows {
            batch.put(key.clone(), value.clone());
        }
        batch.append(changes);
        let since = Instant::now();
        let result = blocking(&self.store, move |store| store.write(&batch)).await;
        let result = result.map_err(Arc::new);
        self.metrics.transaction(result.is_ok(), since.elapsed());
        if result.is_err() {
            self.lazy.put_back(rows);
            self.flush_at = Some(Instant::now() + self.flush_after);
        }
        result
    }
}

fn report(error: &Arc<StoreError>) {
    tracing::error!(
        target: "nexum::store",
        error = &**error as &(dyn std::error::Error + 'static),
        "the state store cannot be written: what it acknowledged is safe, and what it did not is done again"
    );
}
