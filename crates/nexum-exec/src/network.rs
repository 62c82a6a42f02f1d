//! The resolved destinations of a command.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use nexum_config::hint::Hint;
use tokio::net::lookup_host;
use tokio::time::timeout;
use wasmtime_wasi::sockets::SocketAddrUse;

use crate::destination::{Destination, Host, canonical};

/// The most destinations of a command. Each name needs a lookup before the start.
pub const DESTINATIONS_MAX: usize = 64;

/// The most addresses of a name: more than any large service has.
pub const ADDRESSES_MAX: usize = 64;

/// Time limit of a lookup: longer than a resolver waits for a server that is down.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(15);

/// The permitted addresses of a command, and the results of its lookups.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Network {
    open: BTreeSet<(IpAddr, u16)>,
    names: BTreeMap<String, Vec<IpAddr>>,
}

/// Why nexum refuses a destination.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// More than [`DESTINATIONS_MAX`] destinations.
    #[error("there are more than {DESTINATIONS_MAX} destinations")]
    TooMany,
    /// The name has no address, or the lookup failed.
    #[error("cannot resolve {name}")]
    Resolve {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The name has a non-public address, by mistake or by an attack.
    #[error("{name} has the address {address}, which is not public ({range})")]
    NotPublic {
        /// The name.
        name: String,
        /// The address.
        address: IpAddr,
        /// The kind of address.
        range: &'static str,
    },
}

impl Hint for NetworkError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotPublic { address, .. } => Some(format!("to allow this address, name {address} itself")),
            Self::TooMany | Self::Resolve { .. } => None,
        }
    }
}

impl Network {
    /// Resolves the names, once for the whole run.
    ///
    /// # Errors
    ///
    /// If a name has no address, or a non-public one.
    pub(crate) async fn resolve(destinations: &[Destination]) -> Result<Self, NetworkError> {
        Self::resolve_with(destinations, look_up).await
    }

    async fn resolve_with(
        destinations: &[Destination],
        look_up: impl AsyncFn(&str, u16) -> Result<Vec<IpAddr>, NetworkError>,
    ) -> Result<Self, NetworkError> {
        if destinations.len() > DESTINATIONS_MAX {
            return Err(NetworkError::TooMany);
        }
        let mut network = Self::default();
        for Destination { host, port } in destinations {
            let addresses = match host {
                Host::Address(address) => vec![*address],
                // `localhost` is this machine under every resolver.
                Host::Localhost => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
                Host::Name(name) => public(name, look_up(name, port.get()).await?)?,
            };
            network
                .open
                .extend(addresses.iter().map(|address| (*address, port.get())));
            if !matches!(host, Host::Address(_)) {
                network.names.insert(host.to_string(), addresses);
            }
        }
        Ok(network)
    }

    /// Whether there are no destinations.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether the command may use a socket in this way.
    pub(crate) fn allows(&self, address: IpAddr, port: u16, what: SocketAddrUse) -> bool {
        match what {
            SocketAddrUse::TcpConnect => self.open.contains(&(address.to_canonical(), port)),
            // Every connection binds a port that the system chooses. A port that the command
            // chooses could block other programs.
            SocketAddrUse::TcpBind => address.is_unspecified() && port == 0,
            _ => false,
        }
    }

    /// The result of the command's lookup of a name: the permitted addresses. An address resolves
    /// to itself.
    pub(crate) fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let unbracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        match unbracketed.unwrap_or(name).parse() {
            Ok(address) => Some(vec![address]),
            Err(_) => self.names.get(&canonical(name)).cloned(),
        }
    }
}

async fn look_up(name: &str, port: u16) -> Result<Vec<IpAddr>, NetworkError> {
    let failed = |source| NetworkError::Resolve {
        name: name.to_owned(),
        source,
    };
    let late = |_| failed(io::ErrorKind::TimedOut.into());
    let found = timeout(RESOLVE_TIMEOUT, lookup_host((name, port)))
        .await
        .map_err(late)?;
    let addresses: Vec<_> = found.map_err(failed)?.map(|found| found.ip().to_canonical()).collect();
    match addresses.len() {
        0 => Err(failed(io::ErrorKind::NotFound.into())),
        1..=ADDRESSES_MAX => Ok(addresses),
        _ => Err(failed(io::Error::other("it has too many addresses"))),
    }
}

/// Returns the addresses if all of them are public.
fn public(name: &str, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, NetworkError> {
    for address in &addresses {
        if let Some(range) = nexum_net::not_public(*address) {
            return Err(NetworkError::NotPublic {
                name: name.to_owned(),
                address: *address,
                range,
            });
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn network(destinations: &[&str]) -> Network {
        let destinations: Vec<_> = destinations
            .iter()
            .map(|text| text.parse().expect("a destination"))
            .collect();
        Network::resolve(&destinations).await.expect("resolved")
    }

    #[tokio::test]
    async fn allows_what_was_named_and_nothing_else() {
        let network = network(&["10.0.0.1:443", "[2001:db8::1]:80", "localhost:8545"]).await;
        for (address, port, allowed) in [
            ("10.0.0.1", 443, true),
            ("::ffff:10.0.0.1", 443, true),
            ("10.0.0.1", 80, false),
            ("10.0.0.2", 443, false),
            ("2001:db8::1", 80, true),
            ("2001:db8::1", 443, false),
            ("127.0.0.1", 8545, true),
            ("::1", 8545, true),
            ("127.0.0.2", 8545, false),
            ("127.0.0.1", 443, false),
        ] {
            let address = address.parse().expect("an address");
            let found = network.allows(address, port, SocketAddrUse::TcpConnect);
            assert_eq!(found, allowed, "{address} {port}");
            for what in [
                SocketAddrUse::TcpBind,
                SocketAddrUse::TcpListen,
                SocketAddrUse::TcpAccept,
                SocketAddrUse::UdpBind,
                SocketAddrUse::UdpSend,
                SocketAddrUse::UdpReceive,
            ] {
                assert!(!network.allows(address, port, what), "{what:?} {address} {port}");
            }
        }
    }

    #[tokio::test]
    async fn answers_for_names_that_were_given() {
        let network = network(&["localhost:8545", "10.0.0.1:443"]).await;
        let both = ["127.0.0.1", "::1"]
            .map(|text| text.parse().expect("an address"))
            .to_vec();
        assert_eq!(network.addresses("LocalHost."), Some(both));
        assert_eq!(network.addresses("example.com"), None);
        for literal in ["192.0.2.1", "::1", "[::1]"] {
            let found = network.addresses(literal).map(|found| found.len());
            assert_eq!(found, Some(1), "{literal}");
        }
    }

    async fn resolved_to(found: &[&str]) -> Result<Network, NetworkError> {
        let destination = "example.com:443".parse().expect("a destination");
        let found: Vec<_> = found.iter().map(|text| text.parse().expect("an address")).collect();
        Network::resolve_with(&[destination], async |_, _| Ok(found.clone())).await
    }

    #[tokio::test]
    async fn refuses_a_name_that_leads_inside() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "64:ff9b::a00:1",
        ] {
            let error = resolved_to(&["1.1.1.1", inside]).await.expect_err(inside);
            let expected = format!("example.com has the address {inside}, which is not public");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }

    #[tokio::test]
    async fn pins_a_name_to_what_it_meant() {
        let network = resolved_to(&["1.1.1.1", "2606:4700::1111"]).await.expect("public");
        let addresses = network.addresses("EXAMPLE.com").expect("the name was given");
        assert_eq!(addresses.len(), 2);
        for address in addresses {
            assert!(network.allows(address, 443, SocketAddrUse::TcpConnect));
            assert!(!network.allows(address, 80, SocketAddrUse::TcpConnect));
        }
    }

    #[tokio::test]
    async fn refuses_more_destinations_than_anybody_needs() {
        let destination: Destination = "127.0.0.1:1".parse().expect("a destination");
        let many = vec![destination; DESTINATIONS_MAX + 1];
        assert!(matches!(Network::resolve(&many).await, Err(NetworkError::TooMany)));
    }
}
