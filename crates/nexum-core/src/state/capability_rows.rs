//! The rows of a capability: state that belongs to no module, such as the nonces of an account.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::rows;
use crate::store::{self, Batch, StateStore, StoreError, View, Visit};

/// The committed rows of one capability. No capability sees the rows of another one.
#[derive(Clone)]
pub struct CapabilityRows {
    store: Arc<dyn StateStore>,
    name: &'static str,
}

/// Changes of a capability's rows, which become durable together.
#[derive(Clone, Debug)]
pub struct RowChanges {
    name: &'static str,
    batch: Batch,
}

impl CapabilityRows {
    /// The rows of the capability with this name, which has no zero byte.
    pub fn new(store: Arc<dyn StateStore>, name: &'static str) -> Self {
        Self { store, name }
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// Fails if the store is not readable.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let view = self.store.view()?;
        view.get_async(&rows::capability(self.name, key)).await
    }

    /// The first `most` keys that begin with `prefix`, with their values, in order. With `after`, those after this key.
    ///
    /// # Errors
    ///
    /// Fails if the store is not readable.
    pub async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        most: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let view = self.store.view()?;
        let after = after.map(|key| rows::capability(self.name, key));
        let mut found = Vec::new();
        let prefix = rows::capability(self.name, prefix);
        let mut visit = |row: &[u8], value: &[u8]| {
            found.push((key_of(self.name, row).to_vec(), value.to_vec()));
            match found.len() < most {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        rows::scan_async(&*view, &prefix, after.as_deref(), &mut visit).await?;
        Ok(found)
    }

    /// No changes yet.
    pub fn changes(&self) -> RowChanges {
        RowChanges {
            name: self.name,
            batch: Batch::default(),
        }
    }

    /// Makes changes durable, beside the modules' commits.
    ///
    /// # Errors
    ///
    /// Fails if the store is not writable, and with [`StoreError::Conflict`] if a row is not as
    /// [required](RowChanges::require).
    pub async fn write(&self, changes: RowChanges) -> Result<(), StoreError> {
        store::blocking(&self.store, move |store| store.write(&changes.batch)).await
    }

    /// Whether this process may still act for the modules in the store: see [`StateStore::check_lease`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] if another process may have taken them over.
    pub fn check_lease(&self) -> Result<(), StoreError> {
        self.store.check_lease()
    }
}

/// Passes the rows of the capability with this name whose keys begin with `prefix` to `visit`, in order, until it breaks
/// off: for a program that only reads a store.
///
/// # Errors
///
/// Fails if the store is not readable.
pub fn capability_rows(view: &dyn View, name: &str, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
    let prefix = rows::capability(name, prefix);
    rows::scan(view, &prefix, &mut |row, value| visit(key_of(name, row), value))
}

/// The value of a key of the capability with this name, for a program that only reads a store.
///
/// # Errors
///
/// Fails if the store is not readable.
pub fn capability_row(view: &dyn View, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    view.get(&rows::capability(name, key))
}

/// The capability's key in the key of a row.
fn key_of<'a>(name: &str, row: &'a [u8]) -> &'a [u8] {
    row.get(rows::capability(name, &[]).len()..).unwrap_or_default()
}

impl RowChanges {
    /// Sets a key, or removes it if `value` is `None`.
    pub fn put(&mut self, key: &[u8], value: Option<Vec<u8>>) {
        self.batch.put(rows::capability(self.name, key), value);
    }

    /// Makes the changes depend on a key's value before them: `None` if the key must not exist. Only for
    /// [`CapabilityRows::write`]: a commit with those of other modules must not fail for it.
    pub fn require(&mut self, key: &[u8], value: Option<Vec<u8>>) {
        self.batch.require(rows::capability(self.name, key), value);
    }

    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    pub(crate) fn into_batch(self) -> Batch {
        self.batch
    }
}

/// Shows no store, whose `Debug` may be long.
impl fmt::Debug for CapabilityRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapabilityRows")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
