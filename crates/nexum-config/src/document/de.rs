//! Reads the tree into types with serde, and gives every error its position.

mod access;
mod error;

use std::cell::RefCell;

use serde::de::value::StrDeserializer;
use serde::de::{Error as _, Expected, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::environment::Interpolated;
use super::key::KeyPath;
use super::tree::{Node, Span, Table, Value};
use super::{ConfigError, Origin, enough, show};
use access::{Elements, Entries};
pub(super) use error::Error;
use error::Problem;

/// The state that all deserializers of one section share.
pub(super) struct Context<'a> {
    pub(super) origin: &'a Origin,
    /// Unknown keys, collected so that one pass reports all of them.
    pub(super) unknown: RefCell<Vec<ConfigError>>,
    /// Contents of variables so far. No error may show them.
    taken: RefCell<Vec<String>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(origin: &'a Origin) -> Self {
        Self {
            origin,
            unknown: RefCell::default(),
            taken: RefCell::default(),
        }
    }

    /// Gives `error` the position `span` and the key `key`, unless it has a position already.
    pub(super) fn finish(&self, error: Error, span: &Span, key: &KeyPath<'_>) -> ConfigError {
        match error {
            Error::Located(error) => error,
            Error::Unplaced(problem) => problem
                .without(&self.taken.borrow())
                .at(self.origin, span.clone(), key, None),
        }
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
pub(super) struct Deserializer<'a> {
    context: &'a Context<'a>,
    key: &'a KeyPath<'a>,
    /// The last named key on the path to the value.
    name: &'a str,
    input: Input<'a>,
}

#[derive(Clone, Copy)]
enum Input<'a> {
    Node(&'a Node),
    Table(&'a Span, &'a Table),
}

impl<'a> Deserializer<'a> {
    /// A deserializer for a whole section.
    pub(super) fn table(context: &'a Context<'a>, key: &'a KeyPath<'a>, span: &'a Span, table: &'a Table) -> Self {
        Self {
            context,
            key,
            name: "",
            input: Input::Table(span, table),
        }
    }

    fn node(context: &'a Context<'a>, key: &'a KeyPath<'a>, name: &'a str, node: &'a Node) -> Self {
        let input = match &node.value {
            Value::Table(table) => Input::Table(&node.span, table),
            _ => Input::Node(node),
        };
        Self {
            context,
            key,
            name,
            input,
        }
    }

    fn span(&self) -> &'a Span {
        match self.input {
            Input::Node(node) => &node.span,
            Input::Table(span, _) => span,
        }
    }

    /// Gives an error without a position the position of this value.
    fn locate(&self, error: Error) -> Error {
        let Error::Unplaced(mut problem) = error else {
            return error;
        };
        let shown = match self.input {
            Input::Node(node) => show::value(self.context.origin, self.name, node),
            Input::Table(..) => "a table".to_owned(),
        };
        if let Input::Node(Node {
            value: Value::String(text),
            ..
        }) = self.input
        {
            problem = problem.with_shown(text, &shown);
        }
        let problem = problem.without(&self.context.taken.borrow());
        Error::Located(problem.at(self.context.origin, self.span().clone(), self.key, Some(shown)))
    }

    /// Replaces the references in `text` and passes the result to `use_it`.
    fn with_string<T>(&self, text: &'a str, use_it: impl FnOnce(&str) -> Result<T, Error>) -> Result<T, Error> {
        let Interpolated { text, taken } = self
            .context
            .origin
            .environment
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
        if enough(&errors) {
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
        let node = match self.input {
            Input::Node(node) => node,
            Input::Table(_, table) => {
                let entries = Entries::new(self.context, self.key, table, None);
                return visitor.visit_map(entries).map_err(|error| self.locate(error));
            }
        };
        let result = match &node.value {
            Value::String(text) => return self.with_string(text, |text| visitor.visit_str(text)),
            Value::Integer(Some(number)) => match (u64::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => visitor.visit_i128(*number),
            },
            Value::Float(Some(number)) => visitor.visit_f64(*number),
            Value::Integer(None) | Value::Float(None) => return self.wrong_type(&visitor),
            Value::Boolean(flag) => visitor.visit_bool(*flag),
            Value::Datetime => visitor.visit_str(self.context.origin.written(&node.span)),
            Value::Array(nodes) => visitor.visit_seq(Elements::new(self.context, self.key, self.name, nodes)),
            Value::Table(_) => return self.wrong_type(&visitor),
        };
        result.map_err(|error| self.locate(error))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.input {
            // A date is not a string, although `deserialize_any` has to present a date as one.
            Input::Node(Node {
                value: Value::Datetime, ..
            }) => self.wrong_type(&visitor),
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
        let Input::Table(_, table) = self.input else {
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
        match self.input {
            Input::Node(Node {
                value: Value::String(text),
                ..
            }) => self.with_string(text, |text| visitor.visit_enum(StrDeserializer::new(text))),
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
