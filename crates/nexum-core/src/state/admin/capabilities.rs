//! The rows of capabilities, such as the nonces of accounts, on their way to another store.

use std::ops::ControlFlow;

use super::import::{CAPABILITY_IMPORT_BYTES_MAX, ImportError};
use crate::state::rows;
use crate::store::{Batch, StateStore, StoreError, View};

/// A row of a capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapabilityRow {
    /// The name of the capability.
    pub capability: String,
    /// The capability's key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// Passes the rows of all capabilities to `visit`, in order, until it breaks off.
///
/// # Errors
///
/// Fails if the store is not readable or is damaged.
pub fn export_capabilities(
    view: &dyn View,
    visit: &mut dyn FnMut(CapabilityRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    rows::scan(
        view,
        &rows::capabilities(),
        &mut |row, value| match rows::capability_of(row) {
            Ok((capability, key)) => visit(CapabilityRow {
                capability: capability.to_owned(),
                key: key.to_vec(),
                value: value.to_vec(),
            }),
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        },
    )?;
    outcome
}

/// Imports rows of capabilities, all in one transaction. No row of the store changes, so an import never lowers a nonce.
#[derive(Debug, Default)]
pub struct CapabilityImport(Batch);

impl CapabilityImport {
    /// Adds a row.
    ///
    /// # Errors
    ///
    /// Fails if the name of the capability is malformed, or if the rows are larger than [`CAPABILITY_IMPORT_BYTES_MAX`].
    pub fn take(&mut self, row: CapabilityRow) -> Result<(), ImportError> {
        let CapabilityRow { capability, key, value } = row;
        if capability.is_empty() || capability.contains('\0') {
            return Err(ImportError::Row(format!("no capability has the name {capability:?}")));
        }
        let key = rows::capability(&capability, &key);
        self.0.require(key.clone(), None);
        self.0.set(key, value);
        match self.0.bytes() > CAPABILITY_IMPORT_BYTES_MAX {
            true => Err(ImportError::TooLarge),
            false => Ok(()),
        }
    }

    /// Writes the rows.
    ///
    /// # Errors
    ///
    /// Fails if the store has one of the keys, or cannot be written. It is then unchanged.
    pub fn finish(self, store: &dyn StateStore) -> Result<(), ImportError> {
        crate::state::open(store)?;
        match store.write(&self.0) {
            Err(StoreError::Conflict) => Err(ImportError::RowsExist),
            written => Ok(written?),
        }
    }
}
