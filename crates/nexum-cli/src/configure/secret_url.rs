//! A URL of the operator's, which may contain a secret.

use std::fmt;

use reqwest::Url;

/// A URL that is a secret. `Debug` and `Display` show scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretUrl(Url);

impl SecretUrl {
    pub(super) fn new(url: Url) -> Self {
        Self(url)
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        let port = self.0.port_or_known_default();
        port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}
