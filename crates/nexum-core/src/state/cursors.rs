//! How far a module has come.

use nexum_config::topic::Topic;
use serde::{Deserialize, Serialize};

use crate::event::{EventKind, Position};

/// How far a module has come in one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Its block.
    pub position: Position,
    /// Which of the block's events it is; after [`EventKind::Block`] the block is done.
    pub done: EventKind,
}

/// One cursor for each topic that a module has begun with; few, so a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    pub(super) fn reverted(mut self, current: &Self, topic: Topic, to: Position) -> Self {
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
