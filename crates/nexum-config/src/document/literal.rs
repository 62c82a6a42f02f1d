//! Secrets that a file contains itself, instead of a reference to a variable, a file or a credential.

use super::Section;
use super::masked::{CONFIG, HEADERS};
use super::tree::{Node, Value};

/// The shortest part of a URL that counts as a key: keys of providers have 24 bytes and more, and
/// names of networks and interfaces have fewer than 16.
const KEY_BYTES_MIN: usize = 16;

/// The shortest part of a header that counts as a credential. Shorter ones are words such as `Bearer`.
const HEADER_BYTES_MIN: usize = 8;

impl Section {
    /// Whether the file itself contains a credential: a URL with a user or a key, or a header.
    ///
    /// The values below `config` do not count. Only the author of the module knows which of them are
    /// secrets.
    pub fn has_literal_secret(&self) -> bool {
        let (_, table) = self.parts();
        let mut entries = table.entries.iter();
        entries.any(|entry| is_in_node(&entry.key, false, &entry.node))
    }
}

/// Whether the value of the key `name` contains a secret.
fn is_in_node(name: &str, is_header: bool, node: &Node) -> bool {
    match &node.value {
        Value::Table(_) if name == CONFIG => false,
        Value::Table(table) => {
            let are_headers = is_header || name == HEADERS;
            let mut entries = table.entries.iter();
            entries.any(|entry| is_in_node(&entry.key, are_headers, &entry.node))
        }
        Value::Array(nodes) => nodes.iter().any(|node| is_in_node(name, is_header, node)),
        Value::String(text) => is_in_text(&without_references(text), is_header),
        _ => false,
    }
}

fn is_in_text(text: &str, is_header: bool) -> bool {
    if is_header {
        return text.split_whitespace().any(|part| part.len() >= HEADER_BYTES_MIN);
    }
    let Some((_, after)) = text.split_once("://") else {
        return false;
    };
    let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let is_key = |part: &str| part.len() >= KEY_BYTES_MIN && part.contains(|c: char| c.is_ascii_digit());
    user.contains(|c| c != ':') || rest.split(['/', '?', '&', '=', '#']).any(is_key)
}

/// The text that remains of a string without its references.
fn without_references(text: &str) -> String {
    let mut parts = text.split("${");
    let first = parts.next().unwrap_or_default();
    let others = parts.map(|part| part.split_once('}').map_or("", |(_, rest)| rest));
    [first].into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::document::{Document, Environment};

    fn has_secret(text: &str) -> bool {
        let document = Document::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed());
        document.expect("TOML").root().has_literal_secret()
    }

    #[test]
    fn a_key_in_a_url_and_a_header_are_secrets() {
        for text in [
            "[chains.1]\nrpc_url = \"https://a.example/v3/0123456789abcdef\"",
            "[chains.1]\nrpc_url = \"https://a.example/?key=0123456789abcdef\"",
            "[chains.1]\nrpc_url = \"https://user:pass@a.example\"",
            "[[chains.1.endpoints]]\nurl = \"https://a.example/${VERSION}/0123456789abcdef\"",
            "[notify]\nheaders = { authorization = \"Bearer abcdefgh\" }",
        ] {
            assert!(has_secret(text), "{text}");
        }
    }

    #[test]
    fn a_reference_and_an_address_are_no_secrets() {
        for text in [
            "[engine]\nstate_dir = \"/var/lib/nexum-0123456789abcdef\"",
            "[chains.1]\nrpc_url = \"ws://127.0.0.1:8546/optimism-mainnet/v3\"",
            "[chains.1]\nrpc_url = \"https://${USER}:${PASSWORD}@a.example/${file:/etc/nexum/0123456789abcdef}\"",
            "[chains.1]\nrpc_url = \"${RPC_URL:-https://a.example}\"",
            "[notify]\nheaders = { authorization = \"Bearer ${cred:notify}\" }",
            "[[modules]]\nconfig = { site = \"https://a.example/0123456789abcdef\" }",
        ] {
            assert!(!has_secret(text), "{text}");
        }
    }
}
