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
mod capability_rows;
mod cursors;
mod dead_letter;
mod effect;
mod headers;
mod module;
mod operator;
mod row_cache;
pub(crate) mod rows;
pub(crate) mod scope;
mod transcript;
mod undo;
mod usage;

use std::collections::HashMap;
use std::ops::ControlFlow;

use nexum_config::names::ModuleName;

use crate::store::{Batch, StateStore, StoreError, View};

pub use capability_rows::{CapabilityRows, RowChanges, capability_row, capability_rows};
pub use cursors::{Cursor, Cursors, Progress};
pub use dead_letter::{Attempt, DEAD_LETTERS_MAX, DeadLetter, Tripped};
pub use effect::{EFFECT_REQUEST_BYTES_MAX, EFFECTS_MAX, Effect, EffectClass, EffectState, Resolution, STRANDED_MAX};
pub use operator::{
    Act, Actor, LoadedEntry, OperatorRow, OperatorRows, REASON_BYTES_MAX, Wanted, operator_rows, replace_operator_rows,
    set_operator_row,
};
pub use row_cache::{RowCache, forget};
pub use rows::ModuleId;
pub use undo::{UNDO_BYTES_MAX, UNDO_RECORDS_MAX};
pub use usage::Usage;

use dead_letter::count_dead_letters;
pub(crate) use dead_letter::{Letters, add, dead_letter, dead_letters, find_dead_letter};
pub(crate) use effect::{effect, effects, effects_of, read_effects};
pub(crate) use headers::{HeaderStore, ancestors};
pub(crate) use module::{Change, Changes, EffectChanges, ModuleState, RevertError, reaches_first_event};
pub(crate) use transcript::{Part, Stored};
pub(crate) use undo::{Settled, passed};

/// The version of the row format that this program writes.
pub const FORMAT: u32 = 2;

/// Checks that this program's version wrote the store, or initialises an empty store. Completes an
/// interrupted import or removal, unless the store is [shared](StateStore::is_shared): another process may
/// do it then.
///
/// # Errors
///
/// Fails if another version wrote the store, or if the store is not usable.
pub fn open(store: &dyn StateStore) -> Result<(), StoreError> {
    match store.view()?.get(&rows::format())? {
        Some(found) if found == FORMAT.to_be_bytes() => match store.is_shared() {
            true => Ok(()),
            false => admin::clear_nobodies(store),
        },
        Some(found) => Err(StoreError::Format {
            found: rows::number(&found)?,
            expected: FORMAT,
        }),
        None => {
            let mut batch = Batch::default();
            batch.set(rows::format(), FORMAT.to_be_bytes().to_vec());
            match store.write(&batch) {
                // A process that may write does it.
                Err(StoreError::Fenced { .. }) if store.is_shared() => Ok(()),
                written => written,
            }
        }
    }
}

/// The module of the row with this key. `None` for a row of a chain or of the whole store.
pub(crate) fn owner(key: &[u8]) -> Option<ModuleId> {
    use rows::Kind;
    match rows::kind_of(key) {
        Kind::Progress
        | Kind::State
        | Kind::Undo
        | Kind::DeadLetter
        | Kind::Effect
        | Kind::Stranded
        | Kind::Transcript => rows::id_of(key).ok(),
        _ => None,
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
    with_new_numbers(store, |known, next, batch| {
        let known: HashMap<_, _> = known.into_iter().collect();
        let mut interned = HashMap::new();
        let number = |name: &ModuleName| {
            let known = known.get(name).copied();
            known.unwrap_or_else(|| {
                *interned.entry(name.clone()).or_insert_with(|| {
                    let id = next();
                    batch.set(rows::module(name), id.0.to_be_bytes().to_vec());
                    id
                })
            })
        };
        Ok(names.iter().map(number).collect())
    })
}

/// The most attempts to take numbers while other processes take some too.
const NUMBER_TRIES: usize = 64;

/// Makes a change that takes new numbers for modules. `change` gets the modules of the store, a function that
/// takes the next number, and the batch for the change, which may be empty. Another process may change
/// the store at the same time, so `change` may be called again.
fn with_new_numbers<T, E: From<StoreError>>(
    store: &dyn StateStore,
    mut change: impl FnMut(Vec<(ModuleName, ModuleId)>, &mut dyn FnMut() -> ModuleId, &mut Batch) -> Result<T, E>,
) -> Result<T, E> {
    let mut tries = NUMBER_TRIES;
    loop {
        let view = store.view()?;
        let row = view.get(&rows::next_module())?;
        // After the row: each addition of a module changes the row.
        let known = modules(&*view)?;
        let above = known.iter().map(|(_, id)| id.0 + 1).max().unwrap_or(0);
        let stored = row.as_deref().map(rows::number).transpose()?.unwrap_or(0);
        let first = above.max(stored);
        let (mut taken, mut batch) = (first, Batch::default());
        let mut next = || {
            taken += 1;
            ModuleId(taken - 1)
        };
        let result = change(known, &mut next, &mut batch)?;
        if batch.is_empty() {
            return Ok(result);
        }
        batch.require(rows::next_module(), row);
        batch.set(rows::next_module(), taken.to_be_bytes().to_vec());
        match store.write(&batch) {
            Err(StoreError::Conflict) if tries > 0 => tries -= 1,
            written => return Ok(written.map(|()| result)?),
        }
    }
}
