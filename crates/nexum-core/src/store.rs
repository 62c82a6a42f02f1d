//! The port to what modules remember: their keys and values, how far they have come, and how to take it back.

mod memory;

use std::fmt::Debug;

use crate::BoxError;
use crate::event::{ChainId, Position};
use crate::names::ModuleName;

pub use memory::MemoryStore;

/// A module's number in a store, interned by name. Stored keys carry it, so that two modules never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(pub u32);

/// How far a module has come in one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The chain.
    pub chain_id: ChainId,
    /// The last block whose event the module has handled.
    pub position: Position,
}

/// One cursor for each chain that a module has seen a block of; few, so a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursors(Vec<Cursor>);

impl Cursors {
    /// The cursor of a chain.
    pub fn get(&self, chain_id: ChainId) -> Option<Position> {
        self.0
            .iter()
            .find(|cursor| cursor.chain_id == chain_id)
            .map(|cursor| cursor.position)
    }

    /// Moves a chain's cursor, forwards or back.
    pub fn set(&mut self, chain_id: ChainId, position: Position) {
        match self.0.iter_mut().find(|cursor| cursor.chain_id == chain_id) {
            Some(cursor) => cursor.position = position,
            None => self.0.push(Cursor { chain_id, position }),
        }
    }

    /// Every cursor, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Cursor> + '_ {
        self.0.iter().copied()
    }
}

/// A key and its new value; none deletes it.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

/// What one event of one module changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Whose.
    pub module: ModuleId,
    /// Each key once.
    pub writes: Vec<Write>,
    /// Every cursor before the event. Kept with the old values, so that a revert can put both back.
    pub before: Cursors,
    /// Every cursor after it.
    pub after: Cursors,
    /// The event's place, if it is one; an `init`, or cursors alone, has none and is not undone.
    pub undo: Option<Cursor>,
}

/// Where modules' state lives.
///
/// Every method may block on a disk, so it is called where blocking is allowed.
pub trait StateStore: Send + Sync + Debug + 'static {
    /// The number of this name, the same for as long as the store exists. Must not give one number to two names.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    fn intern(&self, name: &ModuleName) -> Result<ModuleId, StoreError>;

    /// The module's last committed cursors.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn cursors(&self, module: ModuleId) -> Result<Cursors, StoreError>;

    /// A view of what the module has committed by now, which later commits must not change.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn snapshot(&self, module: ModuleId) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Makes all of these commits, in order, or none; they must be durable when it returns.
    ///
    /// # Errors
    ///
    /// When the store cannot be written. Then none of the commits has happened.
    fn commit(&self, commits: &[Commit]) -> Result<(), StoreError>;

    /// Takes back the module's events from the first one that `to.chain_id` no longer has, those of other chains after it
    /// too, and sets the chain's cursor back to `to` if it is further. Returns the cursors from which to go on. All of it
    /// happens or nothing.
    ///
    /// # Errors
    ///
    /// When the undo records do not reach back so far, or the store cannot be written.
    fn revert(&self, module: ModuleId, current: &Cursors, to: Cursor) -> Result<Cursors, StoreError>;
}

/// A consistent view of one module's keys and values.
pub trait Snapshot: Send + Sync + Debug {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` keys that start with `prefix` and come after `after`, in order.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn keys(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Vec<u8>>, StoreError>;
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The reorg is deeper than the undo records that are kept.
    #[error("the undo records of chain {chain_id} do not reach back to block {number}")]
    TooDeep {
        /// The chain.
        chain_id: ChainId,
        /// The block to go back to.
        number: u64,
    },
    /// The back-end failed.
    #[error("the state store failed")]
    Backend(#[source] BoxError),
}
