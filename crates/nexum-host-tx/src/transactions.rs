//! All accounts that send, with what the sender, the tender and the operator's commands share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use alloy_primitives::Address;
use nexum_accounts::{Account, AccountName, Accounts};
use nexum_config::topic::ChainId;
use nexum_core::capability::ChainAccess;
use nexum_core::service::ServiceContext;
use nexum_core::{Extension, HostBuilder};
use parking_lot::Mutex as Lock;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};

use crate::config::TxConfig;
use crate::rows::{Halt, Lane};

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
    /// The transactions that a sender submits now. The tender leaves them alone, so that the sender's answers are all that
    /// there are when it gives a nonce back.
    sending: Lock<HashSet<(Lane, u64)>>,
    /// Wakes the tender after a new transaction.
    pub(crate) sent: Notify,
    /// The run, once it has begun.
    pub(crate) context: Lock<Option<ServiceContext>>,
    /// The accounts as the tender saw them at its last look.
    pub(crate) statuses: Lock<BTreeMap<Lane, LaneStatus>>,
}

/// An account on a chain, as the tender saw it at its last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// The account.
    pub account: AccountName,
    /// The chain id.
    pub chain: ChainId,
    /// The transactions that are in no block.
    pub pending: u64,
    /// The time of the first signature of the oldest one, in milliseconds since the Unix epoch.
    pub oldest_ms: Option<u64>,
    /// Why nexum sends nothing.
    pub halt: Option<Halt>,
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
                sending: Lock::default(),
                sent: Notify::new(),
                context: Lock::default(),
                statuses: Lock::default(),
            }),
        }
    }

    /// The accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.shared.accounts
    }

    /// The accounts whose transactions this process watches, on each of their chains.
    pub fn statuses(&self) -> Vec<LaneStatus> {
        self.shared.statuses.lock().values().cloned().collect()
    }
}

/// A transaction that its sender submits.
#[derive(Debug)]
pub(crate) struct SendingNow<'a> {
    shared: &'a Shared,
    of: (Lane, u64),
}

impl Drop for SendingNow<'_> {
    fn drop(&mut self) {
        self.shared.sending.lock().remove(&self.of);
    }
}

impl Shared {
    /// Waits until no other task chooses a nonce of the account.
    pub(crate) async fn lock(&self, account: Address) -> OwnedMutexGuard<()> {
        let lock = Arc::clone(self.locks.lock().entry(account).or_default());
        lock.lock_owned().await
    }

    /// Keeps the tender from a transaction until the value is dropped. Call it before the transaction is durable.
    pub(crate) fn begin_sending(&self, lane: Lane, nonce: u64) -> SendingNow<'_> {
        self.sending.lock().insert((lane, nonce));
        SendingNow {
            shared: self,
            of: (lane, nonce),
        }
    }

    /// Whether a sender submits the transaction now.
    pub(crate) fn is_sending(&self, lane: Lane, nonce: u64) -> bool {
        self.sending.lock().contains(&(lane, nonce))
    }

    /// The account with this address.
    pub(crate) fn account(&self, address: Address) -> Option<&Arc<Account>> {
        self.accounts.all().find(|account| account.address() == address)
    }

    /// Whether this process runs the modules of the account.
    pub(crate) fn owns(&self, context: &ServiceContext, account: &Account) -> bool {
        let mut users = self.accounts.modules().filter(|(_, grants)| {
            let mut grants = grants.iter();
            grants.any(|grant| grant.account().name() == account.name() && !grant.rules().send.is_empty())
        });
        users.any(|(module, _)| context.owns(module))
    }
}

impl Extension for Transactions {
    fn add_to(self, host: HostBuilder) -> HostBuilder {
        host.service(Arc::new(self))
    }
}
