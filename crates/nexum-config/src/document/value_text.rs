//! Values as text for a module's `config`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use super::environment::INTERPOLATED_BYTES_MAX;
use super::key::KeyPath;
use super::location::Location;
use super::tree::{Entry, Node, Value};
use super::{ConfigError, Origin};

/// The longest text of an array or a table, in bytes: the longest string that a module can receive.
const TEXT_BYTES_MAX: usize = INTERPOLATED_BYTES_MAX;

/// The text of `node`, whose last named key is `name`.
///
/// A string is its content, an integer is decimal, a float has no `_`, and a boolean or a date is as
/// written. An array or a table is one line of TOML: `[1, 2]`, `{ a = 1, "b c" = "x" }`. Its keys
/// keep their order, its strings are basic strings, and its other values have the form above.
///
/// # Errors
///
/// Fails if an integer has more than 128 bits, if the text of an array or a table is longer than
/// [`TEXT_BYTES_MAX`], or if a string has a bad reference to a variable.
pub(super) fn value_text(
    origin: &Arc<Origin>,
    key: &KeyPath<'_>,
    name: &str,
    node: &Node,
) -> Result<String, ConfigError> {
    match &node.value {
        Value::Array(_) | Value::Table(_) => {
            let mut toml = Toml {
                origin,
                text: String::new(),
            };
            toml.value(key, name, node)?;
            Ok(toml.text)
        }
        _ => scalar(origin, key, name, node).map(Cow::into_owned),
    }
}

fn scalar<'a>(
    origin: &'a Arc<Origin>,
    key: &KeyPath<'_>,
    name: &str,
    node: &Node,
) -> Result<Cow<'a, str>, ConfigError> {
    let written = origin.written(&node.span);
    let location = || Location::of_node(origin, key.text(), name, node);
    match &node.value {
        Value::String(text) => location().interpolated(text).map(Cow::Owned),
        Value::Integer(Some(number)) => Ok(number.to_string().into()),
        Value::Integer(None) => Err(location().error("expected an integer of at most 128 bits")),
        Value::Float(_) => Ok(written.replace('_', "").into()),
        _ => Ok(written.into()),
    }
}

/// One line of TOML.
struct Toml<'a> {
    origin: &'a Arc<Origin>,
    text: String,
}

impl Toml<'_> {
    fn value(&mut self, key: &KeyPath<'_>, name: &str, node: &Node) -> Result<(), ConfigError> {
        match &node.value {
            Value::Array(nodes) => {
                self.text.push('[');
                for (index, node) in nodes.iter().enumerate() {
                    self.text.push_str(if index > 0 { ", " } else { "" });
                    self.value(&KeyPath::Index(key, index), name, node)?;
                }
                self.text.push(']');
            }
            Value::Table(table) => {
                self.text.push('{');
                for (index, Entry { key: name, node, .. }) in table.entries.iter().enumerate() {
                    self.text.push_str(if index > 0 { ", " } else { " " });
                    self.key(name);
                    self.text.push_str(" = ");
                    self.value(&KeyPath::Key(key, name), name, node)?;
                }
                self.text.push_str(if table.entries.is_empty() { "}" } else { " }" });
            }
            Value::String(_) => {
                let content = scalar(self.origin, key, name, node)?;
                push_string(&mut self.text, &content);
            }
            _ => {
                let text = scalar(self.origin, key, name, node)?;
                self.text.push_str(&text);
            }
        }
        if self.text.len() > TEXT_BYTES_MAX {
            let location = Location::of_node(self.origin, key.text(), name, node);
            return Err(location.error(format!("is longer than {TEXT_BYTES_MAX} bytes as text")));
        }
        Ok(())
    }

    fn key(&mut self, key: &str) {
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        match !key.is_empty() && key.bytes().all(is_bare) {
            true => self.text.push_str(key),
            false => push_string(&mut self.text, key),
        }
    }
}

/// Adds `content` to `text` as a basic string.
pub(super) fn push_string(text: &mut String, content: &str) {
    text.push('"');
    for c in content.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            // Writing to a string does not fail.
            c if c.is_control() => drop(write!(text, "\\u{:04X}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
}
