//! The import of a module's rows.

use nexum_config::names::ModuleName;

use super::{BATCH_BYTES, Row};
use crate::state::module::ProgressRow;
use crate::state::{DeadLetter, Effect, ModuleId, Part, rows, undo, with_new_numbers};
use crate::store::{Batch, StateStore, StoreError};

/// The most bytes of the rows of capabilities in one import. They are in memory at once, and become durable in one
/// transaction.
pub const CAPABILITY_IMPORT_BYTES_MAX: usize = 256 << 20;

/// Imports the rows of a module, which exists only after the last row.
#[derive(Debug)]
pub struct Import<'a> {
    store: &'a dyn StateStore,
    name: ModuleName,
    id: ModuleId,
    batch: Batch,
}

/// An error of importing a module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The store already has a module of this name.
    #[error("the store already has a module {0}")]
    Exists(ModuleName),
    /// The store already has rows of a capability that the export has too.
    #[error("the store already has some of these rows")]
    RowsExist,
    /// The rows of capabilities are larger than [`CAPABILITY_IMPORT_BYTES_MAX`].
    #[error("the rows are larger than {} bytes", CAPABILITY_IMPORT_BYTES_MAX)]
    TooLarge,
    /// A row does not have the store's format.
    #[error("the export is damaged: {0}")]
    Row(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<'a> Import<'a> {
    /// Starts the import of a module that the store does not have.
    ///
    /// # Errors
    ///
    /// Fails if the store has the module, or is not usable.
    pub fn begin(store: &'a dyn StateStore, name: &ModuleName) -> Result<Self, ImportError> {
        crate::state::open(store)?;
        let id = with_new_numbers(store, |known, next, batch| {
            if known.iter().any(|(known, _)| known == name) {
                return Err(ImportError::Exists(name.clone()));
            }
            let id = next();
            batch.set(rows::orphan(id), Vec::new());
            Ok(id)
        })?;
        Ok(Self {
            store,
            name: name.clone(),
            id,
            batch: Batch::default(),
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// Fails if the row is damaged, or if the store cannot be written.
    pub fn take(&mut self, row: Row) -> Result<(), ImportError> {
        let damaged = |error: StoreError| ImportError::Row(error.to_string());
        match row {
            Row::State { key, value } => self.batch.set(rows::state(self.id, &key), value),
            Row::Undo { sequence, record } => {
                undo::decode(&record).map_err(damaged)?;
                self.batch.set(rows::undo(self.id, sequence), record);
            }
            Row::DeadLetter(record) => {
                let letter = DeadLetter::decode(&record).map_err(damaged)?;
                self.batch.set(rows::dead_letter(self.id, &letter.id), record);
            }
            Row::Effect(record) => {
                let effect = Effect::decode(&record).map_err(damaged)?;
                self.batch.set(effect.row(self.id), record);
            }
            Row::Transcript(record) => {
                let part = Part::decode(&record).map_err(damaged)?;
                self.batch.set(part.row(self.id), record);
            }
            Row::Header {
                chain_id,
                block,
                parent,
            } => {
                let value = parent.map_or(Vec::new(), Vec::from);
                self.batch.set(rows::header(chain_id, block), value);
            }
            Row::Progress(row) => {
                rows::decode::<ProgressRow>(&row, "a module's cursors").map_err(damaged)?;
                self.batch.set(rows::progress(self.id), row);
            }
        }
        if self.batch.bytes() >= BATCH_BYTES {
            self.store.write(&std::mem::take(&mut self.batch))?;
        }
        Ok(())
    }

    /// Completes the import: the module now exists. Without this call, the next
    /// [`open`](crate::state::open) deletes the imported rows.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written.
    pub fn finish(mut self) -> Result<(), ImportError> {
        let name = rows::module(&self.name);
        // Another process may have taken the name since the begin.
        self.batch.require(name.clone(), None);
        self.batch.set(name, self.id.0.to_be_bytes().to_vec());
        self.batch.remove(rows::orphan(self.id));
        Ok(self.store.write(&self.batch)?)
    }
}
