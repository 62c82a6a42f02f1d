use super::{Cell, Key, Map};
use crate::Result;

/// Keys that are due at a time or at a block: any number that grows. A key can have several numbers.
///
/// A [`Queue`](super::Queue) lists all of its items at each call. A schedule reads only the keys near
/// the asked number: about one operation of the store while nothing is due, whatever its size.
#[derive(Debug)]
pub struct Schedule<K> {
    entries: Map<(u64, K), ()>,
    /// No entry is before this number. Its key has no separator, so it is none of the entries'.
    first: Cell<u64>,
}

impl<K: Key + Clone> Schedule<K> {
    /// The schedule with this name. Each cell, counter, map, queue and schedule needs a name of its own.
    pub const fn new(name: &'static str) -> Self {
        Self {
            entries: Map::new(name),
            first: Cell::new(name),
        }
    }

    /// Adds a key. A key that is there already stays.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn add(&self, due: u64, key: &K) -> Result {
        if self.first.get()?.is_none_or(|first| due < first) {
            self.first.set(&due)?;
        }
        self.entries.set(&(due, key.clone()), &())
    }

    /// Removes a key. An absent key is not an error.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn remove(&self, due: u64, key: &K) -> Result {
        self.entries.remove(&(due, key.clone()))
    }

    /// The keys that are due by `now`, at most `count`, in the order of their numbers. They stay until
    /// [`remove`](Self::remove). For events only: the method may write where the entries begin.
    ///
    /// # Errors
    ///
    /// The host's error, or a stored key of another type.
    pub fn due(&self, now: u64, count: usize) -> Result<Vec<(u64, K)>> {
        let first = self.first.get()?.unwrap_or(u64::MAX);
        if first > now {
            return Ok(Vec::new());
        }
        let due = self.entries.between(first, now, count)?;
        let next = match due.first() {
            Some((due, _)) => *due,
            None => self.next(now)?,
        };
        if next != first {
            self.first.set(&next)?;
        }
        Ok(due)
    }

    /// The first number after `now`. The largest number if there is none.
    fn next(&self, now: u64) -> Result<u64> {
        let Some(after) = now.checked_add(1) else {
            return Ok(u64::MAX);
        };
        let next = self.entries.between(after, u64::MAX, 1)?;
        Ok(next.first().map_or(u64::MAX, |(due, _)| *due))
    }
}
