//! Entries of the lists of hosts.

use std::fmt;

use nexum_config::document::deserialize_text;
use nexum_config::hint::{Hint, Hinted};
use serde::{Deserialize, Deserializer};
use url::Host;

use crate::destination::{Destination, is_name};

/// The longest entry, in bytes: `*.`, the longest DNS name, a colon and a port.
pub const PATTERN_BYTES_MAX: usize = 2 + 253 + 6;

/// An entry of a list of hosts.
///
/// | form | matches |
/// |---|---|
/// | `api.example.com` | this host name |
/// | `*.example.com` | every name below `example.com`, but not `example.com` |
/// | `192.0.2.1`, `[2001:db8::1]` | this address |
///
/// With a port, such as `:8443`, an entry matches that port; without one, the scheme's default
/// port.
///
/// Warning: a wildcard lets a module leak data through DNS, because it can encode data in the
/// subdomain it looks up.
///
/// The stored form is that of URLs: lower case, other scripts in Punycode, IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    One(Host),
    /// The suffix of the names, with a leading dot.
    Below(String),
}

/// Why a text is not an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The text is a URL, or another part of one than the host.
    #[error("has more than a host and a port")]
    NotAHost,
    /// A `*` in another place than the first of several labels.
    #[error("has a `*` in another place than the first label")]
    Wildcard,
    /// The host is neither a name nor an address.
    #[error("is neither a host name nor an address")]
    Host,
    /// An IPv4 address in an unusual form, such as `0x7f.1`.
    #[error("is an address in an unusual form")]
    Address,
    /// The port is not a number from 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// Longer than [`PATTERN_BYTES_MAX`].
    #[error("is longer than any host name")]
    TooLong,
}

impl Hint for PatternError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotAHost => "write the host alone, as \"api.example.com\" or \"api.example.com:8443\"",
            Self::Wildcard => "write \"*.example.com\" for all names below example.com",
            Self::Address => "write the address as \"127.0.0.1\"",
            Self::Host => "write a name as \"api.example.com\", an address as \"192.0.2.1\" or \"[2001:db8::1]\"",
            Self::Port | Self::TooLong => "write it as \"api.example.com:8443\"",
        };
        Some(hint.to_owned())
    }
}

impl HostPattern {
    /// Parses an entry.
    ///
    /// # Errors
    ///
    /// [`PatternError`] if the text is not an entry.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong);
        }
        if text.contains(['/', '\\', '@', '?', '#', '%']) {
            return Err(PatternError::NotAHost);
        }
        let (host, port) = split(text)?;
        let hosts = match host.strip_prefix("*.") {
            Some(suffix) => match parse_host(suffix)? {
                Host::Domain(name) => Hosts::Below(format!(".{name}")),
                // A wildcard before an address has no meaning.
                Host::Ipv4(_) | Host::Ipv6(_) => return Err(PatternError::Wildcard),
            },
            None => Hosts::One(parse_host(host)?),
        };
        Ok(Self { hosts, port })
    }

    /// Whether the entry matches a destination.
    pub fn matches(&self, to: &Destination) -> bool {
        let hosts = match (&self.hosts, to.host()) {
            (Hosts::One(one), host) => one == host,
            (Hosts::Below(suffix), Host::Domain(name)) => is_below(name, suffix),
            (Hosts::Below(_), Host::Ipv4(_) | Host::Ipv6(_)) => false,
        };
        hosts && to.port() == self.port.unwrap_or(to.default_port())
    }

    /// Whether this entry matches every destination that `other` matches. It can return false by
    /// mistake if one of them writes the default port and the other does not.
    pub fn covers(&self, other: &Self) -> bool {
        let hosts = match (&self.hosts, &other.hosts) {
            (Hosts::Below(suffix), Hosts::One(Host::Domain(name))) => is_below(name, suffix),
            (Hosts::Below(suffix), Hosts::Below(longer)) => longer.ends_with(suffix.as_str()),
            (ours, theirs) => ours == theirs,
        };
        hosts && self.port == other.port
    }
}

/// Whether `name` has a label before `suffix`, which begins with a dot.
fn is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|label| !label.is_empty())
}

/// A host, and the port if there is one.
fn split(text: &str) -> Result<(&str, Option<u16>), PatternError> {
    let end = match text.strip_prefix('[') {
        Some(_) => text.find(']').ok_or(PatternError::Host)? + 1,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(end);
    let Some(port) = rest.strip_prefix(':') else {
        return if rest.is_empty() {
            Ok((host, None))
        } else {
            Err(PatternError::Host)
        };
    };
    // A number has one spelling: no sign, no zeros before it.
    let number = port
        .parse()
        .ok()
        .filter(|number: &u16| *number > 0 && number.to_string() == port);
    number.map(|number| (host, Some(number))).ok_or(PatternError::Port)
}

fn parse_host(text: &str) -> Result<Host, PatternError> {
    if text.contains('*') {
        return Err(PatternError::Wildcard);
    }
    let host = Host::parse(text).map_err(|_| PatternError::Host)?;
    match &host {
        Host::Domain(name) if !is_name(name) => Err(PatternError::Host),
        Host::Ipv4(address) if address.to_string() != text => Err(PatternError::Address),
        _ => Ok(host),
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hosts {
            Hosts::One(host) => write!(f, "{host}")?,
            Hosts::Below(suffix) => write!(f, "*{suffix}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a host", |text| {
            Self::parse(text).map_err(|error| Hinted(&error).to_string())
        })
    }
}
