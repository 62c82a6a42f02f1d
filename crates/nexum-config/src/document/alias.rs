//! Replaces old names in a document, before anything reads it.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::key::{KeyPath, join};
use super::tree::{Entry, Node, Span, Table, Value};
use super::{ConfigError, Document, Origin, enough, show};
use crate::aliases::{ALIASES, Alias, Change, File};

/// The most uses of one old name that nexum replaces: as many as a configuration has chains. A
/// further use is an unknown key.
const USES_MAX: usize = 1_000;

impl Document {
    /// Replaces the old names of `file`. Returns one notice for each name, with the position of its
    /// first use. An old name beside its new one is an error, which goes to `errors`. Positions of
    /// later errors are those of the text, and their keys are the new ones.
    ///
    /// The tree may become one level deeper.
    pub(crate) fn replace_old_names(&mut self, file: File, errors: &mut Vec<ConfigError>) -> Vec<ConfigError> {
        let (origin, root) = self.root.parts_mut();
        let mut replacement = Replacement {
            origin,
            root,
            added: Vec::new(),
            errors,
        };
        let aliases = ALIASES.iter().filter(|alias| alias.file == file);
        aliases.filter_map(|alias| replacement.notice(alias)).collect()
    }
}

struct Replacement<'a> {
    origin: &'a Origin,
    root: &'a mut Table,
    /// The full paths of the tables that new names needed. The file does not have them.
    added: Vec<String>,
    errors: &'a mut Vec<ConfigError>,
}

/// One use of an old name.
struct Use {
    span: Span,
    /// The old path in the file.
    old: String,
    /// The new path, or the new word.
    new: String,
}

/// An entry with an old name, out of the tree.
struct Taken {
    /// The keys that the `*` of the path stand for.
    stars: Vec<Box<str>>,
    entry: Entry,
}

/// Why a new name cannot be set.
enum Blocked {
    /// It is set.
    Set,
    /// One of the tables around it is not a table.
    NoTable,
}

impl Replacement<'_> {
    /// Replaces an old name everywhere.
    fn notice(&mut self, alias: &Alias) -> Option<ConfigError> {
        let uses = match alias.change {
            Change::Word { old, new } => self.words(alias, old, new),
            Change::Name | Change::Seconds | Change::Switch { .. } => self.keys(alias),
            Change::Gone => self.gone(alias.old),
        };
        if let (Change::Switch { key, .. }, []) = (alias.change, &uses[..]) {
            let off = self.gone(key).pop()?;
            let what = format!(
                "has no effect without {} = true; {} opens the port",
                alias.old, alias.new
            );
            return Some(self.origin.error(off.span, off.old, what));
        }
        let more = uses.len().saturating_sub(1);
        let Use { span, old, new } = uses.into_iter().next()?;
        let what = match alias.change {
            Change::Name => format!("is an old name, the new one is {new}"),
            Change::Seconds => format!("is an old name, the new one is {new}, in milliseconds"),
            Change::Switch { .. } => format!("is an old name, now {new} alone opens the port"),
            Change::Gone => format!("is an old name and has no effect: see {}", alias.new),
            Change::Word { old, .. } => format!("{old:?} is an old word, the new one is {new:?}"),
        };
        let places = match more {
            0 => String::new(),
            1 => ", also at 1 more place".to_owned(),
            more => format!(", also at {more} more places"),
        };
        Some(self.origin.error(span, old, format!("{what}{places}")))
    }

    fn words(&mut self, alias: &Alias, old: &'static str, new: &'static str) -> Vec<Use> {
        let mut uses = Vec::new();
        let pattern: Vec<_> = alias.old.split('.').collect();
        visit(self.root, &pattern, &KeyPath::Section(""), &mut |key, node| {
            if matches!(&node.value, Value::String(text) if **text == *old) {
                node.value = Value::String(new.into());
                uses.push(Use {
                    span: node.span.clone(),
                    old: key.text(),
                    new: new.to_owned(),
                });
            }
        });
        uses
    }

    /// Takes the entries at `path` out of the tree.
    fn gone(&mut self, path: &str) -> Vec<Use> {
        let taken = self.take(path).into_iter();
        let removed = |Taken { stars, entry }: Taken| Use {
            span: entry.key_span,
            old: text(&filled(path, &stars)),
            new: String::new(),
        };
        taken.map(removed).collect()
    }

    fn keys(&mut self, alias: &Alias) -> Vec<Use> {
        let mut uses = Vec::new();
        for Taken { stars, entry } in self.take(alias.old) {
            let (old, new) = (filled(alias.old, &stars), filled(alias.new, &stars));
            let (old, key_span) = (text(&old), entry.key_span.clone());
            match self.set(alias, &new, entry, &old) {
                Ok(()) => uses.push(Use {
                    span: key_span,
                    old,
                    new: text(&new),
                }),
                Err(_) if enough(self.errors) => {}
                Err(error) => self.errors.push(error),
            }
        }
        uses
    }

    /// Sets the new name to the value of an entry with the old name.
    fn set(&mut self, alias: &Alias, new: &[&str], entry: Entry, old: &str) -> Result<(), ConfigError> {
        let Entry { key_span, node, .. } = entry;
        let set = match alias.change {
            Change::Switch { key, default } => match node.value {
                Value::Boolean(false) => {
                    self.take(key);
                    match self.is_set(alias.new) {
                        true => Err(Blocked::Set),
                        false => Ok(()),
                    }
                }
                Value::Boolean(true) if self.is_set(key) => Ok(()),
                Value::Boolean(true) => {
                    let value = Value::String(default.into());
                    self.insert(new, &key_span, Node { value, ..node })
                }
                _ => {
                    let error =
                        self.origin
                            .error(node.span.clone(), old.to_owned(), "expected true or false".to_owned());
                    return Err(error.with_value(Some(show::value(self.origin, old, &node))));
                }
            },
            Change::Seconds => match node.value {
                Value::Integer(Some(seconds)) if !SECONDS_RANGE.contains(&seconds) => {
                    let (min, max) = (SECONDS_RANGE.start(), SECONDS_RANGE.end());
                    let message = format!("expected a whole number of seconds from {min} to {max}");
                    let error = self.origin.error(node.span.clone(), old.to_owned(), message);
                    return Err(error.with_value(Some(show::value(self.origin, old, &node))));
                }
                _ => self.insert(new, &key_span, in_milliseconds(node)),
            },
            Change::Name | Change::Word { .. } | Change::Gone => self.insert(new, &key_span, node),
        };
        set.map_err(|blocked| {
            let (fault, hint) = match blocked {
                Blocked::Set => ("which is set too", "keep one of the two"),
                Blocked::NoTable => ("which is not in a table", "write the new name"),
            };
            let message = format!("is an old name of {}, {fault}", text(new));
            self.origin.error(key_span, old.to_owned(), message).with_hint(hint)
        })
    }

    /// Takes the entries at `path` out of the tree. A table with an old name goes with its last
    /// entry.
    fn take(&mut self, path: &str) -> Vec<Taken> {
        let mut taken = Vec::new();
        let pattern: Vec<_> = path.split('.').collect();
        take(self.root, &pattern, &mut Vec::new(), &mut taken);
        if let Some((table, _)) = path.rsplit_once('.').filter(|_| !taken.is_empty()) {
            let is_old = ALIASES.iter().any(|alias| alias.old == table);
            let is_empty = |entry: &Entry| entry.node.table().is_some_and(|table| table.entries.is_empty());
            if is_old && self.find(table).is_some_and(is_empty) {
                self.take(table);
            }
        }
        taken
    }

    fn is_set(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// The entry at `path`, which has no `*`.
    fn find(&self, path: &str) -> Option<&Entry> {
        let (tables, key) = path
            .rsplit_once('.')
            .map_or((None, path), |(tables, key)| (Some(tables), key));
        let table = match tables {
            Some(tables) => self.find(tables)?.node.table()?,
            None => &*self.root,
        };
        table.get(key)
    }

    /// Sets `path` to `node`, and adds the tables around it if they are missing. A table that an
    /// earlier call has added takes the entries of `node`.
    fn insert(&mut self, path: &[&str], key_span: &Span, node: Node) -> Result<(), Blocked> {
        let Some((key, tables)) = path.split_last() else {
            return Ok(());
        };
        let mut table = &mut *self.root;
        let mut full = String::new();
        for key in tables {
            full = join(&full, key);
            if table.get(key).is_none() {
                self.added.push(full.clone());
                table.entries.push(new_table(key, key_span));
            }
            table = table.table_mut(key).ok_or(Blocked::NoTable)?;
        }
        let Some(entry) = table.get(key) else {
            table.entries.push(Entry {
                key: (*key).into(),
                key_span: key_span.clone(),
                node,
            });
            return Ok(());
        };
        match node.value {
            Value::Table(more) if entry.node.table().is_some() && self.added.contains(&join(&full, key)) => {
                let mut entries = Arc::unwrap_or_clone(more).entries.into_iter();
                entries.try_for_each(|Entry { key, key_span, node }| {
                    let path: Vec<_> = path.iter().copied().chain([&*key]).collect();
                    self.insert(&path, &key_span, node)
                })
            }
            _ => Err(Blocked::Set),
        }
    }
}

/// Takes the entries that `pattern` describes out of a table.
fn take(table: &mut Table, pattern: &[&str], stars: &mut Vec<Box<str>>, taken: &mut Vec<Taken>) {
    match pattern {
        [] => {}
        _ if taken.len() == USES_MAX => {}
        [key] => {
            if let Some(index) = table.entries.iter().position(|entry| &*entry.key == *key) {
                let (stars, entry) = (stars.clone(), table.entries.remove(index));
                taken.push(Taken { stars, entry });
            }
        }
        ["*", below @ ..] => {
            for Entry { key, node, .. } in &mut table.entries {
                if let Value::Table(table) = &mut node.value {
                    stars.push(key.clone());
                    take(Arc::make_mut(table), below, stars, taken);
                    stars.pop();
                }
            }
        }
        [key, below @ ..] => {
            if let Some(table) = table.table_mut(key) {
                take(table, below, stars, taken);
            }
        }
    }
}

/// Calls `change` with each value that `pattern` describes, and with its full path.
fn visit(table: &mut Table, pattern: &[&str], path: &KeyPath<'_>, change: &mut dyn FnMut(&KeyPath<'_>, &mut Node)) {
    let Some((part, below)) = pattern.split_first() else {
        return;
    };
    let (name, in_array) = part.strip_suffix("[]").map_or((*part, false), |name| (name, true));
    let mut one = |path: &KeyPath<'_>, node: &mut Node| match &mut node.value {
        _ if below.is_empty() => change(path, node),
        Value::Table(table) => visit(Arc::make_mut(table), below, path, change),
        _ => {}
    };
    for Entry { key, node, .. } in &mut table.entries {
        if name != "*" && name != &**key {
            continue;
        }
        let path = KeyPath::Key(path, key);
        match &mut node.value {
            Value::Array(nodes) if in_array => {
                for (index, node) in nodes.iter_mut().enumerate() {
                    one(&KeyPath::Index(&path, index), node);
                }
            }
            _ if in_array => {}
            _ => one(&path, node),
        }
    }
}

/// The keys of `path`, with `stars` in place of each `*`.
fn filled<'a>(path: &'a str, stars: &'a [Box<str>]) -> Vec<&'a str> {
    let mut stars = stars.iter();
    let key = |part: &'a str| match part {
        "*" => stars.next().map_or(part, |star| &**star),
        _ => part,
    };
    path.split('.').map(key).collect()
}

fn text(keys: &[&str]) -> String {
    keys.iter().fold(String::new(), |path, key| join(&path, key))
}

/// An empty table that the file does not have. Its position is that of the old name.
fn new_table(key: &str, span: &Span) -> Entry {
    Entry {
        key: key.into(),
        key_span: span.clone(),
        node: Node {
            span: span.clone(),
            value: Value::Table(Arc::default()),
        },
    }
}

/// The seconds that an old key can have: the range of the keys in milliseconds.
const SECONDS_RANGE: std::ops::RangeInclusive<i128> = 1..=3_600;

/// Converts a number of seconds. Another value stays, and its reader refuses it.
fn in_milliseconds(node: Node) -> Node {
    let value = match node.value {
        Value::Integer(Some(seconds)) => Value::Integer(seconds.checked_mul(1_000)),
        other => other,
    };
    Node { value, ..node }
}
