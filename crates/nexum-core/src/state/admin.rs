//! What an operator asks of a store, and does to it.
//!
//! Whoever changes something here sees to it that no module that it touches runs or is loaded meanwhile, and that nothing of it still waits
//! to be written: he has the store to himself, or a run that [holds loads](crate::supervisor::SupervisorHandle::hold_loads) and was
//! [flushed](crate::supervisor::SupervisorHandle::flush).

mod verify;

use std::ops::ControlFlow;

use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;

use super::module::ProgressRow;
use super::rows::Kind;
use super::{Cursors, DeadLetter, ModuleId, Usage, rows};
use crate::event::{BlockHash, Position};
use crate::store::{Batch, StateStore, StoreError, View, Visit};

pub use verify::{FAULTS_MAX, Fault, verify};

/// How many bytes of changes are written at a time where there are many.
const BATCH_BYTES: usize = 4 << 20;

/// What a store has of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its name.
    pub name: ModuleName,
    /// How much it keeps.
    pub usage: Usage,
    /// How far it has come.
    pub cursors: Cursors,
    /// How many of its events can be taken back.
    pub undo_records: u64,
    /// How many events it could not handle.
    pub dead_letters: u64,
}

/// A row that belongs to a module, or to a chain that it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A key of the module's, with its value.
    State {
        /// The key.
        key: Vec<u8>,
        /// The value.
        value: Vec<u8>,
    },
    /// How to take one of its events back, in the store's own form.
    Undo {
        /// Its place among the others.
        sequence: u64,
        /// The record.
        record: Vec<u8>,
    },
    /// An event that it could not handle, in the store's own form.
    DeadLetter(Vec<u8>),
    /// A block that was seen on one of its chains.
    Header {
        /// The chain.
        chain_id: ChainId,
        /// The block.
        block: Position,
        /// The block before it, where that is known.
        parent: Option<BlockHash>,
    },
    /// How far it has come and how much it keeps, in the store's own form.
    Progress(Vec<u8>),
}

/// Every module, by name.
///
/// # Errors
///
/// When the store cannot be read, or is damaged.
pub fn list(view: &dyn View) -> Result<Vec<Summary>, StoreError> {
    let mut summaries = Vec::new();
    for (name, id) in super::modules(view)? {
        let ProgressRow { cursors, usage, .. } = ProgressRow::read(view, id)?;
        summaries.push(Summary {
            undo_records: count(view, &rows::undos(id))?,
            dead_letters: count(view, &rows::dead_letters(id))?,
            name,
            usage,
            cursors,
        });
    }
    Ok(summaries)
}

/// What the store has of one module, if it has ever heard of it.
///
/// # Errors
///
/// When the store cannot be read, or is damaged.
pub fn summary(view: &dyn View, name: &ModuleName) -> Result<Option<Summary>, StoreError> {
    let Some(id) = find(view, name)? else { return Ok(None) };
    let ProgressRow { cursors, usage, .. } = ProgressRow::read(view, id)?;
    Ok(Some(Summary {
        name: name.clone(),
        usage,
        cursors,
        undo_records: count(view, &rows::undos(id))?,
        dead_letters: count(view, &rows::dead_letters(id))?,
    }))
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

/// Shows the events that a module could not handle to `visit`, oldest block first, until it breaks off.
///
/// # Errors
///
/// When the store cannot be read, or is damaged.
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

/// The event with this id that a module could not handle.
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

/// Shows a module's keys that begin with `prefix`, and their values, to `visit`, in order, until it breaks off.
///
/// # Errors
///
/// When the store cannot be read.
pub fn scan(view: &dyn View, name: &ModuleName, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
    let Some(id) = find(view, name)? else { return Ok(()) };
    rows::scan(view, &rows::state(id, prefix), None, &mut |row, value| {
        visit(rows::guest_key(row), value)
    })
}

/// Shows everything that a module has to `visit`, one row after another, until it breaks off: what [`Import`] takes.
///
/// # Errors
///
/// When the store cannot be read, or is damaged.
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
    let mut prefixes = vec![rows::states(id), rows::undos(id), rows::dead_letters(id)];
    prefixes.extend(chains.into_iter().map(rows::headers));
    prefixes.push(rows::progress(id));
    let mut outcome = Ok(());
    let mut flow = ControlFlow::Continue(());
    for prefix in prefixes {
        if flow.is_break() {
            break;
        }
        rows::scan(view, &prefix, None, &mut |key, value| {
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

/// Takes a module's rows in, and makes them the module's when all are there.
#[derive(Debug)]
pub struct Import<'a> {
    store: &'a dyn StateStore,
    name: ModuleName,
    id: ModuleId,
    batch: Batch,
}

/// Why a module was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is one already.
    #[error("the store has a module {0} already")]
    Exists(ModuleName),
    /// A row in the store's own form is not of that form.
    #[error("what was exported is damaged: {0}")]
    Row(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<'a> Import<'a> {
    /// Begins with a module that the store does not have.
    ///
    /// # Errors
    ///
    /// When the store has it, or cannot be used.
    pub fn begin(store: &'a dyn StateStore, name: &ModuleName) -> Result<Self, ImportError> {
        super::open(store)?;
        let taken = super::modules(&*store.view()?)?;
        if taken.iter().any(|(taken, _)| taken == name) {
            return Err(ImportError::Exists(name.clone()));
        }
        let id = ModuleId(taken.iter().map(|(_, id)| id.0 + 1).max().unwrap_or(0));
        let mut batch = Batch::default();
        batch.set(rows::nobody(id), Vec::new());
        store.write(&batch)?;
        Ok(Self {
            store,
            name: name.clone(),
            id,
            batch: Batch::default(),
        })
    }

    /// Takes a row.
    ///
    /// # Errors
    ///
    /// When it is damaged, or the store cannot be written.
    pub fn take(&mut self, row: Row) -> Result<(), ImportError> {
        let damaged = |error: StoreError| ImportError::Row(error.to_string());
        match row {
            Row::State { key, value } => self.batch.set(rows::state(self.id, &key), value),
            Row::Undo { sequence, record } => {
                super::undo::decode(&record).map_err(damaged)?;
                self.batch.set(rows::undo(self.id, sequence), record);
            }
            Row::DeadLetter(record) => {
                let letter = DeadLetter::decode(&record).map_err(damaged)?;
                self.batch.set(rows::dead_letter(self.id, &letter.id), record);
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

    /// Makes what was taken the module's. Without this call nothing of it is: the next [`open`](super::open) clears it away.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn finish(mut self) -> Result<(), ImportError> {
        self.batch
            .set(rows::module(&self.name), self.id.0.to_be_bytes().to_vec());
        self.batch.remove(rows::nobody(self.id));
        Ok(self.store.write(&self.batch)?)
    }
}

/// Removes a module and all that it kept. Returns whether there was one.
///
/// # Errors
///
/// When the store cannot be used. Then the module is there as it was, or gone; what is left is cleared by the next
/// [`open`](super::open).
pub fn purge(store: &dyn StateStore, name: &ModuleName) -> Result<bool, StoreError> {
    let Some(id) = find(&*store.view()?, name)? else {
        return Ok(false);
    };
    let mut batch = Batch::default();
    batch.remove(rows::module(name));
    batch.set(rows::nobody(id), Vec::new());
    store.write(&batch)?;
    clear_nobodies(store)?;
    Ok(true)
}

/// Removes what is nobody's, a part at a time.
pub(super) fn clear_nobodies(store: &dyn StateStore) -> Result<(), StoreError> {
    let mut ids = Vec::new();
    rows::scan(&*store.view()?, &rows::nobodies(), None, &mut |key, _| {
        ids.extend(rows::id_of(key));
        ControlFlow::Continue(())
    })?;
    for id in ids {
        for prefix in [
            rows::states(id),
            rows::undos(id),
            rows::dead_letters(id),
            rows::progress(id),
        ] {
            loop {
                let mut batch = Batch::default();
                rows::scan(&*store.view()?, &prefix, None, &mut |key, _| {
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
        batch.remove(rows::nobody(id));
        store.write(&batch)?;
    }
    Ok(())
}

/// The number of a module, if the store has ever heard of it.
fn find(view: &dyn View, name: &ModuleName) -> Result<Option<ModuleId>, StoreError> {
    let row = view.get(&rows::module(name))?;
    row.map(|row| Ok(ModuleId(rows::number(&row)?))).transpose()
}

fn count(view: &dyn View, prefix: &[u8]) -> Result<u64, StoreError> {
    let mut count = 0;
    rows::scan(view, prefix, None, &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}
