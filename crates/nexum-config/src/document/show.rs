//! How a value of the file is shown in an error: short, as it is written, and without secrets.

use super::Origin;
use super::tree::{Node, Value};

/// The most characters of a value that are shown. Of a longer string only its beginning is.
const VALUE_CHARS_MAX: usize = 48;
/// How much of a string that is too long is shown: enough to recognise it, too little to use it.
const LONG_STRING_CHARS: usize = 12;
/// The longest host, as names are bounded in the domain name system.
const HOST_CHARS_MAX: usize = 253;

/// Parts of names whose values are shown only as a URL's scheme and host, or as a reference to a variable. `url` is
/// one because a URL without its scheme is not recognised as a URL.
const SECRET_NAMES: [&str; 10] = [
    "auth",
    "credential",
    "endpoint",
    "key",
    "mnemonic",
    "pass",
    "secret",
    "token",
    "uri",
    "url",
];

/// `node` as an error shows it; `name` is the last named key above it.
pub(super) fn value(origin: &Origin, name: &str, node: &Node) -> String {
    match &node.value {
        Value::String(text) => string(name, text),
        Value::Array(_) => "an array".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        _ => cut(origin.written(&node.span), VALUE_CHARS_MAX, VALUE_CHARS_MAX),
    }
}

fn string(name: &str, text: &str) -> String {
    if let Some((before, after)) = text.split_once("://") {
        return url(before, after);
    }
    let name = name.to_ascii_lowercase();
    if SECRET_NAMES.iter().any(|part| name.contains(part)) && !is_reference(text) {
        return "a string".to_owned();
    }
    format!("{:?}", cut(text, VALUE_CHARS_MAX, LONG_STRING_CHARS))
}

/// A URL that is split at its `://`: scheme and host, if there is no doubt where they end.
fn url(before: &str, after: &str) -> String {
    let in_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let scheme = before.rsplit(|c| !in_scheme(c)).next().unwrap_or_default();
    let scheme = cut(
        scheme.trim_start_matches(|c: char| !c.is_ascii_alphabetic()),
        LONG_STRING_CHARS,
        LONG_STRING_CHARS,
    );
    let host = after.split(['/', '?', '#', ':', '}']).next().unwrap_or_default();
    let in_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '$' | '{');
    if host.is_empty() || host.len() > HOST_CHARS_MAX || !host.chars().all(in_host) || after.contains('@') {
        return format!("\"{scheme}://…\"");
    }
    let rest = if host.len() == after.len() { "" } else { "/…" };
    format!("\"{scheme}://{host}{rest}\"")
}

/// Whether `text` is nothing but one reference to a variable.
fn is_reference(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

/// `text`, or its first `shown` characters if it has more than `chars_max`.
fn cut(text: &str, chars_max: usize, shown: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(shown).chain(['…']).collect(),
    }
}
