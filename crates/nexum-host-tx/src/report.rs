//! Reads an account's rows for the operator. This needs a view of a store, and no running daemon.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use alloy_primitives::Address;
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;
use nexum_core::state::{capability_row, capability_rows};
use nexum_core::store::{StoreError, View};

use crate::rows::{Halt, Lane, NextNonce, ROWS, Row as _, Transaction, TransactionState, key};
use crate::spending::{Outcome, Spending, Spent};

/// An account on one chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainReport {
    /// The next nonce.
    pub next: u64,
    /// The transactions that are in no block.
    pub pending: u64,
    /// The transactions in a block that a reorganisation can still remove.
    pub unsettled: u64,
    /// The time of the first signature of the oldest transaction that is in no block, in milliseconds since the Unix epoch.
    pub oldest_ms: Option<u64>,
    /// Why the transaction with the lowest nonce among them waits, if it is not on its ordinary way.
    pub waits: Option<String>,
    /// Why nexum sends nothing.
    pub halt: Option<Halt>,
}

/// A transaction with its account, its chain and its nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The account and the chain.
    pub lane: Lane,
    /// The nonce.
    pub nonce: u64,
    /// The transaction.
    pub transaction: Transaction,
}

/// The chains on which nexum has sent something from the account.
///
/// # Errors
///
/// Fails if the store is not readable or is damaged.
pub fn chains(view: &dyn View, account: Address) -> Result<BTreeMap<ChainId, ChainReport>, StoreError> {
    let mut chains: BTreeMap<ChainId, ChainReport> = BTreeMap::new();
    each(view, &key::nonces_of(account), |lane, _, row| {
        chains.entry(lane.chain).or_default().next = NextNonce::decode(row)?.next;
        Ok(())
    })?;
    each(view, &key::halts_of(account), |lane, _, row| {
        chains.entry(lane.chain).or_default().halt = Some(Halt::decode(row)?);
        Ok(())
    })?;
    each(view, &key::transactions_of(account), |lane, _, row| {
        let transaction = Transaction::decode(row)?;
        let chain = chains.entry(lane.chain).or_default();
        match transaction.state {
            TransactionState::Pending => {
                if chain.pending == 0 {
                    chain.waits.clone_from(&transaction.waits);
                }
                chain.pending += 1;
                let oldest = chain.oldest_ms.unwrap_or(transaction.since_ms);
                chain.oldest_ms = Some(oldest.min(transaction.since_ms));
            }
            TransactionState::Mined(mined) if !mined.is_settled => chain.unsettled += 1,
            TransactionState::Mined(_) | TransactionState::Lost => {}
        }
        Ok(())
    })?;
    Ok(chains)
}

/// The use of the limits of a module with the account at this time, in milliseconds since the Unix epoch.
///
/// # Errors
///
/// Fails if the store is not readable or is damaged.
pub fn spent(view: &dyn View, account: Address, module: &ModuleName, now_ms: u64) -> Result<Spent, StoreError> {
    let Some(row) = capability_row(view, ROWS, &key::spending(account, module))? else {
        return Ok(Spent::default());
    };
    let mut spending = Spending::decode(&row)?;
    let mut outcomes = Vec::with_capacity(spending.open.len());
    for open in &spending.open {
        let lane = Lane {
            account,
            chain: open.chain,
        };
        let row = capability_row(view, ROWS, &key::transaction(lane, open.nonce))?;
        let transaction = row.map(|row| Transaction::decode(&row)).transpose()?;
        outcomes.push(transaction.map_or(Outcome::Gone, |transaction| transaction.outcome()));
    }
    let mut outcomes = outcomes.into_iter();
    spending.reconcile(|_| outcomes.next().unwrap_or(Outcome::Gone));
    Ok(spending.spent(now_ms))
}

/// Transactions of an account, oldest first: the `most` oldest ones that are not settled, or with `with_settled` the
/// `most` newest ones.
///
/// # Errors
///
/// Fails if the store is not readable or is damaged.
pub fn transactions(
    view: &dyn View,
    account: Address,
    with_settled: bool,
    most: usize,
) -> Result<Vec<Listed>, StoreError> {
    let mut found = BTreeMap::new();
    each(view, &key::transactions_of(account), |lane, key, row| {
        let transaction = Transaction::decode(row)?;
        let is_settled = match transaction.state {
            TransactionState::Pending => false,
            TransactionState::Mined(mined) => mined.is_settled,
            TransactionState::Lost => true,
        };
        if is_settled && !with_settled {
            return Ok(());
        }
        let nonce = key::nonce_of(key).ok_or_else(damaged)?;
        let listed = Listed {
            lane,
            nonce,
            transaction,
        };
        found.insert((listed.transaction.since_ms, lane, nonce), listed);
        if found.len() > most {
            let _ = match with_settled {
                true => found.pop_first(),
                false => found.pop_last(),
            };
        }
        Ok(())
    })?;
    Ok(found.into_values().collect())
}

/// Passes each row whose key begins with `prefix` to `visit`, with its account and chain.
fn each(
    view: &dyn View,
    prefix: &[u8],
    mut visit: impl FnMut(Lane, &[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    capability_rows(view, ROWS, prefix, &mut |key, row| {
        let lane = key::lane_of(key).ok_or_else(damaged);
        outcome = lane.and_then(|lane| visit(lane, key, row));
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    outcome
}

fn damaged() -> StoreError {
    StoreError::Damaged("the key of an account's row".to_owned())
}
