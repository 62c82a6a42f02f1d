//! A module's cursors.

use nexum_config::topic::Topic;
use serde::{Deserialize, Serialize};

use crate::event::{EventKind, Position};

/// A module's position in one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The topic.
    pub topic: Topic,
    /// The first block of subscriptions without a block number: the first new block of the chain
    /// after the module's first start.
    pub live_from: u64,
    /// The last event that the module has handled or skipped. `None` before the first one.
    pub last: Option<Progress>,
}

/// The last event of a topic that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The event's block.
    pub position: Position,
    /// The event's kind. After `EventKind::Block` the whole block is done.
    pub done: EventKind,
}

/// One cursor for each topic that a module has started. They are few, so they are a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursors(Vec<Cursor>);

impl Cursors {
    /// The cursor of a topic.
    pub fn get(&self, topic: Topic) -> Option<Cursor> {
        self.iter().find(|cursor| cursor.topic == topic)
    }

    /// Sets the cursor of its topic, which can move forwards or back.
    pub fn set(&mut self, new: Cursor) {
        match self.0.iter_mut().find(|cursor| cursor.topic == new.topic) {
            Some(cursor) => *cursor = new,
            None => self.0.push(new),
        }
    }

    /// All cursors, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Cursor> + '_ {
        self.0.iter().copied()
    }

    /// These cursors after a revert of `topic` to the block `to`. `current` are the cursors before
    /// the revert. In the result, the topic is at most at `to`, and every started topic has a
    /// cursor.
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
