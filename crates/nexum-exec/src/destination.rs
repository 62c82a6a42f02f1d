//! A destination that a command may connect to.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU16;
use std::str::FromStr;

/// The longest DNS name, and the longest label of one.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// The name of this machine, under every resolver.
const LOCALHOST: &str = "localhost";

/// A host and a port for outgoing connections. The written form is `HOST:PORT`, with an IPv6
/// address in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub(crate) host: Host,
    pub(crate) port: NonZeroU16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Address(IpAddr),
    Localhost,
    /// Another name, in the form of [`canonical`].
    Name(String),
}

/// Why a text is not a [`Destination`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// The port is missing or invalid.
    #[error("expected HOST:PORT, with a port from 1 to 65535")]
    Port,
    /// The host is neither an address nor a name.
    #[error("expected as the host a name, an IPv4 address, or an IPv6 address in brackets")]
    Host,
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(DestinationError::Port)?;
        let is_decimal = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| is_decimal).ok_or(DestinationError::Port)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(host) => {
                let address: Ipv6Addr = host.parse().map_err(|_| DestinationError::Host)?;
                Host::Address(IpAddr::V6(address).to_canonical())
            }
            None => Host::of(host).ok_or(DestinationError::Host)?,
        };
        Ok(Self { host, port })
    }
}

impl Host {
    fn of(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Address(IpAddr::V4(address)));
        }
        let name = canonical(text);
        let last = name.rsplit('.').next().unwrap_or_default();
        // A name that ends in a number is an address in a form that resolvers accept and people
        // misread: 127.1, 0x7f000001.
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
        match name.as_str() {
            LOCALHOST => Some(Self::Localhost),
            _ if is_name(&name) && !is_number => Some(Self::Name(name)),
            _ => None,
        }
    }
}

/// The canonical form of a name, for comparisons.
pub(crate) fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn is_name(name: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(of_name);
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Localhost => f.write_str(LOCALHOST),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_from_text() {
        for (text, shown) in [
            ("example.com:443", "example.com:443"),
            ("Example.COM.:443", "example.com:443"),
            ("localhost:80", "localhost:80"),
            ("LOCALHOST.:80", "localhost:80"),
            ("127.0.0.1:8545", "127.0.0.1:8545"),
            ("[::1]:8545", "[::1]:8545"),
            ("[::ffff:10.0.0.1]:1", "10.0.0.1:1"),
            ("my_node-1:65535", "my_node-1:65535"),
        ] {
            let destination = text.parse::<Destination>().map(|destination| destination.to_string());
            assert_eq!(destination.as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn is_refused_where_it_could_be_misread() {
        let long = format!("{}:1", "a".repeat(64));
        for (text, error) in [
            ("example.com", DestinationError::Port),
            ("example.com:", DestinationError::Port),
            ("example.com:0", DestinationError::Port),
            ("example.com:65536", DestinationError::Port),
            ("example.com:+443", DestinationError::Port),
            ("example.com:https", DestinationError::Port),
            ("", DestinationError::Port),
            (":443", DestinationError::Host),
            ("::1:443", DestinationError::Host),
            ("[::1:443", DestinationError::Host),
            ("[127.0.0.1]:443", DestinationError::Host),
            ("127.1:443", DestinationError::Host),
            ("2130706433:443", DestinationError::Host),
            ("0x7f000001:443", DestinationError::Host),
            ("0177.0.0.0x1:443", DestinationError::Host),
            ("*.example.com:443", DestinationError::Host),
            ("https://example.com:443", DestinationError::Host),
            ("user@example.com:443", DestinationError::Host),
            ("a..b:443", DestinationError::Host),
            ("exämple.com:443", DestinationError::Host),
            (&long, DestinationError::Host),
        ] {
            assert_eq!(text.parse::<Destination>(), Err(error), "{text}");
        }
    }
}
