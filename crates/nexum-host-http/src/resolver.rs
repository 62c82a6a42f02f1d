//! Resolves names, and refuses non-public addresses.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use nexum_net::not_public;

/// The most concurrent lookups. Each holds a blocking thread, which commits need too, until the
/// system's resolver gives up after up to half a minute.
pub const LOOKUPS_MAX: usize = 16;

/// The most addresses of a name that a client tries. The connect timeout leaves no time for more.
const ADDRESSES_MAX: usize = 8;

/// Looks up names.
pub trait Lookup: Send + Sync + Debug + 'static {
    /// Returns all addresses of a name. Called on a blocking thread, once per new connection. The
    /// caller checks the addresses.
    ///
    /// # Errors
    ///
    /// If the name has no address, or the lookup fails.
    fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}

/// Why a client cannot connect to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// One of its addresses is not public.
    #[error("an address of the name is not public")]
    NotPublic(&'static str),
}

/// Resolves names for a client, which connects only to the addresses returned here. So a name
/// cannot change its address between check and use.
#[derive(Clone, Debug)]
pub(crate) struct CheckedResolver {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) lookups: Arc<Semaphore>,
    /// Whether non-public addresses are permitted.
    pub(crate) may_be_private: bool,
}

impl CheckedResolver {
    async fn resolve(self, name: Name) -> Result<Addrs, ResolveError> {
        let no_address = |_| ResolveError::NoAddress;
        let permit = self
            .lookups
            .acquire_owned()
            .await
            .map_err(|_| ResolveError::NoAddress)?;
        let lookup = self.lookup;
        let looking = spawn_blocking(move || {
            // The permit lives until the lookup ends, even after the fetch has timed out.
            let _permit = permit;
            lookup.lookup(name.as_str())
        });
        let found = looking
            .await
            .map_err(|_| ResolveError::NoAddress)?
            .map_err(no_address)?;
        let mut addresses = check(found, self.may_be_private)?;
        addresses.truncate(ADDRESSES_MAX);
        // The client replaces port 0 with the URL's port.
        Ok(Box::new(
            addresses.into_iter().map(|address| SocketAddr::new(address, 0)),
        ))
    }
}

/// Refuses a name if one of its addresses is not public. A public service has no private address,
/// and a mix of both is an attack: the client tries the private address after the public one fails.
/// This rule also makes the result independent of the order of the addresses.
fn check(addresses: Vec<IpAddr>, may_be_private: bool) -> Result<Vec<IpAddr>, ResolveError> {
    if addresses.is_empty() {
        return Err(ResolveError::NoAddress);
    }
    match addresses.iter().find_map(|address| not_public(*address)) {
        Some(what) if !may_be_private => Err(ResolveError::NotPublic(what)),
        _ => Ok(addresses),
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move { Ok(resolver.resolve(name).await?) })
    }
}
