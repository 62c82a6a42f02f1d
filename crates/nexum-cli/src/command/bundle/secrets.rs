//! Removes the secrets of the configuration from texts of other origin: logs, metrics, reports.

use std::fmt::Write as _;

/// The shortest secret that is removed. A shorter text is a part of many words.
const SECRET_BYTES_MIN: usize = 6;

/// The text in place of a secret. JSON with it stays JSON.
const MASK: &[u8] = b"[masked]";

/// The secrets of a configuration, in every notation in which nexum prints text.
pub(super) struct Secrets {
    /// Longer texts first, because one can contain another.
    forms: Vec<Vec<u8>>,
}

impl Secrets {
    pub(super) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let long = secrets.into_iter().filter(|secret| secret.len() >= SECRET_BYTES_MIN);
        let mut forms: Vec<_> = long.flat_map(|secret| forms(&secret)).collect();
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self { forms }
    }

    /// The content without the secrets.
    pub(super) fn removed_from(&self, content: &[u8]) -> Vec<u8> {
        let without = |content: Vec<u8>, form: &Vec<u8>| replaced(&content, form);
        self.forms.iter().fold(content.to_owned(), without)
    }

    /// The text without the secrets.
    pub(super) fn removed_from_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.removed_from(text.as_bytes())).into_owned()
    }
}

/// A secret as it is, as a string in JSON and in `Debug`, and as a part of a URL.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let unquoted = |text: String| text.trim_matches('"').to_owned();
    let json = serde_json::to_string(secret).map_or_else(|_| secret.to_owned(), unquoted);
    let percent = percent_encoded(secret);
    let debug = format!("{secret:?}");
    let debug = debug.get(1..debug.len() - 1).unwrap_or(secret).to_owned();
    let lower = percent.to_ascii_lowercase();
    let mut forms: Vec<_> = [secret.to_owned(), json, debug, percent, lower]
        .into_iter()
        .map(String::into_bytes)
        .collect();
    forms.sort();
    forms.dedup();
    forms
}

/// The text with every byte but those of words as `%` and two digits (RFC 3986, section 2.1).
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            true => encoded.push(char::from(byte)),
            // A write to a string cannot fail.
            false => drop(write!(encoded, "%{byte:02X}")),
        }
        encoded
    })
}

/// The content with [`MASK`] in place of each `part`.
fn replaced(content: &[u8], part: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(part) {
            Some(after) => {
                kept.extend_from_slice(MASK);
                rest = after;
            }
            None => {
                kept.push(*first);
                rest = after;
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_removed_in_every_notation() {
        let secrets = ["short", "hunter2", "pass\"word/1", "hunter2-and-more"].map(str::to_owned);
        let secrets = Secrets::new(secrets);
        for (text, expected) in [
            ("a hunter2 b", "a [masked] b"),
            ("hunter2-and-more", "[masked]"),
            ("hunter2hunter2", "[masked][masked]"),
            (r#"{"a":"pass\"word/1"}"#, r#"{"a":"[masked]"}"#),
            ("x=pass%22word%2F1&y", "x=[masked]&y"),
            ("x=pass%22word%2f1&y", "x=[masked]&y"),
            ("pass\"word/1", "[masked]"),
            ("short", "short"),
            ("", ""),
        ] {
            assert_eq!(secrets.removed_from_text(text), expected);
        }
        assert_eq!(secrets.removed_from(b"\xffhunter2\xff"), b"\xff[masked]\xff");
    }
}
