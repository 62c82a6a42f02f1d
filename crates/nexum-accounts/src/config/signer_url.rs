//! The URL of a signer.

use std::fmt;

use nexum_config::document::deserialize_text;
use serde::{Deserialize, Deserializer};
use url::Url;

/// The longest URL of a signer, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// The base URL of a signer. Its `Debug` has the scheme, the host and the port alone.
#[derive(Clone, PartialEq, Eq)]
pub struct SignerUrl(Url);

impl SignerUrl {
    /// Parses a URL with the scheme `https` or `http`.
    ///
    /// # Errors
    ///
    /// The broken rule. It does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Some(text).filter(|text| text.len() <= URL_BYTES_MAX);
        let url = url.and_then(|text| Url::parse(text).ok()).ok_or("expected a URL")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("expected a URL with https or http");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("expected a URL without a query and a fragment");
        }
        Ok(Self(url))
    }

    /// Whether the URL has a user or a password.
    pub(super) fn has_user(&self) -> bool {
        !self.0.username().is_empty() || self.0.password().is_some()
    }

    /// The URL of a path below this URL.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/');
        let path = format!("{base}/{path}");
        url.set_path(&path);
        url
    }
}

impl fmt::Debug for SignerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => write!(f, "{}://{host}:{port}", self.0.scheme()),
            None => write!(f, "{}://{host}", self.0.scheme()),
        }
    }
}

impl<'de> Deserialize<'de> for SignerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a URL", Self::parse)
    }
}
