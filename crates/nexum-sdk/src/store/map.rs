use std::marker::PhantomData;

use serde::{Serialize, de::DeserializeOwned};

use super::key::{self, Key, SEPARATOR, StartOf};
use crate::{Error, ErrorKind, Result, host};

/// Values by key, in the order of the keys.
///
/// An iteration lists all of its keys first: one operation of the store, and one more per value.
#[derive(Debug)]
pub struct Map<K, V> {
    name: &'static str,
    types: PhantomData<fn(K) -> V>,
}

impl<K: Key, V: Serialize + DeserializeOwned> Map<K, V> {
    /// The map with this name. Each cell, counter, map and queue needs a name of its own.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            types: PhantomData,
        }
    }

    /// The value of a key, if there is one.
    ///
    /// # Errors
    ///
    /// The host's error, or a stored value of another type.
    pub fn get(&self, key: &K) -> Result<Option<V>> {
        super::get(&self.key(key))
    }

    /// Whether a key has a value.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn contains(&self, key: &K) -> Result<bool> {
        Ok(host::store_get(&self.key(key))?.is_some())
    }

    /// Writes the value of a key.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn set(&self, key: &K, value: &V) -> Result {
        super::set(&self.key(key), value)
    }

    /// Removes a key with its value. An absent key is not an error.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn remove(&self, key: &K) -> Result {
        host::store_delete(&self.key(key))
    }

    /// Changes the value of a key, or the default if there is none. Returns the result of the
    /// closure.
    ///
    /// # Errors
    ///
    /// The host's error, or a stored value of another type.
    pub fn update<R>(&self, key: &K, change: impl FnOnce(&mut V) -> R) -> Result<R>
    where
        V: Default,
    {
        let key = self.key(key);
        let mut value = super::get(&key)?.unwrap_or_default();
        let result = change(&mut value);
        super::set(&key, &value)?;
        Ok(result)
    }

    /// All keys.
    ///
    /// # Errors
    ///
    /// The host's error, or a stored key of another type.
    pub fn keys(&self) -> Result<Vec<K>> {
        let prefix = key::below(self.name);
        let keys = host::store_list(&prefix)?;
        keys.iter().map(|key| self.read_key(key)).collect()
    }

    /// All keys with their values. Each step reads one value.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn iter(&self) -> Result<Entries<K, V>> {
        self.entries(&key::below(self.name))
    }

    /// The keys that begin with the first parts of a tuple, with their values.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn under(&self, start: &impl StartOf<K>) -> Result<Entries<K, V>> {
        let mut prefix = key::below(self.name);
        start.write(&mut prefix);
        prefix.push(SEPARATOR);
        self.entries(&prefix)
    }

    /// Removes all keys.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn clear(&self) -> Result {
        let keys = host::store_list(&key::below(self.name))?;
        keys.iter().try_for_each(|key| host::store_delete(key))
    }

    fn entries(&self, prefix: &str) -> Result<Entries<K, V>> {
        Ok(Entries {
            name: self.name,
            keys: host::store_list(prefix)?.into_iter(),
            types: PhantomData,
        })
    }

    fn key(&self, key: &K) -> String {
        let mut text = key::below(self.name);
        key.write(&mut text);
        text
    }

    fn read_key(&self, text: &str) -> Result<K> {
        read_key(self.name, text)
    }
}

impl<V: Serialize + DeserializeOwned> Map<String, V> {
    /// The keys that begin with a text, with their values.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn starting_with(&self, text: &str) -> Result<Entries<String, V>> {
        let mut prefix = key::below(self.name);
        key::push_escaped(&mut prefix, text);
        self.entries(&prefix)
    }
}

/// The bits of one hexadecimal digit, and of the digits of a number in a key.
const DIGIT_BITS: u32 = 4;
const NUMBER_BITS: u32 = u64::BITS;

impl<K: Key, V: Serialize + DeserializeOwned> Map<(u64, K), V> {
    /// The first keys whose numbers are between these two, with both of them, at most `count`.
    ///
    /// The method lists only keys near `from`: one operation of the store for each group of keys that
    /// have their first digits in common, until `count` keys are found.
    ///
    /// # Errors
    ///
    /// The host's error, or a stored key of another type.
    pub fn between(&self, from: u64, to: u64, count: usize) -> Result<Vec<(u64, K)>> {
        let mut found = Vec::new();
        let mut start = Some(from);
        while let Some(at) = start.filter(|at| *at <= to && found.len() < count) {
            let free_bits = group(at, to);
            let mut prefix = key::below(self.name);
            let digits = format!("{at:016x}");
            let fixed = ((NUMBER_BITS - free_bits) / DIGIT_BITS) as usize;
            prefix.push_str(digits.get(..fixed).unwrap_or_default());
            for key in host::store_list(&prefix)? {
                found.push(self.read_key(&key)?);
            }
            start = 1_u64.checked_shl(free_bits).and_then(|size| at.checked_add(size));
        }
        found.truncate(count);
        Ok(found)
    }
}

/// The bits of the largest group that begins at a number, ends by `to`, and has its first digits in
/// common.
fn group(at: u64, to: u64) -> u32 {
    let mut bits = 0;
    while bits < NUMBER_BITS {
        let next = bits + DIGIT_BITS;
        let rest = 1_u64.checked_shl(next).map_or(u64::MAX, |size| size - 1);
        if at & rest != 0 || to - at < rest {
            break;
        }
        bits = next;
    }
    bits
}

/// The host's key without the name of its map.
fn read_key<K: Key>(name: &str, text: &str) -> Result<K> {
    let key = text.strip_prefix(&key::below(name)).and_then(K::read);
    key.ok_or_else(|| {
        Error::of(
            "local-store",
            ErrorKind::Internal,
            format!("the key {text:?} is not of the type of {name:?}"),
        )
    })
}

/// The entries of a [`Map`].
#[derive(Debug)]
pub struct Entries<K, V> {
    name: &'static str,
    keys: std::vec::IntoIter<String>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: DeserializeOwned> Entries<K, V> {
    /// The entry of a host's key. `None` if the value was removed since the keys were listed.
    fn entry(&self, text: &str) -> Result<Option<(K, V)>> {
        let key = read_key(self.name, text)?;
        Ok(super::get(text)?.map(|value| (key, value)))
    }
}

impl<K: Key, V: DeserializeOwned> Iterator for Entries<K, V> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let text = self.keys.next()?;
            if let Some(entry) = self.entry(&text).transpose() {
                return Some(entry);
            }
        }
    }
}
