//! Where an order book is, which may be a secret.

use std::cmp::Reverse;
use std::fmt;

use serde::{Deserialize, Deserializer, de};
use url::Url;

/// The least that a part of an address must have to be taken for a key. Shorter ones, such as `api` or `v1`, unlock nothing.
const KEY_BYTES_MIN: usize = 8;

/// What stands in a text for what was struck out.
const REDACTED: &str = "[redacted]";

/// What every path of an order book is relative to. `Debug` and `Display` show scheme and host only.
///
/// Invariant: it is `http` or `https`, has a host, ends in `/`, and has neither query nor fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a text is not a base URL. Never shows the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// Not a URL.
    #[error("is not a URL")]
    Malformed,
    /// A URL of something else.
    #[error("has a scheme other than http and https")]
    Scheme,
    /// There is something behind the path, where a path is to follow.
    #[error("has a query or a fragment, and paths are put behind it")]
    NotABase,
}

impl BaseUrl {
    /// Takes an `http` or `https` URL. A slash is put behind its path if there is none.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        Self::new(Url::parse(text).map_err(|_| BaseUrlError::Malformed)?)
    }

    pub(crate) fn new(mut url: Url) -> Result<Self, BaseUrlError> {
        // The parser refuses an empty host for these schemes.
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BaseUrlError::Scheme);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError::NotABase);
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self(url))
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// Strikes out of a text what may be keys in this address: an order book that refuses a request may name what it was sent.
    /// `public` are words that are no keys.
    pub(crate) fn redact(&self, text: String, public: Option<&str>) -> String {
        let segments = self.0.path_segments().into_iter().flatten();
        let user = [Some(self.0.username()), self.0.password()];
        let parts = segments.chain(user.into_iter().flatten());
        let mut keys: Vec<&str> = parts
            .filter(|part| part.len() >= KEY_BYTES_MIN && Some(*part) != public)
            .collect();
        // The longest come first, so that none hides part of another.
        keys.sort_by_key(|key| Reverse(key.len()));
        keys.into_iter().fold(text, |text, key| text.replace(key, REDACTED))
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A visitor, so that the error is one about this value.
        deserializer.deserialize_str(UrlVisitor)
    }
}

struct UrlVisitor;

impl de::Visitor<'_> for UrlVisitor {
    type Value = BaseUrl;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BaseUrl, E> {
        BaseUrl::parse(text).map_err(E::custom)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({self})")
    }
}
