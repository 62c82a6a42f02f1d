//! The transactions of modules, and what the operator sees of them.

use std::sync::Arc;
use std::time::Duration;

use nexum_accounts::{Account, Accounts, CallLimits};
use nexum_config::document::ConfigError;
use nexum_config::engine::Config;
use nexum_config::topic::ChainId;
use nexum_core::store::{StoreError, View};
use nexum_host_tx::{
    ChainReport, LaneStatus, Listed, Spent, SyncError, TransactionState as State, Transactions, TxConfig, ether, gwei,
};

use super::Composition;
use crate::contract::TX_SECTION;
use crate::error_code::ErrorCode;
use crate::protocol::accounts::{
    self, AccountChain, AccountLimits, AccountState, AmountLimit, CountLimit, Synced, SyncedChain, Transaction,
    TransactionState,
};
use crate::protocol::health::Problem;
use crate::report::{Refusal, causes, count, span};
use crate::state::accounts::no_account;

/// The time for which a transaction waits before the operator should know: nexum has raised its fees by then.
const LATE_AFTER: Duration = Duration::from_secs(10 * 60);

pub(super) const FEATURES: &[&str] = &["tx"];
pub(super) const DEFAULTS: super::DefaultTables = TxConfig::defaults;
pub(super) const SECTIONS: &[&str] = &[TX_SECTION];
pub(super) const DESCRIBE_METRICS: fn() = nexum_host_tx::metrics::describe;

/// Adds the method that sends transactions, and the service that watches them.
pub(super) fn add(config: &Config, composition: &mut Composition, errors: &mut Vec<ConfigError>) {
    let settings = TxConfig {
        keep: composition.store.policy.effects_keep,
        ..super::read(config, TX_SECTION, TxConfig::from_section, errors)
    };
    let chains = Arc::new(composition.chains.get());
    let transactions = Transactions::new(Arc::clone(composition.accounts.get()), chains, settings);
    composition.methods.push(Arc::new(transactions.clone()));
    composition.transactions = InUse(Some(transactions.clone()));
    composition.add(transactions);
}

/// The transactions of a running daemon.
#[derive(Clone, Default)]
pub(crate) struct InUse(Option<Transactions>);

impl InUse {
    /// The accounts from which nexum sends nothing until the operator has looked at them.
    pub(crate) fn halted(&self) -> Vec<Problem> {
        let halted = |status: LaneStatus| {
            let halt = status.halt?;
            Some(Problem {
                account: Some(status.account.to_string()),
                chain: Some(status.chain),
                reason: format!("nexum sends nothing: {}", halt.reason),
                since_ms: Some(halt.since_ms),
                ..Problem::default()
            })
        };
        self.statuses().filter_map(halted).collect()
    }

    /// The accounts with a transaction that has waited for a block for too long at this time, in milliseconds since the
    /// Unix epoch.
    pub(crate) fn late(&self, now_ms: u64) -> Vec<Problem> {
        let late = |status: LaneStatus| {
            let age_ms = now_ms.saturating_sub(status.oldest_ms?);
            (Duration::from_millis(age_ms) > LATE_AFTER).then(|| Problem {
                chain: Some(status.chain),
                reason: format!(
                    "{} in no block, the oldest for {}: `nexum account pending {}`",
                    count(status.pending, "transaction"),
                    span(age_ms),
                    status.account
                ),
                since_ms: status.oldest_ms,
                account: Some(status.account.to_string()),
                ..Problem::default()
            })
        };
        self.statuses().filter_map(late).collect()
    }

    fn statuses(&self) -> impl Iterator<Item = LaneStatus> {
        self.0.iter().flat_map(Transactions::statuses)
    }

    /// Continues with an account that another program has used, on one chain or on all of them.
    ///
    /// # Errors
    ///
    /// The reason of a failure, with its code.
    pub(crate) async fn sync(&self, name: &str, chain: Option<ChainId>) -> Result<Synced, Refusal> {
        let no_account = || no_account(name);
        let transactions = self.0.as_ref().ok_or_else(no_account)?;
        let account = name.parse().map_err(|_| no_account())?;
        let synced = transactions
            .sync(&account, chain)
            .await
            .map_err(|error| refusal(name, &error))?;
        let chains = synced.into_iter().map(|one| SyncedChain {
            chain_id: one.chain,
            nonce_before: one.before,
            next_nonce: one.next,
            halt: one.halt.map(|halt| halt.reason),
        });
        Ok(Synced {
            account: name.to_owned(),
            chains: chains.collect(),
        })
    }
}

fn refusal(name: &str, error: &SyncError) -> Refusal {
    let refusal = Refusal::new(causes(error));
    match error {
        SyncError::NoAccount(_) => no_account(name),
        SyncError::Unused { .. } => refusal.with_code(ErrorCode::AccountUnused),
        SyncError::Elsewhere(_) => refusal.with_code(ErrorCode::AccountElsewhere),
        SyncError::NotRunning => refusal.with_code(ErrorCode::DaemonStopping),
        SyncError::Chain { .. } => refusal.with_code(ErrorCode::ChainUnavailable),
        _ => refusal.with_code(ErrorCode::StoreUnavailable),
    }
}

/// Adds the state of an account.
pub(super) fn complete(
    entry: &mut accounts::Account,
    accounts: &Accounts,
    account: &Account,
    view: &dyn View,
    now_ms: u64,
) -> Result<(), StoreError> {
    let chains = nexum_host_tx::chains(view, account.address())?.into_iter();
    entry.chains = chains.map(|(chain_id, report)| chain(chain_id, report)).collect();
    for (module, grants) in accounts.modules() {
        let mut grants = grants.iter().filter(|grant| grant.account().name() == account.name());
        let limits = grants.find_map(|grant| grant.rules().limits.as_ref());
        let entry = entry.modules.iter_mut().find(|entry| entry.module == module.as_str());
        if let (Some(limits), Some(entry)) = (limits, entry) {
            let spent = nexum_host_tx::spent(view, account.address(), module, now_ms)?;
            entry.limits = Some(use_of(limits, &spent));
        }
    }
    Ok(())
}

fn chain(chain_id: ChainId, report: ChainReport) -> AccountChain {
    let state = match (&report.halt, report.pending) {
        (Some(_), _) => AccountState::Halted,
        (None, 0) => AccountState::Ready,
        (None, _) => AccountState::Waiting,
    };
    AccountChain {
        chain_id,
        state,
        since_ms: report.halt.as_ref().map(|halt| halt.since_ms),
        reason: report.halt.map(|halt| halt.reason).or(report.waits),
        next_nonce: report.next,
        pending: report.pending,
        unsettled: report.unsettled,
        oldest_ms: report.oldest_ms,
    }
}

fn use_of(limits: &CallLimits, spent: &Spent) -> AccountLimits {
    let count = |used, limit| CountLimit { used, limit };
    let amount = |used, limit| AmountLimit {
        used: ether(used),
        limit: ether(limit),
    };
    AccountLimits {
        per_hour: count(spent.of_hour, limits.per_hour),
        in_flight: count(spent.in_flight, limits.in_flight),
        fee_per_day: amount(spent.fees_of_day, limits.fee_per_day),
        value_per_day: amount(spent.value_of_day, limits.value_per_day),
    }
}

/// Transactions of an account.
pub(super) fn transactions(
    account: &Account,
    view: &dyn View,
    with_settled: bool,
    count_max: usize,
) -> Result<Vec<Transaction>, StoreError> {
    let found = nexum_host_tx::transactions(view, account.address(), with_settled, count_max)?;
    Ok(found.into_iter().map(|listed| transaction(account, listed)).collect())
}

fn transaction(account: &Account, listed: Listed) -> Transaction {
    let row = listed.transaction;
    let newest = row.newest();
    let (state, mined, usual) = match row.state {
        State::Pending => {
            let usual = "nexum has submitted it, and no block has it yet".to_owned();
            (TransactionState::Pending, None, usual)
        }
        State::Mined(mined) => {
            let failed = if mined.is_success { "" } else { "; its call failed" };
            let (state, words) = match mined.is_settled {
                true => (TransactionState::Settled, "has it"),
                false => (
                    TransactionState::Unsettled,
                    "has it, and a reorganisation can still remove it",
                ),
            };
            (state, Some(mined), format!("block {} {words}{failed}", mined.block))
        }
        State::Lost => {
            let usual = "a transaction that nexum has not sent has its nonce".to_owned();
            (TransactionState::Lost, None, usual)
        }
    };
    Transaction {
        account: account.name().to_string(),
        chain_id: listed.lane.chain,
        nonce: listed.nonce,
        state,
        reason: row.waits.clone().unwrap_or(usual),
        module: row.module.to_string(),
        event: row.event.clone(),
        to: row.to.map(|to| to.to_string()),
        value: ether(row.value),
        hash: mined.map_or(newest.hash, |mined| mined.hash).to_string(),
        versions: row.versions.len(),
        max_fee_gwei: gwei(newest.max_fee),
        tip_gwei: gwei(newest.tip),
        since_ms: row.since_ms,
        block: mined.map(|mined| mined.block),
        fee: mined.map(|mined| ether(mined.fee)),
    }
}
