//! The port to where state lives: an ordered map of bytes that takes batches of changes, each whole or not at all.
//!
//! What nexum keeps there, and under which keys, is [`state`](crate::state)'s matter: a back-end needs to know nothing of it.

pub(crate) mod committer;
mod memory;
mod metrics;

use std::fmt::Debug;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::BoxError;

pub use memory::MemoryStore;

/// The most bytes of a key, whatever made it.
pub const KEY_BYTES_MAX: usize = 2_048;

/// An ordered map from bytes to bytes.
///
/// Every method may block on a disk. Almost every [`write`](Self::write) is the committer's; a few, of modules that do not run, are
/// made beside it, so writes that come at one time must be made one after another.
pub trait StateStore: Send + Sync + Debug + 'static {
    /// What is written by now. Later writes may show through, so a reader sees to it that what it reads is not written
    /// meanwhile: a module's rows are written for its own events alone, one at a time.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn view(&self) -> Result<Box<dyn View>, StoreError>;

    /// What is written by now, which no later write may change. May hold writes up for as long as it is held.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn frozen(&self) -> Result<Box<dyn View>, StoreError>;

    /// Makes all of these changes, in order, or none of them; they must be durable when it returns. After an error it may be
    /// either, but never a part, and the next call has to try again whatever can be mended by trying again: a full disk may
    /// have room by then.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    fn write(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Gives back what room it can. The default does nothing.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    fn compact(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What a store holds.
pub trait View: Send + Sync + Debug {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Shows the keys between two bounds and their values to `visit`, in the keys' order, until it breaks off; none where the
    /// bounds are in the wrong order. Must not read much further than it shows.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<(), StoreError>;
}

/// The keys between two bounds.
pub type Range<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Sees a key and its value, and says whether to go on.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Changes to a store, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    bytes: usize,
}

impl Batch {
    /// Sets a key, whatever it was before.
    pub fn set(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.put(key, Some(value));
    }

    /// Removes a key, if it is there.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.put(key, None);
    }

    /// Sets a key, or removes it where there is no value.
    pub fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        self.changes.push((key, value));
    }

    /// Adds the changes of another, after its own.
    pub fn append(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.changes.extend(other.changes);
    }

    /// Each change: a key, and its new value or none.
    pub fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes.iter().map(|(key, value)| (&key[..], value.as_deref()))
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Does work on a store on a thread that may block. A panic in it is a failure of the back-end.
pub(crate) async fn blocking<T: Send + 'static>(
    store: &Arc<dyn StateStore>,
    work: impl FnOnce(&dyn StateStore) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = store.clone();
    let done = tokio::task::spawn_blocking(move || work(&*store)).await;
    done.unwrap_or_else(|panic| Err(StoreError::backend(panic)))
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The back-end failed: a disk that is full or broken. It may be mended while the process runs.
    #[error("the state store failed")]
    Backend(#[source] BoxError),
    /// A row is not what this program wrote.
    #[error("the state store is damaged: {0}")]
    Damaged(String),
    /// The store was written by another version.
    #[error("the state store has format {found}, and this program reads format {expected}")]
    Format {
        /// Its format.
        found: u32,
        /// Ours.
        expected: u32,
    },
}

impl StoreError {
    /// A failure of the back-end.
    pub fn backend(error: impl Into<BoxError>) -> Self {
        Self::Backend(error.into())
    }
}
