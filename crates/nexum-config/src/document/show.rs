//! Shows a value of the file in an error: short, in the notation of the file, and without secrets.

use super::Origin;
use super::environment::is_reference;
use super::tree::{Node, Value};

/// The longest value that an error shows in full, in characters. An error shows only the start of a
/// longer string.
const VALUE_CHARS_MAX: usize = 48;
/// How many characters of a longer string an error shows: enough to recognise it, too few to use it
/// as a secret.
const LONG_STRING_CHARS: usize = 12;
/// The longest host, in bytes, as the domain name system bounds it.
pub(super) const HOST_CHARS_MAX: usize = 253;

/// Parts of key names that mark a secret. An error shows only the scheme and host of such a value
/// if it is a URL, or the text if it is a reference to a variable. `url` is in the list because a
/// URL without its scheme does not look like a URL, and `signer` because an operator may write a
/// private key in place of its table.
pub(super) const SECRET_NAMES: [&str; 12] = [
    "auth",
    "credential",
    "endpoint",
    "key",
    "mnemonic",
    "pass",
    "secret",
    "seed",
    "signer",
    "token",
    "uri",
    "url",
];

/// The text of `node` for an error. The last named key on the path to it is `name`.
pub(super) fn value(origin: &Origin, name: &str, node: &Node) -> String {
    match &node.value {
        Value::String(text) => string(name, text),
        Value::Array(_) => "an array".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        _ => cut(origin.written(&node.span), VALUE_CHARS_MAX, VALUE_CHARS_MAX),
    }
}

/// Whether the name of a key says that its value is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

fn string(name: &str, text: &str) -> String {
    if let Some((before, after)) = text.split_once("://") {
        return url(before, after);
    }
    if is_secret_name(name) && !is_reference(text) {
        return "a string".to_owned();
    }
    format!("{:?}", cut(text, VALUE_CHARS_MAX, LONG_STRING_CHARS))
}

/// Shows a URL, split at its `://`, as its scheme and host. It leaves out a host whose end is in
/// doubt.
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

/// The whole `text` if it has at most `chars_max` characters, else its first `shown` characters.
fn cut(text: &str, chars_max: usize, shown: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(shown).chain(['…']).collect(),
    }
}
