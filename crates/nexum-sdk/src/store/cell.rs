use std::marker::PhantomData;

use serde::{Serialize, de::DeserializeOwned};

use super::key::root;
use crate::{Result, host};

/// One value.
#[derive(Debug)]
pub struct Cell<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Cell<T> {
    /// The value with this name. Each cell, counter, map and queue needs a name of its own.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }

    /// Removes the value.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn remove(&self) -> Result {
        host::store_delete(&root(self.name))
    }
}

impl<T: Serialize + DeserializeOwned> Cell<T> {
    /// The value, if there is one.
    ///
    /// # Errors
    ///
    /// The host's error, or a stored value of another type.
    pub fn get(&self) -> Result<Option<T>> {
        super::get(&root(self.name))
    }

    /// Writes the value.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn set(&self, value: &T) -> Result {
        super::set(&root(self.name), value)
    }

    /// Removes the value and returns it.
    ///
    /// # Errors
    ///
    /// The host's error, or a stored value of another type.
    pub fn take(&self) -> Result<Option<T>> {
        let value = self.get()?;
        self.remove()?;
        Ok(value)
    }

    /// Changes the value, or the default if there is none. Returns the result of the closure.
    ///
    /// # Errors
    ///
    /// The host's error, or a stored value of another type.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R>
    where
        T: Default,
    {
        let mut value = self.get()?.unwrap_or_default();
        let result = change(&mut value);
        self.set(&value)?;
        Ok(result)
    }
}
