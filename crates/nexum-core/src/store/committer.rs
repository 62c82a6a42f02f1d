//! Combines the commits of many modules in one durable transaction.
//!
//! Lazy rows, such as the cursor of a module after an event without changes, wait in memory for the
//! next transaction, or for [`CommitPolicy::cursor_flush`].
//!
//! # Invariants
//!
//! - An acknowledged commit is durable.
//! - The committer applies a module's commits in the order in which the module sent them. A lazy
//!   row never becomes durable before an earlier commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::metrics::CommitterMetrics;
use super::outage::StoreOutage;
use super::{Batch, StateStore, StoreError, blocking};
use crate::clock::Clock;

/// The most commits of one transaction, so that no commit waits for a long one. At this number, the
/// fixed cost of a durable transaction is well under a tenth of the whole.
pub(crate) const COMMITS_PER_TRANSACTION_MAX: usize = 256;

/// The bytes after which a transaction accepts no further commit: a disk writes this many in some
/// tens of milliseconds.
pub(crate) const BYTES_PER_TRANSACTION_MAX: usize = 16 << 20;

/// When deferrable changes become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitPolicy {
    /// The longest wait of a cursor after an event without changes. Default one second: after a
    /// crash, nexum repeats this much work, which left no trace.
    pub cursor_flush: Duration,
    /// The most events of a replay in one commit. Default 64.
    pub replay_commit_events: usize,
    /// How long the record of an effect stays after no reorganisation can revert its event. Default a week.
    pub effects_keep: Duration,
}

impl Default for CommitPolicy {
    fn default() -> Self {
        Self {
            cursor_flush: Duration::from_secs(1),
            replay_commit_events: 64,
            effects_keep: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// A handle to the committer, for runners. A clone is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    requests: mpsc::Sender<Request>,
    lazy: Lazy,
    reads: Arc<StoreOutage>,
}

/// Rows that become durable with the next transaction, at the latest after
/// [`CommitPolicy::cursor_flush`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Lazy {
    shared: Arc<LazyShared>,
}

#[derive(Debug, Default)]
struct LazyShared {
    rows: Mutex<LazyRows>,
    first: Notify,
}

/// Each row's new value, or `None` for a removal.
type LazyRows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

#[derive(Debug)]
enum Request {
    Commit(CommitRequest),
    /// Discards the lazy rows with these keys, between two transactions.
    Discard(fn(&[u8]) -> bool, oneshot::Sender<()>),
}

#[derive(Debug)]
struct CommitRequest {
    batch: Batch,
    /// The number of commits in the transaction.
    done: oneshot::Sender<Result<usize, Arc<StoreError>>>,
}

/// An error of a commit.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The commit's transaction failed. The store may have applied it all the same.
    #[error("the commit failed")]
    Store(#[source] Arc<StoreError>),
    /// The committer has stopped.
    #[error("the committer has stopped")]
    Stopped,
}

impl Committer {
    /// Creates a committer, and the task that does its work. The task runs until the last clone of
    /// the committer is dropped, and everything is durable when it ends.
    pub(crate) fn new(
        store: Arc<dyn StateStore>,
        policy: CommitPolicy,
        clock: Arc<dyn Clock>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (requests, queue) = mpsc::channel(COMMITS_PER_TRANSACTION_MAX);
        let lazy = Lazy::default();
        let reads = Arc::new(StoreOutage::of_reads(store.clone(), clock.clone()));
        let work = Work {
            writes: StoreOutage::of_writes(store.clone(), clock),
            store,
            lazy: lazy.clone(),
            flush_after: policy.cursor_flush,
            flush_at: None,
            metrics: CommitterMetrics::new(),
        };
        (Self { requests, lazy, reads }, work.run(queue))
    }

    /// Returns after all changes are durable, together with the lazy rows that waited at the time
    /// of the call. The result is the number of commits in the transaction.
    ///
    /// # Errors
    ///
    /// Fails if the store fails. The store then has applied all changes or none, and only the store
    /// knows which.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<usize, CommitError> {
        let (done, answer) = oneshot::channel();
        self.requests
            .send(Request::Commit(CommitRequest { batch, done }))
            .await
            .map_err(|_| CommitError::Stopped)?;
        answer
            .await
            .map_err(|_| CommitError::Stopped)?
            .map_err(CommitError::Store)
    }

    /// Discards the lazy rows whose keys match. Every earlier commit has been written or has failed when
    /// this returns.
    pub(crate) async fn discard(&self, matches: fn(&[u8]) -> bool) {
        let (done, discarded) = oneshot::channel();
        if self.requests.send(Request::Discard(matches, done)).await.is_ok() {
            let _ = discarded.await;
        }
    }

    /// The lazy rows.
    pub(crate) fn lazy(&self) -> &Lazy {
        &self.lazy
    }

    /// The outages of reads, which the runners report. The committer reports those of its writes.
    pub(crate) fn reads(&self) -> &StoreOutage {
        &self.reads
    }
}

impl Lazy {
    /// Sets a lazy row, or removes it if `value` is `None`. Replaces a waiting change of this key.
    pub(crate) fn put(&self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let mut rows = self.shared.rows.lock();
        let is_first = rows.is_empty();
        rows.insert(key, value);
        drop(rows);
        if is_first {
            self.shared.first.notify_one();
        }
    }

    /// Cancels the waiting change of this key.
    pub(crate) fn cancel(&self, key: &[u8]) {
        self.shared.rows.lock().remove(key);
    }

    /// Cancels the waiting changes of the keys that match.
    fn cancel_all(&self, matches: fn(&[u8]) -> bool) {
        self.shared.rows.lock().retain(|key, _| !matches(key));
    }

    fn take(&self) -> LazyRows {
        std::mem::take(&mut *self.shared.rows.lock())
    }

    /// Restores rows after a failed write, except those with a newer waiting change.
    fn put_back(&self, rows: LazyRows) {
        let mut waiting = self.shared.rows.lock();
        let newer = std::mem::replace(&mut *waiting, rows);
        waiting.extend(newer);
        drop(waiting);
        self.shared.first.notify_one();
    }
}

/// The state of the committer's task.
struct Work {
    store: Arc<dyn StateStore>,
    lazy: Lazy,
    flush_after: Duration,
    /// The time at which the lazy rows have to become durable.
    flush_at: Option<Instant>,
    writes: StoreOutage,
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
                    self.serve(&mut requests).await;
                }
                () = self.lazy.shared.first.notified(), if flush_at.is_none() => {
                    self.flush_at = Some(Instant::now() + self.flush_after);
                }
                () = tokio::time::sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => {
                    self.flush().await;
                }
            }
        }
        self.flush().await;
    }

    /// Makes the lazy rows durable. After a failure they wait for the next transaction.
    async fn flush(&mut self) {
        let _ = self.write(Batch::default()).await;
    }

    /// Serves these requests, in their order.
    async fn serve(&mut self, requests: &mut Vec<Request>) {
        let mut commits = Vec::new();
        for request in requests.drain(..) {
            match request {
                Request::Commit(commit) => commits.push(commit),
                Request::Discard(matches, done) => {
                    self.commit(&mut commits).await;
                    self.lazy.cancel_all(matches);
                    // The caller may have left.
                    let _ = done.send(());
                }
            }
        }
        self.commit(&mut commits).await;
    }

    /// Makes these commits, in as many transactions as their size requires.
    async fn commit(&mut self, commits: &mut Vec<CommitRequest>) {
        let mut commits = commits.drain(..).peekable();
        while commits.peek().is_some() {
            let (mut batch, mut waiting) = (Batch::default(), Vec::new());
            while batch.bytes() < BYTES_PER_TRANSACTION_MAX
                && let Some(commit) = commits.next()
            {
                batch.append(commit.batch);
                waiting.push(commit.done);
            }
            let result = self.write(batch).await;
            if result.is_ok() {
                self.metrics.commits(waiting.len());
            }
            let group = waiting.len();
            for done in waiting {
                // A runner that no longer waits was aborted. Its commit is durable all the same.
                let _ = done.send(result.clone().map(|()| group));
            }
        }
    }

    /// Makes one transaction of the lazy rows and then these changes. Reports a failure.
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
        match &result {
            Ok(()) => self.writes.ended().await,
            Err(error) => {
                self.lazy.put_back(rows);
                self.flush_at = Some(Instant::now() + self.flush_after);
                self.writes.failed(&**error).await;
            }
        }
        result
    }
}
