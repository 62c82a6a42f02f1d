//! One event, one transaction: what a handler has written so far, over what was committed before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::Handler;
use crate::store::{ModuleId, Snapshot, StateStore, StoreError, Write};

/// The transaction of the handler that is running.
///
/// Capabilities reach it through their view. Reads see the handler's own writes, then a snapshot that is taken at the
/// first read. What was written is committed when the handler returns ok, and gone otherwise.
#[derive(Debug)]
pub struct EventScope {
    module: ModuleId,
    store: Arc<dyn StateStore>,
    handler: Handler,
    snapshot: Option<Box<dyn Snapshot>>,
    overlay: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl EventScope {
    pub(crate) fn new(module: ModuleId, store: Arc<dyn StateStore>) -> Self {
        Self {
            module,
            store,
            handler: Handler::Init,
            snapshot: None,
            overlay: BTreeMap::new(),
        }
    }

    /// Opens the transaction of a handler, without the writes and the snapshot of the one before.
    pub(crate) fn open(&mut self, handler: Handler) {
        self.handler = handler;
        self.snapshot = None;
        self.overlay.clear();
    }

    /// Closes the transaction and returns what was written, each key once.
    pub(crate) fn close(&mut self) -> Vec<Write> {
        self.snapshot = None;
        std::mem::take(&mut self.overlay).into_iter().collect()
    }

    /// The handler that is running, with its event.
    pub fn handler(&self) -> Handler {
        self.handler
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.overlay.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.snapshot()?.get(key),
        }
    }

    /// Sets a key, or deletes it where `value` is none.
    pub fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.overlay.insert(key, value);
    }

    /// Up to `limit` keys that start with `prefix`, in order.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn keys(&mut self, prefix: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        // Each key that the overlay deletes can hide one stored key.
        let enough = limit.saturating_add(self.overlay.len());
        let stored = self.snapshot()?.keys(prefix, None, enough)?;
        let mut keys: BTreeMap<Vec<u8>, ()> = stored.into_iter().map(|key| (key, ())).collect();
        let written = self
            .overlay
            .range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix));
        for (key, value) in written {
            match value {
                Some(_) => keys.insert(key.clone(), ()),
                None => keys.remove(key),
            };
        }
        Ok(keys.into_keys().take(limit).collect())
    }

    fn snapshot(&mut self) -> Result<&dyn Snapshot, StoreError> {
        match &mut self.snapshot {
            Some(snapshot) => Ok(&**snapshot),
            none => Ok(&**none.insert(self.store.snapshot(self.module)?)),
        }
    }
}
