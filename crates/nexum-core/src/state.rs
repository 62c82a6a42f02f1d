//! What nexum keeps in its store: what modules remember, how far they have come, how to take it back, and which blocks
//! they have seen.
//!
//! All of it is rows of one ordered map, so that an event's writes, its undo record and its cursor are one batch. A row's key
//! begins with its kind, and then with the module's number or the chain's; `rows` has them all.
//!
//! Invariant: two modules never meet. A number is given to one name only, and every row of a module carries it.

pub mod admin;
mod cursors;
mod dead_letter;
mod headers;
mod module;
pub(crate) mod rows;
pub mod scope;
mod undo;
mod usage;

use std::collections::HashMap;
use std::ops::ControlFlow;

use nexum_config::names::ModuleName;

use crate::store::{Batch, StateStore, StoreError, View};

pub use cursors::{Cursor, Cursors, Progress};
pub use dead_letter::{Attempt, DEAD_LETTERS_MAX, DeadLetter, Tripped};
pub use rows::ModuleId;
pub use undo::{UNDO_BYTES_MAX, UNDO_RECORDS_MAX};
pub use usage::Usage;

use dead_letter::count_dead_letters;
pub(crate) use dead_letter::{Letters, add, dead_letter, dead_letters, find_dead_letter};
pub(crate) use headers::{Headers, ancestors};
pub(crate) use module::{Change, Changes, ModuleState, RevertError};
pub(crate) use undo::{Settled, passed};

/// The form of what this version writes.
pub const FORMAT: u32 = 2;

/// Looks whether a store was written by this program, and makes it its own where it is empty. Finishes what an import or a
/// removal left behind when it was cut short.
///
/// # Errors
///
/// When another version wrote it, or it cannot be used.
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

/// The numbers of all modules that have one.
///
/// # Errors
///
/// When the store cannot be read, or is damaged.
pub fn modules(view: &dyn View) -> Result<Vec<(ModuleName, ModuleId)>, StoreError> {
    let mut modules = Vec::new();
    let mut damaged = None;
    let prefix = rows::modules();
    rows::scan(
        view,
        &prefix,
        None,
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

/// The numbers of these modules, in their order. A name that has none gets the next, once and for as long as the store exists.
///
/// # Errors
///
/// When the store cannot be used.
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
