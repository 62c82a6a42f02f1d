use serde::{Serialize, de::DeserializeOwned};

use super::{Counter, Map};
use crate::Result;

/// Items that are due at a time or at a block: any number that grows. Items of equal times keep
/// their order.
///
/// Each method lists the keys of all items.
#[derive(Debug)]
pub struct Queue<T> {
    items: Map<(u64, u64), T>,
    /// The number of the last item. Its key has no separator, so it is none of the items'.
    last: Counter,
}

/// An item of a [`Queue`] that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<T> {
    /// The time.
    pub due: u64,
    /// The item.
    pub item: T,
    number: u64,
}

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// The queue with this name. Each cell, counter, map and queue needs a name of its own.
    pub const fn new(name: &'static str) -> Self {
        Self {
            items: Map::new(name),
            last: Counter::new(name),
        }
    }

    /// Adds an item.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn push(&self, due: u64, item: &T) -> Result {
        let number = self.last.add(1)?;
        self.items.set(&(due, number), item)
    }

    /// The time of the first item.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn next_due(&self) -> Result<Option<u64>> {
        Ok(self.items.keys()?.first().map(|(due, _)| *due))
    }

    /// The items that are due by `now`, at most `count`, in the order of their times. They stay in
    /// the queue until [`remove`](Self::remove).
    ///
    /// # Errors
    ///
    /// The host's error, or a stored item of another type.
    pub fn due(&self, now: u64, count: usize) -> Result<Vec<Due<T>>> {
        let keys = self.items.keys()?.into_iter();
        let keys = keys.take_while(|(due, _)| *due <= now).take(count);
        let mut items = Vec::new();
        for (due, number) in keys {
            if let Some(item) = self.items.get(&(due, number))? {
                items.push(Due { due, item, number });
            }
        }
        Ok(items)
    }

    /// Takes the items that are due by `now` out of the queue, at most `count`.
    ///
    /// # Errors
    ///
    /// The host's error, or a stored item of another type.
    pub fn take_due(&self, now: u64, count: usize) -> Result<Vec<Due<T>>> {
        let items = self.due(now, count)?;
        items.iter().try_for_each(|item| self.remove(item))?;
        Ok(items)
    }

    /// Removes an item.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn remove(&self, item: &Due<T>) -> Result {
        self.items.remove(&(item.due, item.number))
    }

    /// Moves an item to another time.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn postpone(&self, item: &Due<T>, due: u64) -> Result {
        self.remove(item)?;
        self.items.set(&(due, item.number), &item.item)
    }

    /// The number of items.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn len(&self) -> Result<usize> {
        Ok(self.items.keys()?.len())
    }

    /// Whether there are no items.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
}
