//! The operator's view of a store, and the changes that an operator can make.
//!
//! The caller of a change has to ensure three conditions: no affected module runs, none is loaded
//! during the change, and no change of an affected module still waits for its commit. It either has
//! exclusive use of the store, or [holds loads](crate::supervisor::SupervisorHandle::hold_loads) of
//! a run and has [flushed](crate::supervisor::SupervisorHandle::flush) it.

mod capabilities;
mod import;
mod verify;

use std::ops::ControlFlow;

use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;

use super::module::ProgressRow;
use super::rows::Kind;
use super::{Cursors, DeadLetter, Effect, ModuleId, ModuleState, OperatorRow, Resolution, Usage, rows};
use crate::event::{BlockHash, Position};
use crate::store::{Batch, StateStore, StoreError, View, Visit};

pub use capabilities::{CapabilityImport, CapabilityRow, export_capabilities};
pub use import::{CAPABILITY_IMPORT_BYTES_MAX, Import, ImportError};
pub use verify::{FAULTS_MAX, Fault, verify};

/// The size of one batch of a long change, in bytes.
const BATCH_BYTES: usize = 4 << 20;

/// A summary of a module's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The module's name.
    pub name: ModuleName,
    /// The size of the module's state.
    pub usage: Usage,
    /// The module's cursors.
    pub cursors: Cursors,
    /// The number of events that nexum can revert.
    pub undo_records: u64,
    /// The number of dead letters.
    pub dead_letters: u64,
    /// The operator's row of the module, if there is one.
    pub operator: Option<OperatorRow>,
}

/// A row of a module, or of a chain that it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A key of the module's state, with its value.
    State {
        /// The key.
        key: Vec<u8>,
        /// The value.
        value: Vec<u8>,
    },
    /// An undo record, in the store's format.
    Undo {
        /// The record's sequence number.
        sequence: u64,
        /// The record.
        record: Vec<u8>,
    },
    /// A dead letter, in the store's format.
    DeadLetter(Vec<u8>),
    /// The record of an effect, in the store's format.
    Effect(Vec<u8>),
    /// A part of the transcript of an event, in the store's format.
    Transcript(Vec<u8>),
    /// A header of one of the module's chains.
    Header {
        /// The chain id.
        chain_id: ChainId,
        /// The block.
        block: Position,
        /// The parent's hash, if it is known.
        parent: Option<BlockHash>,
    },
    /// The module's cursors and usage, in the store's format.
    Progress(Vec<u8>),
}

/// Summarises every module, by name. A module of which the store has only the operator's row is among
/// them, without state.
///
/// # Errors
///
/// Fails if the store is not readable or is damaged.
pub fn list(view: &dyn View) -> Result<Vec<Summary>, StoreError> {
    let mut rows = super::operator_rows(view)?;
    let mut summaries = Vec::new();
    for (name, id) in super::modules(view)? {
        let operator = rows.remove(&name);
        summaries.push(summarise(view, name, id, operator)?);
    }
    summaries.extend(rows.into_iter().map(|(name, row)| Summary {
        name,
        usage: Usage::default(),
        cursors: Cursors::default(),
        undo_records: 0,
        dead_letters: 0,
        operator: Some(row),
    }));
    summaries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(summaries)
}

/// Summarises one module, if the store has it.
///
/// # Errors
///
/// Fails if the store is not readable or is damaged.
pub fn summary(view: &dyn View, name: &ModuleName) -> Result<Option<Summary>, StoreError> {
    let Some(id) = find(view, name)? else { return Ok(None) };
    let operator = super::operator_rows(view)?.remove(name);
    summarise(view, name.clone(), id, operator).map(Some)
}

fn summarise(
    view: &dyn View,
    name: ModuleName,
    id: ModuleId,
    operator: Option<OperatorRow>,
) -> Result<Summary, StoreError> {
    let ProgressRow { cursors, usage, .. } = ProgressRow::read(view, id)?;
    Ok(Summary {
        name,
        usage,
        cursors,
        undo_records: count(view, &rows::undos(id))?,
        dead_letters: count(view, &rows::dead_letters(id))?,
        operator,
    })
}

/// The committed value of a module's key.
///
/// # Errors
///
/// Fails if the store is not readable.
pub fn get(view: &dyn View, name: &ModuleName, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    match find(view, name)? {
        Some(id) => view.get(&rows::state(id, key)),
        None => Ok(None),
    }
}

/// Passes a module's dead letters to `visit`, oldest block first, until it breaks off.
///
/// # Errors
///
/// Fails if the store is not readable or is damaged.
pub fn dead_letters(
    view: &dyn View,
    name: &ModuleName,
    visit: &mut dyn FnMut(DeadLetter) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    match find(view, name)? {
        Some(id) => super::dead_letters(view, id, visit),
        None => Ok(()),
    }
}

/// The dead letter of a module for the event with this id.
///
/// # Errors
///
/// When the store cannot be read, or is damaged.
pub fn dead_letter(view: &dyn View, name: &ModuleName, event: &str) -> Result<Option<DeadLetter>, StoreError> {
    match find(view, name)? {
        Some(id) => super::find_dead_letter(view, id, event),
        None => Ok(None),
    }
}

/// Passes the records of a module's effects to `visit`, the stranded ones last, until it breaks off.
///
/// # Errors
///
/// Fails if the store is not readable or is damaged.
pub fn effects(
    view: &dyn View,
    name: &ModuleName,
    visit: &mut dyn FnMut(Effect) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    match find(view, name)? {
        Some(id) => super::effects(view, id, visit),
        None => Ok(()),
    }
}

/// The record of a module's effect with this number, of the event with this id. If there are several, because a
/// reorganisation has stranded one of them, an effect in doubt is first.
///
/// # Errors
///
/// Fails if the store is not readable or is damaged.
pub fn effect(view: &dyn View, name: &ModuleName, event: &str, number: u32) -> Result<Option<Effect>, StoreError> {
    let mut found: Option<Effect> = None;
    effects(view, name, &mut |effect| {
        if effect.number == number && effect.event.to_string() == event {
            let is_in_doubt = effect.is_in_doubt();
            if is_in_doubt || found.is_none() {
                found = Some(effect);
            }
            if is_in_doubt {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Changes the record of an effect as the operator says, at this time in milliseconds since the Unix epoch. Returns
/// whether the module has the record.
///
/// # Errors
///
/// Fails if the store is not usable.
pub fn resolve_effect(
    store: &dyn StateStore,
    name: &ModuleName,
    effect: &Effect,
    resolution: Resolution,
    now_ms: u64,
) -> Result<bool, StoreError> {
    let view = store.view()?;
    let Some(id) = find(&*view, name)? else {
        return Ok(false);
    };
    let Some(effect) = super::effect(&*view, id, effect)? else {
        return Ok(false);
    };
    let mut state = ModuleState::load(&*view, id)?;
    drop(view);
    store.write(&state.resolve_effect(effect, resolution, now_ms))?;
    Ok(true)
}

/// Passes a module's keys that start with `prefix`, and their values, to `visit`, in order, until
/// it breaks off.
///
/// # Errors
///
/// Fails if the store is not readable.
pub fn scan(view: &dyn View, name: &ModuleName, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
    let Some(id) = find(view, name)? else { return Ok(()) };
    rows::scan(view, &rows::state(id, prefix), &mut |row, value| {
        visit(rows::guest_key(row), value)
    })
}

/// Passes all rows of a module to `visit`, one by one, until it breaks off. [`Import`] reads these
/// rows.
///
/// # Errors
///
/// Fails if the store is not readable or is damaged.
pub fn export(
    view: &dyn View,
    name: &ModuleName,
    visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let Some(id) = find(view, name)? else { return Ok(()) };
    let cursors = ProgressRow::read(view, id)?.cursors;
    let mut chains: Vec<ChainId> = cursors.iter().filter_map(|cursor| cursor.topic.chain_id()).collect();
    chains.sort_unstable();
    chains.dedup();
    let mut prefixes = prefixes(id).to_vec();
    prefixes.extend(chains.into_iter().map(rows::headers));
    prefixes.push(rows::progress(id));
    let mut outcome = Ok(());
    let mut flow = ControlFlow::Continue(());
    for prefix in prefixes {
        if flow.is_break() {
            break;
        }
        rows::scan(view, &prefix, &mut |key, value| {
            flow = match row(key, value) {
                Ok(row) => visit(row),
                Err(error) => {
                    outcome = Err(error);
                    ControlFlow::Break(())
                }
            };
            flow
        })?;
    }
    outcome
}

/// The prefixes of a module's rows, without its cursors.
fn prefixes(id: ModuleId) -> [Vec<u8>; 6] {
    [
        rows::states(id),
        rows::undos(id),
        rows::dead_letters(id),
        rows::effects(id),
        rows::all_stranded(id),
        rows::transcripts(id),
    ]
}

fn row(key: &[u8], value: &[u8]) -> Result<Row, StoreError> {
    Ok(match rows::kind_of(key) {
        Kind::State => Row::State {
            key: rows::guest_key(key).to_vec(),
            value: value.to_vec(),
        },
        Kind::Undo => Row::Undo {
            sequence: rows::sequence_of(key)?,
            record: value.to_vec(),
        },
        Kind::DeadLetter => Row::DeadLetter(value.to_vec()),
        Kind::Effect | Kind::Stranded => Row::Effect(value.to_vec()),
        Kind::Transcript => Row::Transcript(value.to_vec()),
        Kind::Header => {
            let (chain_id, block) = rows::block_of(key)?;
            let parent = (!value.is_empty()).then(|| rows::hash(value)).transpose()?;
            Row::Header {
                chain_id,
                block,
                parent,
            }
        }
        _ => Row::Progress(value.to_vec()),
    })
}

/// Removes a module and its state, and not the [row](super::OperatorRow) that says what the operator
/// wants of the module. Returns whether the module existed.
///
/// # Errors
///
/// Fails if the store is not usable. The module is then unchanged, or removed. The next
/// [`open`](super::open) deletes the remaining rows of a removed module.
pub fn purge(store: &dyn StateStore, name: &ModuleName) -> Result<bool, StoreError> {
    let Some(id) = find(&*store.view()?, name)? else {
        return Ok(false);
    };
    let mut batch = Batch::default();
    batch.remove(rows::module(name));
    batch.set(rows::orphan(id), Vec::new());
    store.write(&batch)?;
    clear(store, id)?;
    Ok(true)
}

/// Deletes the rows that belong to no module, in batches.
pub(super) fn clear_nobodies(store: &dyn StateStore) -> Result<(), StoreError> {
    let mut ids = Vec::new();
    rows::scan(&*store.view()?, &rows::orphans(), &mut |key, _| {
        ids.extend(rows::id_of(key));
        ControlFlow::Continue(())
    })?;
    ids.into_iter().try_for_each(|id| clear(store, id))
}

/// Deletes the rows of a number that belongs to no module, in batches.
fn clear(store: &dyn StateStore, id: ModuleId) -> Result<(), StoreError> {
    for prefix in prefixes(id).into_iter().chain([rows::progress(id)]) {
        loop {
            let mut batch = Batch::default();
            rows::scan(&*store.view()?, &prefix, &mut |key, _| {
                batch.remove(key.to_vec());
                if batch.bytes() < BATCH_BYTES {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
            if batch.is_empty() {
                break;
            }
            store.write(&batch)?;
        }
    }
    let mut batch = Batch::default();
    batch.remove(rows::orphan(id));
    store.write(&batch)
}

/// The number of a module, if the store has it.
pub(crate) fn find(view: &dyn View, name: &ModuleName) -> Result<Option<ModuleId>, StoreError> {
    id_in(view.get(&rows::module(name))?)
}

/// [`find`] for host functions.
pub(super) async fn find_async(view: &dyn View, name: &ModuleName) -> Result<Option<ModuleId>, StoreError> {
    id_in(view.get_async(&rows::module(name)).await?)
}

fn id_in(row: Option<Vec<u8>>) -> Result<Option<ModuleId>, StoreError> {
    row.map(|row| Ok(ModuleId(rows::number(&row)?))).transpose()
}

fn count(view: &dyn View, prefix: &[u8]) -> Result<u64, StoreError> {
    let mut count = 0;
    rows::scan(view, prefix, &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}
