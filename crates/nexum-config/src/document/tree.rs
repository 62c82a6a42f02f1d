//! The tree that a document is kept as: plain values with the bytes they stand at.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};
use toml_parser::Source;
use toml_parser::parser::{Event, EventKind, RecursionGuard, parse_document};

/// The bytes of the document that something stands at.
pub(crate) type Span = Range<usize>;

/// A value and its place.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// A TOML value. Numbers that no type of ours holds are `None`; a date's text is the document's.
#[derive(Clone)]
pub(crate) enum Value {
    /// Before interpolation.
    String(Box<str>),
    Integer(Option<i128>),
    Float(Option<f64>),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Arc<Table>),
}

/// A table's entries, in the order of the file.
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

/// A key of a table, with its value.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: Box<str>,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

impl Table {
    /// Takes over what the TOML parser made. Recurses: the caller has refused deep nesting with [`too_deep`].
    pub(crate) fn new(table: DeTable<'_>) -> Self {
        let entries = table.into_iter().map(|(key, value)| Entry {
            key_span: key.span(),
            key: key.into_inner().into(),
            node: Node {
                span: value.span(),
                value: Value::new(value.into_inner()),
            },
        });
        Self {
            entries: entries.collect(),
        }
    }

    /// The entry called `key`. A linear search: ask for a handful of keys, and walk `entries` for more.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| &*entry.key == key)
    }
}

impl Node {
    /// The table that it is, if it is one.
    pub(crate) fn table(&self) -> Option<&Arc<Table>> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Value {
    fn new(value: DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::String(text.into()),
            DeValue::Integer(number) => Self::Integer(i128::from_str_radix(number.as_str(), number.radix()).ok()),
            DeValue::Float(number) => Self::Float(number.as_str().parse().ok()),
            DeValue::Boolean(flag) => Self::Boolean(flag),
            DeValue::Datetime(_) => Self::Datetime,
            DeValue::Table(table) => Self::Table(Arc::new(Table::new(table))),
            DeValue::Array(array) => {
                let node = |value: toml::Spanned<DeValue<'_>>| Node {
                    span: value.span(),
                    value: Self::new(value.into_inner()),
                };
                Self::Array(array.into_iter().map(node).collect())
            }
        }
    }
}

/// Where `text` is first nested deeper than `depth_max`, if anywhere.
///
/// The TOML parser bounds brackets and the parts of one dotted key, each by 80; but one within the other makes a tree
/// of 6,400 levels, which overflows the stack where it is dropped, inside the parser or here. So the levels are
/// counted on the parser's flat events before a tree is made of them.
pub(crate) fn too_deep(text: &str, depth_max: u32) -> Option<Span> {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut levels = Levels::default();
    let mut found = None;
    let mut receiver = |event: Event| {
        if found.is_none() && levels.after(event.kind()) > depth_max {
            found = Some(event.span().start()..event.span().end());
        }
    };
    // What the guard keeps from recursion is what `found` will refuse.
    let mut guard = RecursionGuard::new(&mut receiver, depth_max);
    parse_document(&tokens, &mut guard, &mut ());
    found
}

/// Counts how deep in the tree the parser's next value will stand. Broken input can only count too many.
#[derive(Default)]
struct Levels {
    /// Levels of the table or array that is open.
    open: u32,
    /// Parts of the key last read, under `open`.
    key: u32,
    /// A dot came after the last part of the key.
    dotted: bool,
    /// `open` of each table and array around the one that is open, out to the last header.
    around: Vec<u32>,
}

impl Levels {
    fn after(&mut self, event: EventKind) -> u32 {
        match event {
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => *self = Self::default(),
            EventKind::StdTableClose | EventKind::ArrayTableClose => self.enter_key(),
            EventKind::SimpleKey => {
                self.key = if self.dotted { self.key + 1 } else { 1 };
                self.dotted = false;
            }
            EventKind::KeySep => self.dotted = true,
            EventKind::InlineTableOpen | EventKind::ArrayOpen => {
                self.around.push(self.open);
                self.enter_key();
                self.open += 1;
            }
            EventKind::InlineTableClose | EventKind::ArrayClose => {
                self.open = self.around.pop().unwrap_or(self.open);
                self.key = 0;
            }
            _ => {}
        }
        self.open + self.key
    }

    fn enter_key(&mut self) {
        self.open += self.key;
        self.key = 0;
        self.dotted = false;
    }
}
