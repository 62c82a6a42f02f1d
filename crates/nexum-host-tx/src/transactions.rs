//! All accounts that send, with what the sender and the tender share.

use std::collections::HashMap;
use std::sync::Arc;

use alloy_primitives::Address;
use nexum_accounts::{Account, Accounts};
use nexum_core::capability::ChainAccess;
use nexum_core::{Extension, HostBuilder};
use parking_lot::Mutex as Lock;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};

use crate::config::TxConfig;

/// The transactions of modules. Clones share everything.
///
/// It answers `eth_sendTransaction` for the capability `chain`, and runs beside the modules as a service that watches
/// the transactions until the chain has settled them.
#[derive(Clone, Debug)]
pub struct Transactions {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) chains: Arc<dyn ChainAccess>,
    pub(crate) config: TxConfig,
    /// One lock for each account. It is held from the choice of a nonce until the transaction is durable.
    locks: Lock<HashMap<Address, Arc<Mutex<()>>>>,
    /// Wakes the tender after a new transaction.
    pub(crate) sent: Notify,
}

impl Transactions {
    /// Creates the transactions of these accounts on these chains. Reads no key and uses no network.
    pub fn new(accounts: Arc<Accounts>, chains: Arc<dyn ChainAccess>, config: TxConfig) -> Self {
        Self {
            shared: Arc::new(Shared {
                accounts,
                chains,
                config,
                locks: Lock::default(),
                sent: Notify::new(),
            }),
        }
    }
}

impl Shared {
    /// Waits until no other task chooses a nonce of the account.
    pub(crate) async fn lock(&self, account: Address) -> OwnedMutexGuard<()> {
        let lock = Arc::clone(self.locks.lock().entry(account).or_default());
        lock.lock_owned().await
    }

    /// The account with this address.
    pub(crate) fn account(&self, address: Address) -> Option<&Arc<Account>> {
        self.accounts.all().find(|account| account.address() == address)
    }
}

impl Extension for Transactions {
    fn add_to(self, host: HostBuilder) -> HostBuilder {
        host.service(Arc::new(self))
    }
}
