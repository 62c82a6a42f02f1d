//! The address of an endpoint, which may contain a secret.

use std::fmt;
use std::path::{Path, PathBuf};

use nexum_config::document::deserialize_text;
use nexum_config::hint::{Hint, Hinted};
use serde::{Deserialize, Deserializer};
use url::Url;

/// The address of an endpoint. Providers put keys into the path, the query and the user part. So
/// `Debug` and `Display` show only scheme, host and port, and nothing of an ipc path.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl(Address);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Http(Url),
    Ws(Url),
    Ipc(PathBuf),
}

/// Why a text is not the address of an endpoint. The message never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointUrlError {
    /// Neither a URL nor a path.
    #[error("is neither a URL nor the path of an ipc socket")]
    Malformed,
    /// A URL with another scheme.
    #[error("has a scheme other than http, https, ws, wss and ipc")]
    Scheme,
    /// A URL without a host.
    #[error("names no host")]
    NoHost,
}

impl Hint for EndpointUrlError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Malformed => "write the scheme too, such as https://node.example or ws://127.0.0.1:8545",
            Self::Scheme => {
                "write https://, http://, wss:// or ws:// and the host, or ipc:// and the path of the socket"
            }
            Self::NoHost => "write a host after the scheme, such as https://node.example, or a path after ipc://",
        };
        Some(hint.to_owned())
    }
}

impl EndpointUrl {
    /// Parses an `http`, `https`, `ws` or `wss` URL, an `ipc://` URL, an absolute path, or a path
    /// that ends in `.ipc`.
    ///
    /// # Errors
    ///
    /// [`EndpointUrlError`] if the text is none of these.
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
        // The parser refuses an empty host for these schemes.
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

    /// Whether the endpoint can push heads.
    pub(crate) fn pushes(&self) -> bool {
        !matches!(self.0, Address::Http(_))
    }

    pub(crate) fn address(&self) -> &Address {
        &self.0
    }

    /// The parts that may be keys. An ipc path counts as one, because it names a user's directory.
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
        deserialize_text(deserializer, "a URL or the path of an ipc socket", |text| {
            Self::parse(text).map_err(|error| Hinted(&error).to_string())
        })
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Address::Http(url) | Address::Ws(url) => {
                write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
                // The parser removes a default port, and an operator needs it in firewalls and proxies.
                url.port_or_known_default().map_or(Ok(()), |port| write!(f, ":{port}"))
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
