//! The tree of a document: plain values with their byte ranges.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};
use toml_parser::Source;
use toml_parser::parser::{Event, EventKind, RecursionGuard, parse_document};

/// A byte range of the document.
pub(crate) type Span = Range<usize>;

/// A value with its byte range.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// A TOML value. A number is `None` if no Rust type here can hold it. The text of a date stays in
/// the document.
#[derive(Clone)]
pub(crate) enum Value {
    /// The text before its references are replaced.
    String(Box<str>),
    Integer(Option<i128>),
    Float(Option<f64>),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Arc<Table>),
}

/// A table's entries, in the order of the file.
#[derive(Clone, Default)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

/// The most unknown keys of one table that errors name. More of them have one cause, such as the
/// wrong file.
pub(crate) const UNKNOWN_KEYS_MAX: usize = 10;

/// A key of a table and its value.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: Box<str>,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

impl Table {
    /// Converts a table of the TOML parser. It recurses, so the caller must refuse deep nesting
    /// first, with [`excess`].
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

    /// The entry called `key`. The search is linear: use it for a few keys, and iterate over
    /// `entries` for many.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| &*entry.key == key)
    }

    /// The table called `key`, if there is one.
    pub(crate) fn table_mut(&mut self, key: &str) -> Option<&mut Table> {
        let entry = self.entries.iter_mut().find(|entry| &*entry.key == key)?;
        match &mut entry.node.value {
            Value::Table(table) => Some(Arc::make_mut(table)),
            _ => None,
        }
    }

    /// The entries whose keys are not in `known`, in the order of the file.
    pub(crate) fn unknown(&self, known: &[&str]) -> Unknown<'_> {
        let mut entries = self.entries.iter().filter(|entry| !known.contains(&&*entry.key));
        Unknown {
            first: entries.by_ref().take(UNKNOWN_KEYS_MAX).collect(),
            next: entries.next(),
            more: entries.count() + 1,
        }
    }
}

/// Entries with unknown keys.
pub(crate) struct Unknown<'a> {
    /// The first [`UNKNOWN_KEYS_MAX`].
    pub(crate) first: Vec<&'a Entry>,
    /// The one after these, if there are more.
    pub(crate) next: Option<&'a Entry>,
    /// How many there are from `next` on, if there are.
    pub(crate) more: usize,
}

impl Node {
    /// The table, if the value is one.
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

/// Which bound on the tree of a document is exceeded.
#[derive(Clone, Copy)]
pub(crate) enum Excess {
    Depth,
    Items,
}

/// The first bound that the tree of `text` would exceed, and the byte range where it does. Keys and
/// single values are items.
///
/// The TOML parser bounds brackets and the parts of a dotted key by 80 each. Dotted keys inside
/// brackets still make a tree of 6,400 levels, which overflows the stack when the parser or this
/// crate drops it. An item of four bytes takes hundreds of bytes in the tree. So this function
/// counts on the parser's flat events, before a tree exists.
pub(crate) fn excess(text: &str, depth_max: u32, items_max: usize) -> Option<(Excess, Span)> {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut levels = Levels::default();
    let mut items = 0;
    let mut found = None;
    let mut receiver = |event: Event| {
        items += usize::from(matches!(event.kind(), EventKind::SimpleKey | EventKind::Scalar));
        let is_too_deep = levels.after(event.kind()) > depth_max;
        let excess = match (is_too_deep, items > items_max) {
            (true, _) => Excess::Depth,
            (_, true) => Excess::Items,
            _ => return,
        };
        found.get_or_insert((excess, event.span().start()..event.span().end()));
    };
    // The guard stops recursion at the depth at which `found` reports the document as too deep.
    let mut guard = RecursionGuard::new(&mut receiver, depth_max);
    parse_document(&tokens, &mut guard, &mut ());
    found
}

/// Counts the depth of the parser's next value in the tree. For malformed input the count can only
/// be too high.
#[derive(Default)]
struct Levels {
    /// Levels of the open table or array.
    open: u32,
    /// Parts of the last key, below `open`.
    key: u32,
    /// A dot follows the last part of the key.
    dotted: bool,
    /// The `open` of each enclosing table and array, up to the last header.
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
