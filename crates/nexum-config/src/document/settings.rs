//! The values of a document as an operator may see them: without secrets.

use std::fmt;
use std::sync::Arc;

use super::Origin;
use super::environment::{is_reference, references, without_defaults};
use super::key::join;
use super::location::Location;
use super::section::Section;
use super::show::{HOST_CHARS_MAX, is_secret_name};
use super::tree::{Node, Table, Value};
use super::value_text::{push_string, value_text};
use crate::names::Digest;

/// The table whose values are secrets, whatever their names.
const HEADERS: &str = "headers";

/// A secret that is not shown.
const MASKED: &str = "…";

/// A key of a document with its value.
///
/// The text of the value is TOML without secrets:
///
/// - A reference to a variable, a file or a credential is as written, without its default.
/// - A URL has only its scheme, host and port.
/// - The value of a header, or of a key whose name says that it is a secret, is `…`, unless it is
///   exactly one reference.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// The full path of the table, such as `chains.1` or `modules[0].config`.
    pub table: String,
    /// The key in the table, in TOML's notation.
    pub key: String,
    /// The value, in TOML's notation.
    pub value: String,
    /// The line of the value, from 1.
    pub line: usize,
    /// The references in the value, such as `${VAR}`, without defaults.
    pub references: Vec<String>,
    /// The digest of the value with its references replaced. It is a secret too, because it can
    /// confirm a guess.
    content: Digest,
}

impl Setting {
    /// The full path of the key.
    pub fn path(&self) -> String {
        match &*self.table {
            "" => self.key.clone(),
            table => format!("{table}.{}", self.key),
        }
    }

    /// Whether nexum reads `other` as this value: the contents of variables, files and credentials
    /// are equal too, as far as they could be read.
    pub fn has_content_of(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} = {}", self.line, self.path(), self.value)
    }
}

impl Section {
    /// All values of the table and of the tables in it, in the order of the file.
    pub fn settings(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        let (origin, table) = self.parts();
        Reader { origin }.table(self.key(), self.key(), table, &mut settings);
        settings
    }
}

struct Reader<'a> {
    origin: &'a Arc<Origin>,
}

impl Reader<'_> {
    /// Adds the values of `table`, whose full path is `path` and whose last named key is `name`.
    fn table(&self, path: &str, name: &str, table: &Table, settings: &mut Vec<Setting>) {
        for entry in &table.entries {
            let (key, node) = (&*entry.key, &entry.node);
            let full = join(path, key);
            match &node.value {
                Value::Table(inner) => self.table(&full, key, inner, settings),
                Value::Array(nodes) if is_of_tables(nodes) => {
                    let tables = nodes.iter().filter_map(Node::table).enumerate();
                    tables.for_each(|(index, inner)| self.table(&format!("{full}[{index}]"), key, inner, settings));
                }
                _ => settings.push(self.setting(path, name, key, node)),
            }
        }
    }

    fn setting(&self, table: &str, table_name: &str, key: &str, node: &Node) -> Setting {
        let is_secret = table_name == HEADERS || is_secret_name(key);
        let mut value = String::new();
        let mut found = Vec::new();
        self.show(node, is_secret, &mut value, &mut found);
        let full = join(table, key);
        let text = value_text(self.origin, &super::key::KeyPath::Section(&full), key, node);
        // A value that cannot be read has an error elsewhere.
        let text = text.unwrap_or_else(|_| self.origin.written(&node.span).to_owned());
        let at = Location::of_table(self.origin, String::new(), &node.span).error("");
        Setting {
            table: table.to_owned(),
            key: join("", key),
            value,
            line: at.line().unwrap_or_default(),
            references: found,
            content: Digest::of(text.as_bytes()),
        }
    }

    /// Writes the value without secrets, and adds its references to `found`.
    fn show(&self, node: &Node, is_secret: bool, shown: &mut String, found: &mut Vec<String>) {
        match &node.value {
            Value::String(text) => {
                found.extend(references(text));
                push_string(shown, &masked(text, is_secret));
            }
            Value::Array(nodes) => {
                shown.push('[');
                for (index, node) in nodes.iter().enumerate() {
                    shown.push_str(if index > 0 { ", " } else { "" });
                    self.show(node, is_secret, shown, found);
                }
                shown.push(']');
            }
            Value::Table(table) => {
                shown.push('{');
                for (index, entry) in table.entries.iter().enumerate() {
                    shown.push_str(if index > 0 { ", " } else { " " });
                    shown.push_str(&join("", &entry.key));
                    shown.push_str(" = ");
                    self.show(&entry.node, is_secret || is_secret_name(&entry.key), shown, found);
                }
                shown.push_str(if table.entries.is_empty() { "}" } else { " }" });
            }
            Value::Integer(Some(number)) => shown.push_str(&number.to_string()),
            _ => shown.push_str(&self.origin.written(&node.span).replace('_', "")),
        }
    }
}

/// Whether an array is written with a header for each table.
fn is_of_tables(nodes: &[Node]) -> bool {
    !nodes.is_empty() && nodes.iter().all(|node| node.table().is_some())
}

/// The text of a string without secrets.
fn masked(text: &str, is_secret: bool) -> String {
    if is_reference(text) {
        return text.to_owned();
    }
    match text.split_once("://") {
        Some((scheme, rest)) => url(scheme, rest),
        None if is_secret => MASKED.to_owned(),
        None => without_defaults(text),
    }
}

/// The scheme, host and port of a URL.
fn url(scheme: &str, rest: &str) -> String {
    let is_scheme = |scheme: &str| !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+');
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // A password can contain any character.
    if !is_scheme(scheme) || !is_authority(authority) || rest.contains('@') {
        return MASKED.to_owned();
    }
    let more = if matches!(path, "" | "/") { "" } else { "/…" };
    format!("{scheme}://{authority}{more}")
}

/// Whether a text is a host, which is not longer than a host can be, and perhaps a port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, "0"),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')),
    };
    (1..=HOST_CHARS_MAX).contains(&host.len()) && is_host && port.parse::<u16>().is_ok()
}
