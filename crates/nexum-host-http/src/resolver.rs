//! From names to addresses, of which those that are not public are refused.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use nexum_net::not_public;

/// How many names are looked up at a time. Each holds a thread of those on which commits run too, until the system's resolver gives up,
/// which takes up to half a minute.
pub const LOOKUPS_MAX: usize = 16;

/// How many addresses of a name are tried. More are not reached before the time to connect is over.
const ADDRESSES_MAX: usize = 8;

/// Looks up names.
pub trait Lookup: Send + Sync + Debug + 'static {
    /// All addresses of a name. Called on a thread that may block, once for each connection that is made. What comes back is checked by
    /// the caller.
    ///
    /// # Errors
    ///
    /// When the name has none, or nobody knows.
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

/// Why a name has no address that may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    /// It has none.
    #[error("the name has no address")]
    NoAddress,
    /// One of its addresses is not public.
    #[error("an address of the name is not public")]
    NotPublic(&'static str),
}

/// Looks up names for a client, which connects to what it is given here and to nothing else. So there is no time between check and use
/// in which a name could come to mean something else.
#[derive(Clone, Debug)]
pub(crate) struct CheckedResolver {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) lookups: Arc<Semaphore>,
    /// Whether addresses that are not public are given too.
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
            // Held until the lookup ends, even if nobody waits for it any more.
            let _permit = permit;
            lookup.lookup(name.as_str())
        });
        let found = looking
            .await
            .map_err(|_| ResolveError::NoAddress)?
            .map_err(no_address)?;
        let mut addresses = check(found, self.may_be_private)?;
        addresses.truncate(ADDRESSES_MAX);
        // The client puts the URL's port in place of 0.
        Ok(Box::new(
            addresses.into_iter().map(|address| SocketAddr::new(address, 0)),
        ))
    }
}

/// One address that is not public refuses the name as a whole. A public service has none such; a name with both is how one gets a
/// client to an inner address after the public one did not answer. And then it does not depend on the order of addresses, nor on
/// which of them answers, where a request goes.
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
