//! The parts of a URL that decide where a request goes.

use std::fmt;

use url::{Host, Url};

use nexum_net::not_public;

/// The longest DNS name, and the longest label of one.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// The target of a request: scheme, host and port. It comes from the parsed URL that the client
/// sends, so that checking and sending cannot read the URL differently.
///
/// Invariant: a host name is a DNS name in lower case, without a trailing dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    scheme: Scheme,
    host: Host,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// Scheme, host and port.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// Why a URL is refused under every policy. The message never contains the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// Neither `http` nor `https`.
    #[error("the URL has a scheme other than http and https")]
    Scheme,
    /// The URL has credentials. The client would send them, and they can be mistaken for the host.
    #[error("the URL has a user name or a password; send them in a header")]
    UserInfo,
    /// The host is neither a DNS name nor an address.
    #[error("the URL's host is neither a name nor an address")]
    Host,
}

impl Destination {
    /// The destination of a URL.
    ///
    /// # Errors
    ///
    /// [`DestinationError`] if no request may go to the URL.
    pub fn of(url: &Url) -> Result<Self, DestinationError> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(DestinationError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(DestinationError::UserInfo);
        }
        let host = url.host().ok_or(DestinationError::Host)?.to_owned();
        if matches!(&host, Host::Domain(name) if !is_name(name)) {
            return Err(DestinationError::Host);
        }
        let port = url.port_or_known_default().ok_or(DestinationError::Host)?;
        Ok(Self { scheme, host, port })
    }

    /// The host: a name or an address.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the request is sent without TLS.
    pub fn is_plain(&self) -> bool {
        self.scheme == Scheme::Http
    }

    /// For a host that is a non-public address, the kind of address. The client does not resolve
    /// such a host, so the resolver cannot check it.
    pub(crate) fn not_public(&self) -> Option<&'static str> {
        match self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => not_public(address.into()),
            Host::Ipv6(address) => not_public(address.into()),
        }
    }

    /// The scheme's default port.
    pub(crate) fn default_port(&self) -> u16 {
        match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Whether a host of a parsed URL is a DNS name: non-empty labels of letters, digits, hyphens and
/// underscores.
pub(crate) fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(of_name)
    };
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label)
}
