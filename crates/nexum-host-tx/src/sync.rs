//! The operator has looked at an account that another program has used: nexum sends from it again.

use alloy_primitives::Address;
use nexum_accounts::{Account, AccountName};
use nexum_config::topic::ChainId;
use nexum_core::capability::CapabilityRows;
use nexum_core::store::StoreError;

use crate::chain::Chain;
use crate::error::SendError;
use crate::rows::{Halt, Lane, NextNonce, ROWS, Row as _, key};
use crate::send::TARGET;
use crate::transactions::Transactions;

/// The most chains of an account, and the most transactions of one page.
const PAGE_MAX: usize = 1_024;

/// The attempts to change the rows, if the tender changes them meanwhile.
const ATTEMPTS_MAX: usize = 3;

/// The change of an account on one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The chain id.
    pub chain: ChainId,
    /// The next nonce before.
    pub before: u64,
    /// The next nonce now.
    pub next: u64,
    /// The halt that has ended.
    pub halt: Option<Halt>,
}

/// Why an account is not synced. The chains before the one with the error are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The configuration has no such account.
    #[error("the configuration has no account {0}")]
    NoAccount(AccountName),
    /// nexum has sent nothing from the account on the chain.
    #[error("nexum has sent nothing from {account} on chain {chain}")]
    Unused {
        /// The account.
        account: AccountName,
        /// The chain id.
        chain: ChainId,
    },
    /// Another process runs the modules of the account.
    #[error("this process does not run the modules that send from {0}")]
    Elsewhere(AccountName),
    /// The modules have not started, or have ended.
    #[error("nexum has not started, or ends")]
    NotRunning,
    /// The chain has not said what the next nonce is.
    #[error("chain {chain} does not say what the next nonce is")]
    Chain {
        /// The chain id.
        chain: ChainId,
        /// The reason.
        source: SendError,
    },
    /// The state store failed.
    #[error("the state store failed")]
    Store(#[from] StoreError),
}

impl Transactions {
    /// Ends the halts of an account, on one chain or on all of them, and continues with a nonce that nothing has used:
    /// the greatest of nexum's next nonce, the chain's, and the one after nexum's newest transaction.
    ///
    /// # Errors
    ///
    /// [`SyncError`].
    pub async fn sync(&self, name: &AccountName, chain: Option<ChainId>) -> Result<Vec<Synced>, SyncError> {
        let mut accounts = self.shared.accounts.all();
        let account = accounts.find(|account| account.name() == name);
        let account = account.ok_or_else(|| SyncError::NoAccount(name.clone()))?;
        let context = self.shared.context.lock().clone().ok_or(SyncError::NotRunning)?;
        if !self.shared.owns(&context, account) {
            return Err(SyncError::Elsewhere(name.clone()));
        }
        let rows = CapabilityRows::new(context.store, ROWS);
        let mut chains = known(&rows, account.address()).await?;
        if let Some(wanted) = chain {
            chains.retain(|chain| *chain == wanted);
            if chains.is_empty() {
                return Err(SyncError::Unused {
                    account: name.clone(),
                    chain: wanted,
                });
            }
        }
        let mut synced = Vec::with_capacity(chains.len());
        for chain in chains {
            synced.push(self.sync_chain(&rows, account, chain).await?);
        }
        Ok(synced)
    }

    async fn sync_chain(&self, rows: &CapabilityRows, account: &Account, chain: ChainId) -> Result<Synced, SyncError> {
        let lane = Lane {
            account: account.address(),
            chain,
        };
        let of_chain = Chain::new(&self.shared.chains, chain);
        let of_chain = of_chain.transactions(lane.account, "pending").await;
        let of_chain = of_chain.map_err(|source| SyncError::Chain { chain, source })?;
        let _held = self.shared.lock(lane.account).await;
        let (key_of_next, key_of_halt) = (key::nonce(lane), key::halt(lane));
        let mut attempt = 1;
        loop {
            let (row, halt) = (rows.get(&key_of_next).await?, rows.get(&key_of_halt).await?);
            let before = row.as_deref().map(NextNonce::decode).transpose()?.unwrap_or_default();
            let highest = highest(rows, lane, before.next).await?;
            let new = NextNonce {
                next: before.next.max(of_chain).max(highest.map_or(0, |nonce| nonce + 1)),
                accepted: before.accepted.max(of_chain),
            };
            let synced = Synced {
                chain,
                before: before.next,
                next: new.next,
                halt: halt.as_deref().map(Halt::decode).transpose()?,
            };
            let mut changes = rows.changes();
            changes.require(&key_of_next, row);
            changes.require(&key_of_halt, halt);
            changes.put(&key_of_next, Some(new.encode()));
            changes.put(&key_of_halt, None);
            match rows.write(changes).await {
                Ok(()) => {
                    self.shared.sent.notify_one();
                    tracing::info!(
                        target: TARGET,
                        account = %account.name(),
                        chain,
                        before = synced.before,
                        next = synced.next,
                        was_halted = synced.halt.is_some(),
                        "the operator has synced an account with its chain"
                    );
                    return Ok(synced);
                }
                Err(StoreError::Conflict) if attempt < ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The chains on which nexum has sent something from the account.
async fn known(rows: &CapabilityRows, account: Address) -> Result<Vec<ChainId>, StoreError> {
    let found = rows.scan(&key::nonces_of(account), None, PAGE_MAX).await?;
    let lanes = found.iter().filter_map(|(key, _)| key::lane_of(key));
    Ok(lanes.map(|lane| lane.chain).collect())
}

/// The nonce of the newest transaction from `from` on.
async fn highest(rows: &CapabilityRows, lane: Lane, from: u64) -> Result<Option<u64>, StoreError> {
    let mut highest = None;
    let mut after = from.checked_sub(1).map(|before| key::transaction(lane, before));
    loop {
        let page = rows.scan(&key::transactions(lane), after.as_deref(), PAGE_MAX).await?;
        let Some((last, _)) = page.last() else {
            return Ok(highest);
        };
        highest = key::nonce_of(last);
        after = Some(last.clone());
    }
}
