//! What an operator asks of a store.

use std::ops::ControlFlow;

use crate::names::ModuleName;
use crate::store::{StoreError, View};

use super::{ModuleId, rows};

/// The number of a module, if the store has ever heard of it.
///
/// # Errors
///
/// When the store cannot be read.
pub fn find(view: &dyn View, name: &ModuleName) -> Result<Option<ModuleId>, StoreError> {
    let row = view.get(&rows::module(name))?;
    row.map(|row| Ok(ModuleId(rows::number(&row)?))).transpose()
}

/// The value of a module's key, as it is committed.
///
/// # Errors
///
/// When the store cannot be read.
pub fn get(view: &dyn View, name: &ModuleName, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    match find(view, name)? {
        Some(id) => view.get(&rows::state(id, key)),
        None => Ok(None),
    }
}

/// How far a module has come.
///
/// # Errors
///
/// When the store cannot be read.
pub fn cursors(view: &dyn View, name: &ModuleName) -> Result<super::Cursors, StoreError> {
    match find(view, name)? {
        Some(id) => Ok(super::module::ProgressRow::read(view, id)?.cursors),
        None => Ok(super::Cursors::default()),
    }
}

/// How much a module keeps.
///
/// # Errors
///
/// When the store cannot be read.
pub fn usage(view: &dyn View, name: &ModuleName) -> Result<super::Usage, StoreError> {
    match find(view, name)? {
        Some(id) => Ok(super::module::ProgressRow::read(view, id)?.usage),
        None => Ok(super::Usage::default()),
    }
}

/// How many events of a module can be taken back.
///
/// # Errors
///
/// When the store cannot be read.
pub fn undo_records(view: &dyn View, name: &ModuleName) -> Result<u64, StoreError> {
    let mut records = 0;
    if let Some(id) = find(view, name)? {
        rows::scan(view, &rows::undos(id), None, &mut |_, _| {
            records += 1;
            ControlFlow::Continue(())
        })?;
    }
    Ok(records)
}
