//! What of a URL decides where a request goes.

use url::{Host, Url};

use nexum_net::not_public;

/// The longest name of the domain name system, and the longest part of one.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Where a request goes: scheme, host and port, as the client below understands the URL. It is taken from the same parsed URL
/// that is sent, so that there are no two readings of it.
///
/// Invariant: a host that is a name is one of the domain name system, in lower case, without a dot at its end.
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

/// Why nothing may be sent to a URL, whatever is allowed. Never shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// Neither `http` nor `https`.
    #[error("the URL has a scheme other than http and https")]
    Scheme,
    /// It says who one is, which would be sent, and can pass for the host.
    #[error("the URL has a user name or a password; send them in a header")]
    UserInfo,
    /// A host that no name server knows.
    #[error("the URL's host is neither a name nor an address")]
    Host,
}

impl Destination {
    /// Where a request to this URL goes.
    ///
    /// # Errors
    ///
    /// When it may go nowhere.
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

    /// The name, or the address if the URL has one in place of it.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether what is sent can be read on the way.
    pub fn is_plain(&self) -> bool {
        self.scheme == Scheme::Http
    }

    /// For a host that is an address, what it is that is not public, if it is not. The client below does not resolve it.
    pub(crate) fn not_public(&self) -> Option<&'static str> {
        match self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => not_public(address.into()),
            Host::Ipv6(address) => not_public(address.into()),
        }
    }

    /// The port that the scheme has if none is named.
    pub(crate) fn default_port(&self) -> u16 {
        match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Whether a host of a parsed URL is a name that can be resolved: letters, digits, hyphens and underscores in labels that are
/// not empty.
pub(crate) fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(of_name)
    };
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label)
}
