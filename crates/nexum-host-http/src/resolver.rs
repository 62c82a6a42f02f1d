//! Resolves names, and refuses non-public addresses.

use std::collections::HashMap;
use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::task_local;

use nexum_net::not_public;

/// The most concurrent lookups. Each holds a blocking thread, which commits need too, until the
/// system's resolver gives up after up to half a minute.
pub const LOOKUPS_MAX: usize = 16;

/// The most concurrent lookups of one module: a module with slow names leaves the others three
/// quarters of [`LOOKUPS_MAX`].
pub const LOOKUPS_PER_MODULE_MAX: usize = 4;

task_local! {
    /// The lookups of the module whose fetch this task performs.
    static LOOKUPS_OF_MODULE: Arc<Semaphore>;
}

/// The lookups of each module with a fetch or a lookup in flight.
#[derive(Debug, Default)]
pub(crate) struct ModuleLookups(Mutex<HashMap<Arc<str>, Weak<Semaphore>>>);

impl ModuleLookups {
    /// Performs a fetch for a module. Its lookups wait while [`LOOKUPS_PER_MODULE_MAX`] other
    /// lookups of the module are in flight, including lookups of earlier fetches.
    pub(crate) async fn within<T>(&self, module: &Arc<str>, fetch: impl Future<Output = T>) -> T {
        let lookups = {
            let mut modules = self.0.lock();
            modules.retain(|_, lookups| lookups.strong_count() > 0);
            modules.get(module).and_then(Weak::upgrade).unwrap_or_else(|| {
                let lookups = Arc::new(Semaphore::new(LOOKUPS_PER_MODULE_MAX));
                modules.insert(module.clone(), Arc::downgrade(&lookups));
                lookups
            })
        };
        LOOKUPS_OF_MODULE.scope(lookups, fetch).await
    }
}

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
    async fn resolve(self, name: Name, of_module: Option<Arc<Semaphore>>) -> Result<Addrs, ResolveError> {
        let no_address = |_| ResolveError::NoAddress;
        // The module's own permit comes first, so that a module that waits for it holds no shared
        // permit.
        let of_module = match of_module {
            Some(lookups) => lookups.acquire_owned().await.ok(),
            None => None,
        };
        let permit = self
            .lookups
            .acquire_owned()
            .await
            .map_err(|_| ResolveError::NoAddress)?;
        let lookup = self.lookup;
        let looking = spawn_blocking(move || {
            // The permits live until the lookup ends, even after the fetch has timed out.
            let _permits = (permit, of_module);
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
        // The client calls this in the task of the fetch, and may run the future in another task.
        let of_module = LOOKUPS_OF_MODULE.try_with(Arc::clone).ok();
        Box::pin(async move { Ok(resolver.resolve(name, of_module).await?) })
    }
}
