//! The port to what modules remember: their keys and values, how far they have come, and how to take it back.

mod memory;

use std::fmt::Debug;

use crate::BoxError;
use crate::event::{EventKind, Position, Topic};
use crate::names::ModuleName;

pub use memory::MemoryStore;

/// A module's number in a store, interned by name. Stored keys carry it, so that two modules never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(pub u32);

/// How far a module has come in one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The topic.
    pub topic: Topic,
    /// The block with which subscriptions begin that name none: the first that the chain grew by when the module was first
    /// started.
    pub live_from: u64,
    /// The last event that the module has handled, or passed over; none before the first.
    pub last: Option<Progress>,
}

/// An event of a topic, as the last that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its block.
    pub position: Position,
    /// Which of the block's events it is; after [`EventKind::Block`] the block is done.
    pub done: EventKind,
}

/// One cursor for each topic that a module has begun with; few, so a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursors(Vec<Cursor>);

impl Cursors {
    /// The cursor of a topic.
    pub fn get(&self, topic: Topic) -> Option<Cursor> {
        self.iter().find(|cursor| cursor.topic == topic)
    }

    /// Moves the cursor of its topic, forwards or back.
    pub fn set(&mut self, new: Cursor) {
        match self.0.iter_mut().find(|cursor| cursor.topic == new.topic) {
            Some(cursor) => *cursor = new,
            None => self.0.push(new),
        }
    }

    /// Every cursor, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Cursor> + '_ {
        self.0.iter().copied()
    }

    /// These cursors after a revert of `topic` to the block `to`, where `current` are the cursors that the revert found:
    /// the topic is not beyond `to`, and no topic that was begun is forgotten.
    #[must_use]
    pub fn reverted(mut self, current: &Self, topic: Topic, to: Position) -> Self {
        for cursor in current.iter() {
            if self.get(cursor.topic).is_none() {
                self.set(Cursor { last: None, ..cursor });
            }
        }
        if let Some(cursor) = self
            .get(topic)
            .filter(|cursor| cursor.last.is_none_or(|last| last.position.number > to.number))
        {
            let last = Some(Progress {
                position: to,
                done: EventKind::Block,
            });
            self.set(Cursor { last, ..cursor });
        }
        self
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
    /// The event, if it is one; an `init`, or cursors alone, is none and is not undone.
    pub event: Option<(Topic, Position)>,
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

    /// Takes back the module's events from the first one of `topic` that is beyond the block `to`, those of other topics after
    /// it too. Returns the cursors from which to go on: those before the first event taken back, as
    /// [`Cursors::reverted`] says. All of it happens or nothing.
    ///
    /// # Errors
    ///
    /// When the undo records do not reach back so far, or the store cannot be written.
    fn revert(&self, module: ModuleId, current: &Cursors, topic: Topic, to: Position) -> Result<Cursors, StoreError>;
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
    #[error("the undo records of chain {topic} do not reach back to block {to}")]
    TooDeep {
        /// The topic.
        topic: Topic,
        /// The block to go back to.
        to: Position,
    },
    /// The back-end failed.
    #[error("the state store failed")]
    Backend(#[source] BoxError),
}
