use super::Cell;
use crate::{Error, ErrorKind, Result};

/// A number that counts up, from 0.
#[derive(Debug)]
pub struct Counter(Cell<u64>);

impl Counter {
    /// The counter with this name. Each cell, counter, map and queue needs a name of its own.
    pub const fn new(name: &'static str) -> Self {
        Self(Cell::new(name))
    }

    /// The number.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn get(&self) -> Result<u64> {
        Ok(self.0.get()?.unwrap_or_default())
    }

    /// Adds to the number, and returns the sum.
    ///
    /// # Errors
    ///
    /// The host's error, or a sum of more than 64 bits.
    pub fn add(&self, count: u64) -> Result<u64> {
        let sum = self.get()?.checked_add(count);
        let sum = sum.ok_or_else(|| Error::new(ErrorKind::Internal, "the counter overflows"))?;
        self.0.set(&sum)?;
        Ok(sum)
    }

    /// Sets the number to 0.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn reset(&self) -> Result {
        self.0.remove()
    }
}
