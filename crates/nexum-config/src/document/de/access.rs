//! The entries of a table and the elements of an array, for serde to visit.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::super::key::KeyPath;
use super::super::tree::{Entry, Node, Table};
use super::{Context, Deserializer, Error};

pub(super) struct Entries<'a> {
    context: &'a Context<'a>,
    key: &'a KeyPath<'a>,
    entries: std::slice::Iter<'a, Entry>,
    /// The keys to visit. `None` visits all.
    known: Option<&'static [&'static str]>,
    current: Option<&'a Entry>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        key: &'a KeyPath<'a>,
        table: &'a Table,
        known: Option<&'static [&'static str]>,
    ) -> Self {
        Self {
            context,
            key,
            entries: table.entries.iter(),
            known,
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let (context, known) = (self.context, self.known);
        let is_known = |key: &str| known.is_none_or(|known| known.contains(&key));
        self.current = self
            .entries
            .find(|entry| is_known(&entry.key) && !context.is_faulty(&entry.node));
        let Some(entry) = self.current else { return Ok(None) };
        let key = seed.deserialize(StrDeserializer::<Error>::new(&entry.key));
        key.map(Some)
            .map_err(|error| self.context.locate_key(error, entry, self.key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(entry) = self.current.take() else {
            return Err(serde::de::Error::custom("a value was requested before its key"));
        };
        let key = KeyPath::Key(self.key, &entry.key);
        let value = Deserializer::node(self.context, &key, &entry.key, &entry.node);
        seed.deserialize(value).map_err(|error| value.locate(error))
    }
}

pub(super) struct Elements<'a> {
    context: &'a Context<'a>,
    key: &'a KeyPath<'a>,
    name: &'a str,
    nodes: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'a> Elements<'a> {
    pub(super) fn new(context: &'a Context<'a>, key: &'a KeyPath<'a>, name: &'a str, nodes: &'a [Node]) -> Self {
        Self {
            context,
            key,
            name,
            nodes: nodes.iter().enumerate(),
        }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let context = self.context;
        let Some((index, node)) = self.nodes.find(|(_, node)| !context.is_faulty(node)) else {
            return Ok(None);
        };
        let key = KeyPath::Index(self.key, index);
        seed.deserialize(Deserializer::node(self.context, &key, self.name, node))
            .map(Some)
    }
}
