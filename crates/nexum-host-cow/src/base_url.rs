//! The base URL of an order book, which may contain a secret.

use std::cmp::Reverse;
use std::fmt;

use nexum_config::document::deserialize_text;
use nexum_net::HttpHeaders;
use serde::{Deserialize, Deserializer};
use url::Url;

/// The shortest part of a URL that counts as a possible key, in bytes. Shorter parts, such as `api`
/// or `v1`, are not keys.
const KEY_BYTES_MIN: usize = 8;

/// The replacement for a possible key.
const REDACTED: &str = "[redacted]";

/// The URL that every path of an order book is relative to. `Debug` and `Display` show only scheme,
/// host and port.
///
/// Invariant: the scheme is `http` or `https`, there is a host, the path ends in `/`, and there is
/// neither query nor fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a text is not a base URL. The message never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// Not a URL.
    #[error("is not a URL")]
    Malformed,
    /// A URL with another scheme.
    #[error("has a scheme other than http and https")]
    Scheme,
    /// The URL has a query or a fragment, so a path cannot be appended.
    #[error("has a query or a fragment; remove it, because nexum appends paths")]
    NotABase,
}

impl BaseUrl {
    /// Parses an `http` or `https` URL. Appends a slash to the path if there is none.
    ///
    /// # Errors
    ///
    /// [`BaseUrlError`] if the text is not a base URL.
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

    /// Removes possible keys of this URL from a text: an order book that refuses a request may
    /// quote the URL. Removes the values of the headers too. `public` lists words that are not keys.
    pub(crate) fn redact(&self, text: String, public: Option<&str>, headers: &HttpHeaders) -> String {
        let segments = self.0.path_segments().into_iter().flatten();
        let user = [Some(self.0.username()), self.0.password()];
        let parts = segments.chain(user.into_iter().flatten());
        let is_key = |part: &str| part.len() >= KEY_BYTES_MIN && Some(part) != public;
        let parts = parts.map(str::to_owned).chain(headers.secrets());
        let mut keys: Vec<String> = parts.filter(|part| is_key(part)).collect();
        // The longest come first, because one part can contain another.
        keys.sort_by_key(|key| Reverse(key.len()));
        keys.iter().fold(text, |text, key| text.replace(key, REDACTED))
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a URL", Self::parse)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        // The parser leaves out a default port.
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({self})")
    }
}
