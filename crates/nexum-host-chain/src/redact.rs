//! Removes secrets from an endpoint's messages.

use std::cmp::Reverse;
use std::fmt;

use crate::config::endpoint_url::EndpointUrl;
use nexum_net::HttpHeaders;

/// The shortest part of an address or a header that counts as a possible key, in bytes. Shorter
/// parts, such as `v2` or `rpc`, are not keys, and messages need these words.
const KEY_BYTES_MIN: usize = 8;

/// The replacement for a secret.
const REDACTED: &str = "[redacted]";

/// Every part of an endpoint's address and headers that may be a key.
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn new(url: &EndpointUrl, headers: &HttpHeaders) -> Self {
        let mut keys = url.keys();
        keys.extend(headers.secrets());
        keys.retain(|key| key.len() >= KEY_BYTES_MIN);
        // The longest come first, because one part can contain another.
        keys.sort_by_key(|key| Reverse(key.len()));
        keys.dedup();
        Self(keys)
    }

    /// Removes every URL and every secret from an endpoint's text: an endpoint that refuses a
    /// request often quotes it.
    pub(crate) fn redact(&self, text: &str) -> String {
        let struck = self
            .0
            .iter()
            .fold(text.to_owned(), |text, key| text.replace(key, REDACTED));
        let words = struck.split_inclusive(char::is_whitespace);
        words
            .map(|word| {
                if word.contains("://") {
                    REDACTED.to_owned() + trailing_space(word)
                } else {
                    word.to_owned()
                }
            })
            .collect()
    }
}

/// A text for one line of a report: control characters of an endpoint's message are escaped.
pub(crate) fn printable(text: &str) -> String {
    let escaped = |c: char| match c {
        '\'' | '"' | '\\' => c.to_string(),
        c => c.escape_debug().to_string(),
    };
    text.chars().map(escaped).collect()
}

/// The trailing white space of a word.
fn trailing_space(word: &str) -> &str {
    &word[word.trim_end().len()..]
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}
