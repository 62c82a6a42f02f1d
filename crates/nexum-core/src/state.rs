//! The content of nexum's store: the modules' state and cursors, the undo records of their events,
//! and the recent headers of their chains.
//!
//! All content is rows of one ordered map, so that an event's writes, its undo record and its
//! cursor are one batch. A row's key starts with its kind, followed by the number of the module or
//! the chain. `rows` defines all of them.
//!
//! # Invariants
//!
//! - No module can read or write the rows of another. Each number belongs to one name, and every
//!   row of a module contains the number.

pub mod admin;
mod cursors;
mod dead_letter;
mod headers;
mod module;
mod operator;
mod row_cache;
pub(crate) mod rows;
pub(crate) mod scope;
mod undo;
mod usage;

use std::collections::HashMap;
use std::ops::ControlFlow;

use nexum_config::names::ModuleName;

use crate::store::{Batch, StateStore, StoreError, View};

pub use cursors::{Cursor, Cursors, Progress};
pub use dead_letter::{Attempt, DEAD_LETTERS_MAX, DeadLetter, Tripped};
pub use operator::{
    Act, Actor, LoadedEntry, OperatorRow, OperatorRows, REASON_BYTES_MAX, Wanted, operator_rows, set_operator_row,
};
pub use row_cache::{RowCache, forget};
pub use rows::ModuleId;
pub use undo::{UNDO_BYTES_MAX, UNDO_RECORDS_MAX};
pub use usage::Usage;

use dead_letter::count_dead_letters;
pub(crate) use dead_letter::{Letters, add, dead_letter, dead_letters, find_dead_letter};
pub(crate) use headers::{HeaderStore, ancestors};
pub(crate) use module::{Change, Changes, ModuleState, RevertError};
pub(crate) use undo::{Settled, passed};

/// The version of the row format that this program writes.
pub const FORMAT: u32 = 2;

/// Checks that this program's version wrote the store, or initialises an empty store. Completes an
/// interrupted import or removal.
///
/// # Errors
///
/// Fails if another version wrote the store, or if the store is not usable.
pub fn open(store: &dyn StateStore) -> Result<(), StoreError> {
    match store.view()?.get(&rows::format())? {
        Some(found) if found == FORMAT.to_be_bytes() => admin::clear_nobodies(store),
        Some(found) => Err(StoreError::Format {
            found: rows::number(&found)?,
            expected: FORMAT,
        }),
        None => {
            let mut batch = Batch::default();
            batch.set(rows::format(), FORMAT.to_be_bytes().to_vec());
            store.write(&batch)
        }
    }
}

/// Returns all modules with their numbers.
///
/// # Errors
///
/// Fails if the store is not readable or is damaged.
pub fn modules(view: &dyn View) -> Result<Vec<(ModuleName, ModuleId)>, StoreError> {
    let mut modules = Vec::new();
    let mut damaged = None;
    let prefix = rows::modules();
    rows::scan(
        view,
        &prefix,
        &mut |key, value| match (rows::name_of(key), rows::number(value)) {
            (Ok(name), Ok(number)) => {
                modules.push((name, ModuleId(number)));
                ControlFlow::Continue(())
            }
            (Err(error), _) | (_, Err(error)) => {
                damaged = Some(error);
                ControlFlow::Break(())
            }
        },
    )?;
    damaged.map_or(Ok(modules), Err)
}

/// Returns the numbers of these modules, in their order. A new name gets the next number, which it
/// keeps as long as the store exists.
///
/// # Errors
///
/// Fails if the store is not usable.
pub fn intern(store: &dyn StateStore, names: &[ModuleName]) -> Result<Vec<ModuleId>, StoreError> {
    let mut known: HashMap<_, _> = modules(&*store.view()?)?.into_iter().collect();
    let mut next = known.values().map(|id| id.0 + 1).max().unwrap_or(0);
    let mut batch = Batch::default();
    let ids = names.iter().map(|name| {
        *known.entry(name.clone()).or_insert_with(|| {
            batch.set(rows::module(name), next.to_be_bytes().to_vec());
            next += 1;
            ModuleId(next - 1)
        })
    });
    let ids = ids.collect();
    if !batch.is_empty() {
        store.write(&batch)?;
    }
    Ok(ids)
}
