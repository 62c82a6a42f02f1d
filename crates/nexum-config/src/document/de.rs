//! Reads the tree into types with serde, and gives every error its position.
//!
//! A derived `Deserialize` stops at the first faulty value of a table. So [`read`] makes several
//! attempts: each leaves out the values that the earlier ones found at fault, until one finds no
//! more.

mod access;
mod error;

use std::cell::RefCell;
use std::collections::HashSet;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Error as _, Expected, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::environment::Interpolated;
use super::key::KeyPath;
use super::tree::{Entry, Node, Table, Value};
use super::{ConfigError, Origin, enough, show};
use access::{Elements, Entries};
use error::{Error, Problem};

/// Reads `node`, whose full path is `key`. Adds every fault to `errors`. The result leaves out the
/// faulty values. None if a value is missing that `T` requires.
pub(super) fn read<T: DeserializeOwned>(
    origin: &Origin,
    key: &str,
    node: &Node,
    errors: &mut Vec<ConfigError>,
) -> Option<T> {
    let context = Context {
        origin,
        unknown: RefCell::default(),
        checked: RefCell::default(),
        faulty: RefCell::default(),
        taken: RefCell::default(),
    };
    let key = KeyPath::Section(key);
    let deserializer = Deserializer::node(&context, &key, "", node);
    let mut found = Vec::new();
    // Each attempt finds a fault in a value that has none so far, so the loop ends.
    let read = loop {
        let Error::Located(error, at) = (match T::deserialize(deserializer) {
            Ok(read) => break Some(read),
            Err(error) => deserializer.locate(error),
        }) else {
            break None;
        };
        found.extend(error.map(|error| *error));
        context.faulty.borrow_mut().insert(at);
        context.taken.borrow_mut().clear();
        if at == address(node) || enough(&found) {
            break None;
        }
    };
    errors.append(&mut context.unknown.take());
    errors.append(&mut found);
    read
}

/// Identifies a node within its document.
type Address = *const Node;

fn address(node: &Node) -> Address {
    std::ptr::from_ref(node)
}

/// The state that all deserializers of one section share.
struct Context<'a> {
    origin: &'a Origin,
    /// Unknown keys, collected so that one attempt reports all of them.
    unknown: RefCell<Vec<ConfigError>>,
    /// Tables whose unknown keys are in `unknown`.
    checked: RefCell<HashSet<*const Table>>,
    /// Values with an error that an earlier attempt has found.
    faulty: RefCell<HashSet<Address>>,
    /// Contents of variables in this attempt so far. No error may show them.
    taken: RefCell<Vec<String>>,
}

impl Context<'_> {
    fn is_faulty(&self, node: &Node) -> bool {
        self.faulty.borrow().contains(&address(node))
    }

    /// Gives an error of a table's key its position. `key` is the path of the table.
    fn locate_key(&self, error: Error, entry: &Entry, key: &KeyPath<'_>) -> Error {
        let Error::Unplaced(problem) = error else {
            return error;
        };
        let problem = problem.without(&self.taken.borrow());
        let error = problem.at(self.origin, entry.key_span.clone(), key, None);
        Error::Located(Some(Box::new(error)), address(&entry.node))
    }

    /// Whether a problem of this value follows from a part of it that is left out.
    fn follows(&self, node: &Node, problem: &Problem) -> bool {
        match (&node.value, problem.child()) {
            (Value::Table(table), Some(child)) => table.get(child).is_some_and(|entry| self.is_faulty(&entry.node)),
            (Value::Table(table), None) => table.entries.iter().any(|entry| self.is_faulty(&entry.node)),
            (Value::Array(nodes), _) => nodes.iter().any(|node| self.is_faulty(node)),
            _ => false,
        }
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Deserializer<'a> {
    context: &'a Context<'a>,
    key: &'a KeyPath<'a>,
    /// The last named key on the path to the value.
    name: &'a str,
    node: &'a Node,
}

impl<'a> Deserializer<'a> {
    fn node(context: &'a Context<'a>, key: &'a KeyPath<'a>, name: &'a str, node: &'a Node) -> Self {
        Self {
            context,
            key,
            name,
            node,
        }
    }

    /// Gives an error without a position the position of this value.
    fn locate(&self, error: Error) -> Error {
        let Error::Unplaced(mut problem) = error else {
            return error;
        };
        if self.context.follows(self.node, &problem) {
            return Error::Located(None, address(self.node));
        }
        let shown = match self.node.value {
            Value::Table(_) => "a table".to_owned(),
            _ => show::value(self.context.origin, self.name, self.node),
        };
        if let Value::String(text) = &self.node.value {
            problem = problem.with_shown(text, &shown);
        }
        let problem = problem.without(&self.context.taken.borrow());
        let error = problem.at(self.context.origin, self.node.span.clone(), self.key, Some(shown));
        Error::Located(Some(Box::new(error)), address(self.node))
    }

    /// Replaces the references in `text` and passes the result to `use_it`.
    fn with_string<T>(&self, text: &'a str, use_it: impl FnOnce(&str) -> Result<T, Error>) -> Result<T, Error> {
        let Interpolated { text, taken } = self
            .context
            .origin
            .interpolate(text)
            .map_err(|error| self.locate(Error::with_hint_of(&error)))?;
        self.context.taken.borrow_mut().extend(taken);
        use_it(&text).map_err(|error| self.locate(error))
    }

    fn wrong_type<T>(&self, expected: &dyn Expected) -> Result<T, Error> {
        Err(self.locate(Error::invalid_type(Unexpected::Other("value"), expected)))
    }

    /// Reports the keys of `table` that `known` does not contain.
    fn check_keys(&self, table: &Table, known: &'static [&'static str]) {
        let mut errors = self.context.unknown.borrow_mut();
        let is_first = self.context.checked.borrow_mut().insert(std::ptr::from_ref(table));
        if !is_first || enough(&errors) {
            return;
        }
        let unknown = table.unknown(known);
        for entry in &unknown.first {
            let problem = Problem::unknown_key(&entry.key, known);
            errors.push(problem.at(self.context.origin, entry.key_span.clone(), self.key, None));
        }
        errors.extend(self.context.origin.more_unknown(&unknown, || self.key.text()));
    }
}

impl<'de> serde::Deserializer<'de> for Deserializer<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::String(text) => return self.with_string(text, |text| visitor.visit_str(text)),
            Value::Integer(Some(number)) => match (u64::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => visitor.visit_i128(*number),
            },
            Value::Float(Some(number)) => visitor.visit_f64(*number),
            Value::Integer(None) | Value::Float(None) => return self.wrong_type(&visitor),
            Value::Boolean(flag) => visitor.visit_bool(*flag),
            Value::Datetime => visitor.visit_str(self.context.origin.written(&self.node.span)),
            Value::Array(nodes) => visitor.visit_seq(Elements::new(self.context, self.key, self.name, nodes)),
            Value::Table(table) => visitor.visit_map(Entries::new(self.context, self.key, table, None)),
        };
        result.map_err(|error| self.locate(error))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            // A date is not a string, although `deserialize_any` has to present a date as one.
            Value::Datetime => self.wrong_type(&visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Value::Table(table) = &self.node.value else {
            return self.wrong_type(&visitor);
        };
        self.check_keys(table, fields);
        let entries = Entries::new(self.context, self.key, table, Some(fields));
        visitor.visit_map(entries).map_err(|error| self.locate(error))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::String(text) => self.with_string(text, |text| visitor.visit_enum(StrDeserializer::new(text))),
            _ => self.wrong_type(&"a string"),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier
    }
}
