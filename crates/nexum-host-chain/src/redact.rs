//! Strikes secrets out of what an endpoint says.

use std::cmp::Reverse;
use std::fmt;

use crate::config::endpoint_url::EndpointUrl;
use crate::config::http_headers::HttpHeaders;

/// What a part of an address or a header must have at least to be taken for a key. Shorter ones, such as `v2` or `rpc`, unlock
/// nothing, and are words that messages need.
const KEY_BYTES_MIN: usize = 8;

/// What stands in a text for what was struck out.
const REDACTED: &str = "[redacted]";

/// Every part of an endpoint's address and headers that may be a key.
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn new(url: &EndpointUrl, headers: &HttpHeaders) -> Self {
        let words = headers.values().flat_map(str::split_whitespace);
        let mut keys = url.keys();
        keys.extend(headers.values().chain(words).map(str::to_owned));
        keys.retain(|key| key.len() >= KEY_BYTES_MIN);
        // The longest come first, so that none hides part of another.
        keys.sort_by_key(|key| Reverse(key.len()));
        keys.dedup();
        Self(keys)
    }

    /// Strikes out of an endpoint's text every URL, and every secret: an endpoint that refuses a request likes to name what it
    /// was sent.
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

/// The white space that a word ends with.
fn trailing_space(word: &str) -> &str {
    &word[word.trim_end().len()..]
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}
