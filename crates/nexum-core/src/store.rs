//! The port to the state's storage: an ordered map of bytes that applies batches of changes
//! atomically.
//!
//! [`state`](crate::state) defines the keys and values. A back-end does not depend on them.

mod answer;
pub(crate) mod committer;
mod memory;
mod metrics;
pub(crate) mod outage;

use std::fmt::Debug;
use std::ops::{Bound, ControlFlow};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::causes::Causes;

use crate::BoxError;

pub use answer::{Answer, wait};
pub use memory::MemoryStore;

/// The most bytes of a key.
pub const KEY_BYTES_MAX: usize = 2_048;

/// An ordered map from bytes to bytes.
///
/// A method may block its thread on a disk, or for a bounded time on a network, so the core calls it
/// on a [blocking thread](blocking). The exceptions are [`view`](Self::view), which never waits for
/// a network, and the methods with an [`Answer`]. Host functions use only these.
///
/// The committer makes almost every [`write`](Self::write). Writes for modules that do not run happen
/// beside it, so the store must serialise concurrent writes.
pub trait StateStore: Send + Sync + Debug + 'static {
    /// Returns a view of the current content. Later writes may be visible in the view, so a reader
    /// ensures that no write changes the rows that it reads: a module's rows only change with the
    /// module's own events, one at a time.
    ///
    /// # Errors
    ///
    /// Fails if the store is not readable.
    fn view(&self) -> Result<Box<dyn View>, StoreError>;

    /// Returns a view of the current content that no later write changes. Each query holds one during
    /// its call, so the view must not delay writes. To bound its memory, it may delay them after
    /// many changes, until it is dropped.
    ///
    /// # Errors
    ///
    /// Fails if the store is not readable.
    fn frozen(&self) -> Result<Box<dyn View>, StoreError>;

    /// The view of [`frozen`](Self::frozen), for code that must not block its thread on a network.
    /// The default answers at once.
    fn frozen_async(&self) -> Answer<'_, Box<dyn View>> {
        answer::at_once(self.frozen())
    }

    /// Applies all changes of the batch in order, or none of them. Applies none if the store does not have
    /// what the batch [requires](Batch::require). The changes must be durable when this returns. After an error the store has all of them or none, never a part. The next call
    /// has to retry everything that a retry can repair, because a full disk may have room by then.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written, and with [`StoreError::Conflict`] if a requirement is not met.
    fn write(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Frees unused space, as far as possible. The default does nothing.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written.
    fn compact(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether other processes write the store too. The default is false.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether this process may still act for the modules in the store. A [shared](Self::is_shared) store reads a clock that
    /// also counts the time in which the process or the machine was suspended. Must not block.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] if another process may have taken the modules over.
    fn check_lease(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether the data outlives the process. The default is true.
    fn is_durable(&self) -> bool {
        true
    }

    /// Returns the location of the data, for the report of a failure. This must work while the
    /// store fails. The default is `None`, for a store without a disk.
    fn location(&self) -> Option<Location> {
        None
    }

    /// Reads all keys that begin with a prefix into the memory of this process, if they are few. The
    /// default does nothing, for a store without a cache.
    ///
    /// # Errors
    ///
    /// Fails if the store is not readable.
    fn prefetch(&self, _prefix: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    /// Removes all keys that begin with one of the prefixes from the memory of this process, because
    /// other processes may change them from now on. The default does nothing, for a store without a
    /// cache.
    fn forget(&self, _prefixes: &[Vec<u8>]) {}
}

/// The location of a store's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file or directory, or the name of a database.
    pub path: PathBuf,
    /// The free bytes of the file system at the path. `None` if the system does not say.
    pub free_bytes: Option<u64>,
}

/// A view of a store's content.
///
/// A method with an [`Answer`] must not block its thread on a network. Its default answers at once,
/// which suits a store on this machine: a page in memory takes about a microsecond to read, less than
/// a switch to another thread.
pub trait View: Send + Sync + Debug {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// Fails if the store is not readable.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// [`get`](Self::get) for host functions.
    fn get_async<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Vec<u8>>> {
        answer::at_once(self.get(key))
    }

    /// Passes the keys between two bounds and their values to `visit`, in order, until it breaks
    /// off. Bounds in the wrong order contain no keys. The view must not read much further than it
    /// visits.
    ///
    /// # Errors
    ///
    /// Fails if the store is not readable.
    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// [`scan`](Self::scan) for host functions.
    fn scan_async<'a>(&'a self, range: Range<'a>, visit: &'a mut VisitAsync<'_>) -> Answer<'a, ()> {
        answer::at_once(self.scan(range, visit))
    }
}

/// The keys between two bounds.
pub type Range<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Whether no key can be between two bounds. A `BTreeMap` panics on most of these ranges.
pub fn is_empty(range: Range<'_>) -> bool {
    match range {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from >= to,
    }
}

/// Receives a key and its value, and decides whether the scan continues.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A [`Visit`] that can move to another thread.
pub type VisitAsync<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + Send + 'a;

/// Changes to a store, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    required: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    bytes: usize,
}

impl Batch {
    /// Makes the batch depend on a key's value before the batch: `None` if the key must not exist. Another
    /// process may write the store too, so its rows can change after a read.
    pub fn require(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.required.push((key, value));
    }

    /// The keys that must have these values before the batch.
    pub fn required(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.required.iter().map(|(key, value)| (&key[..], value.as_deref()))
    }

    /// Whether the store has what the batch requires, with a function that reads the current value of a key.
    ///
    /// # Errors
    ///
    /// Returns the errors of `get`.
    pub fn is_met<E>(&self, mut get: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, E>) -> Result<bool, E> {
        for (key, value) in self.required() {
            if get(key)?.as_deref() != value {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sets a key.
    pub fn set(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.put(key, Some(value));
    }

    /// Removes a key, if it exists.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.put(key, None);
    }

    /// Sets a key, or removes it if `value` is `None`.
    pub fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        self.changes.push((key, value));
    }

    /// Appends the changes of another batch.
    pub fn append(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.changes.extend(other.changes);
        self.required.extend(other.required);
    }

    /// All changes: each has a key and its new value, or `None` for a removal.
    pub fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes.iter().map(|(key, value)| (&key[..], value.as_deref()))
    }

    /// The size of all keys and values, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the batch has no changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Runs work on a store on a blocking thread.
///
/// # Errors
///
/// Returns the error of the work. A panic in the work counts as a failure of the back-end.
pub async fn blocking<T: Send + 'static>(
    store: &Arc<dyn StateStore>,
    work: impl FnOnce(&dyn StateStore) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = store.clone();
    let done = tokio::task::spawn_blocking(move || work(&*store)).await;
    done.unwrap_or_else(|panic| Err(StoreError::backend(panic)))
}

/// The pause before another look at a store that cannot be reached.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// [`blocking`] for work at the start of a process, which repeats until a [shared](StateStore::is_shared) store can be
/// reached: its database may restart at this moment.
pub(crate) async fn when_reachable<T: Send + 'static>(
    store: &Arc<dyn StateStore>,
    work: fn(&dyn StateStore) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut has_said = false;
    loop {
        let error = match blocking(store, work).await {
            Err(error @ StoreError::Backend(_)) if store.is_shared() => error,
            done => return done,
        };
        if !std::mem::replace(&mut has_said, true) {
            tracing::warn!(target: "nexum::store", error = %Causes(&error), "nexum waits for the state store");
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// An error of a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The back-end failed, for example because a disk is full or broken. The operator may repair
    /// it while the process runs.
    #[error("the state store failed")]
    Backend(#[source] BoxError),
    /// A row does not have this program's format.
    #[error("the state store is damaged: {0}")]
    Damaged(String),
    /// Another version wrote the store.
    #[error("the state store has format {found}, and this program reads format {expected}")]
    Format {
        /// The store's format.
        found: u32,
        /// The format of this program.
        expected: u32,
    },
    /// The store does not have what the batch requires, because another process has written it. Nothing is
    /// written.
    #[error("another process has changed the state meanwhile")]
    Conflict,
    /// Another process writes the store now. No later write of this process succeeds.
    #[error("another process has taken over the state: epoch {epoch} of this process has ended")]
    Fenced {
        /// The number of the period in which this process was allowed to write.
        epoch: u64,
    },
}

impl StoreError {
    /// Creates a failure of the back-end.
    pub fn backend(error: impl Into<BoxError>) -> Self {
        Self::Backend(error.into())
    }
}
