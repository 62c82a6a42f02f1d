//! The address of an endpoint, which is a secret.

use std::fmt;
use std::path::{Path, PathBuf};

use nexum_config::document::deserialize_text;
use serde::{Deserialize, Deserializer};
use url::Url;

/// Where an endpoint is. Providers put keys into the path, the query and the user part, so `Debug` and `Display` show the
/// scheme and the host only, and of an ipc path nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl(Address);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Http(Url),
    Ws(Url),
    Ipc(PathBuf),
}

/// Why a text is not the address of an endpoint. Never shows the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointUrlError {
    /// Neither a URL nor a path.
    #[error("is neither a URL nor the path of an ipc socket")]
    Malformed,
    /// A URL of something else.
    #[error("has a scheme other than http, https, ws, wss and ipc")]
    Scheme,
    /// A URL without a host.
    #[error("names no host")]
    NoHost,
}

impl EndpointUrl {
    /// Takes an `http`, `https`, `ws` or `wss` URL, an `ipc://` URL, an absolute path, or a path that ends in `.ipc`.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, EndpointUrlError> {
        if let Some(path) = text.strip_prefix("ipc://") {
            return if path.is_empty() {
                Err(EndpointUrlError::NoHost)
            } else {
                Ok(Self::ipc(path))
            };
        }
        if !text.contains("://") && (text.starts_with('/') || text.ends_with(".ipc")) {
            return Ok(Self::ipc(text));
        }
        let url = Url::parse(text).map_err(|_| EndpointUrlError::Malformed)?;
        let address = match url.scheme() {
            "http" | "https" => Address::Http,
            "ws" | "wss" => Address::Ws,
            _ => return Err(EndpointUrlError::Scheme),
        };
        // The parser refuses an empty host for these schemes already.
        if url.host_str().is_none_or(str::is_empty) {
            return Err(EndpointUrlError::NoHost);
        }
        Ok(Self(address(url)))
    }

    fn ipc(path: &str) -> Self {
        Self(Address::Ipc(Path::new(path).to_owned()))
    }

    pub(crate) fn is_ipc(&self) -> bool {
        matches!(self.0, Address::Ipc(_))
    }

    pub(crate) fn address(&self) -> &Address {
        &self.0
    }

    /// The parts that may be keys; an ipc path, which names a user's directory, is one.
    pub(crate) fn keys(&self) -> Vec<String> {
        let url = match &self.0 {
            Address::Http(url) | Address::Ws(url) => url,
            Address::Ipc(path) => return vec![path.display().to_string()],
        };
        let mut keys: Vec<String> = url.path_segments().into_iter().flatten().map(str::to_owned).collect();
        keys.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        keys.extend(url.query().map(str::to_owned));
        keys.push(url.username().to_owned());
        keys.extend(url.password().map(str::to_owned));
        keys
    }
}

impl<'de> Deserialize<'de> for EndpointUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a URL or the path of an ipc socket", Self::parse)
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Address::Http(url) | Address::Ws(url) => {
                write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
                // A default port has been left out by the parser.
                url.port().map_or(Ok(()), |port| write!(f, ":{port}"))
            }
            Address::Ipc(_) => f.write_str("ipc"),
        }
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointUrl({self})")
    }
}
