//! The transactions of one account on one chain.

mod find;
mod step;

use nexum_accounts::Account;
use nexum_config::causes::Causes;
use nexum_core::capability::CapabilityRows;
use nexum_core::service::ServiceContext;
use nexum_core::store::StoreError;

use crate::chain::{Chain, Head};
use crate::error::SendError;
use crate::metrics;
use crate::rows::{Halt, Lane, Row as _, Transaction, TransactionState, key};
use crate::send::TARGET;
use crate::transactions::{LaneStatus, Shared};

/// The transactions that are in memory at a time.
const PAGE: usize = 128;

/// The failures after which a look ends: more would only wait for a chain that does not answer.
const FAILURES_MAX: usize = 3;

/// The most old transactions that one look removes.
const PRUNED_MAX: usize = 16;

/// The looks without an open transaction between two comparisons of the nonce with the chain's.
const IDLE_LOOKS: u64 = 60;

/// The tender's memory of a lane. The state has everything that must not be lost.
#[derive(Debug, Default)]
pub(super) struct LaneTender {
    /// All transactions before this nonce are closed.
    first_open: u64,
    /// No transaction before this nonce is in the state.
    first_kept: u64,
    head: Option<Head>,
    /// The looks since the last comparison with the chain's nonce.
    idle: u64,
    /// The end of the last trouble is not logged yet.
    is_troubled: bool,
}

/// One look at a lane.
struct Look<'a> {
    shared: &'a Shared,
    rows: &'a CapabilityRows,
    context: &'a ServiceContext,
    lane: Lane,
    account: &'a Account,
    chain: Chain,
}

/// One look at the chain.
struct Round {
    head: Head,
    /// The number of transactions that the account has in blocks.
    count: u64,
    /// The number of the last block that no reorganisation can remove.
    settled: u64,
    /// Whether it is the first one of the process.
    is_first: bool,
}

/// The open transactions in short.
#[derive(Debug, Default)]
struct Overview {
    has_open: bool,
    needs_a_step: bool,
    pending: u64,
    /// The time of the oldest one that no block has.
    oldest_ms: Option<u64>,
}

/// A transaction with its nonce and its row.
#[derive(Clone)]
struct Open {
    nonce: u64,
    transaction: Transaction,
}

impl LaneTender {
    /// Looks at the lane once. An outage of the chain is no error.
    pub(super) async fn look(
        &mut self,
        shared: &Shared,
        rows: &CapabilityRows,
        context: &ServiceContext,
        lane: Lane,
        account: &Account,
    ) -> Result<(), StoreError> {
        let look = Look {
            shared,
            rows,
            context,
            lane,
            account,
            chain: Chain::new(&shared.chains, lane.chain),
        };
        let overview = self.overview(&look).await?;
        let halt = rows.get(&key::halt(lane)).await?;
        let halt = halt.map(|row| Halt::decode(&row)).transpose()?;
        look.show(&overview, halt);
        match self.tend(&look, &overview).await {
            Ok(()) => {
                if std::mem::take(&mut self.is_troubled) {
                    tracing::info!(target: TARGET, account = %account.name(), chain = lane.chain, "nexum looks after the account's transactions again");
                }
            }
            Err(SendError::Store(error)) => return Err(error),
            Err(error) => {
                if !std::mem::replace(&mut self.is_troubled, true) {
                    tracing::warn!(
                        target: TARGET,
                        account = %account.name(),
                        chain = lane.chain,
                        error = %Causes(&error),
                        "nexum cannot look after the account's transactions, and retries"
                    );
                }
            }
        }
        self.prune(&look).await
    }

    /// Reads all open transactions, page by page, because a row can be large.
    async fn overview(&mut self, look: &Look<'_>) -> Result<Overview, StoreError> {
        let (mut overview, mut first_open, mut next) = (Overview::default(), None, self.first_open);
        loop {
            let page = look.scan(next, PAGE).await?;
            let Some(last) = page.last() else { break };
            next = last.nonce + 1;
            for one in page.iter().filter(|one| one.is_open()) {
                first_open.get_or_insert(one.nonce);
                overview.add(one);
            }
            if page.len() < PAGE {
                break;
            }
        }
        self.first_open = first_open.unwrap_or(next);
        Ok(overview)
    }

    async fn tend(&mut self, look: &Look<'_>, overview: &Overview) -> Result<(), SendError> {
        self.idle += 1;
        if !overview.has_open && self.idle < IDLE_LOOKS && self.head.is_some() {
            return Ok(());
        }
        self.idle = 0;
        let Some(head) = look.chain.head("latest").await? else {
            return Err(SendError::Malformed("eth_getBlockByNumber"));
        };
        if self.head == Some(head) && overview.has_open && !overview.needs_a_step {
            return Ok(());
        }
        let round = Round {
            head,
            count: look.chain.transactions(look.lane.account, "latest").await?,
            settled: look.settled(head).await?,
            is_first: self.head.is_none(),
        };
        let (mut failures, mut next) = (Vec::new(), self.first_open);
        // One transaction that cannot be looked up must not hide the others.
        while failures.len() < FAILURES_MAX {
            let page = look.scan(next, PAGE).await?;
            let Some(last) = page.last() else { break };
            next = last.nonce + 1;
            let is_full = page.len() == PAGE;
            for mut one in page {
                if failures.len() == FAILURES_MAX || !one.is_open() {
                    continue;
                }
                match look.tend(&mut one, &round).await {
                    Ok(()) => {}
                    Err(error @ SendError::Store(_)) => return Err(error),
                    Err(error) => failures.push(error),
                }
            }
            if !is_full {
                break;
            }
        }
        if let Some(error) = failures.into_iter().next() {
            return Err(error);
        }
        look.compare(round.count).await?;
        self.head = Some(head);
        Ok(())
    }

    /// Removes transactions that are settled for long enough.
    async fn prune(&mut self, look: &Look<'_>) -> Result<(), StoreError> {
        let until = self.first_open;
        if self.first_kept >= until {
            return Ok(());
        }
        let keep_ms = u64::try_from(look.shared.config.keep.as_millis()).unwrap_or(u64::MAX);
        let since_ms = look.context.clock.now_ms().saturating_sub(keep_ms);
        let mut changes = look.rows.changes();
        for one in look.scan(self.first_kept, PRUNED_MAX).await? {
            let is_old = match one.transaction.state {
                TransactionState::Mined(mined) => mined.is_settled && mined.at_ms < since_ms,
                TransactionState::Lost => one.transaction.since_ms < since_ms,
                TransactionState::Pending => false,
            };
            if !is_old || one.nonce >= until {
                break;
            }
            changes.put(&key::transaction(look.lane, one.nonce), None);
            for version in &one.transaction.versions {
                changes.put(&key::hash(version.hash), None);
            }
            self.first_kept = one.nonce + 1;
        }
        if changes.is_empty() {
            return Ok(());
        }
        look.rows.write(changes).await
    }
}

impl Overview {
    fn add(&mut self, one: &Open) {
        self.has_open = true;
        self.needs_a_step |= one.needs_a_step();
        if one.transaction.is_pending() {
            self.pending += 1;
            let since = one.transaction.since_ms;
            self.oldest_ms = Some(self.oldest_ms.map_or(since, |oldest| oldest.min(since)));
        }
    }
}

impl Open {
    /// Whether the tender still has something to do with it.
    fn is_open(&self) -> bool {
        match self.transaction.state {
            TransactionState::Pending => true,
            TransactionState::Mined(mined) => !mined.is_settled,
            TransactionState::Lost => false,
        }
    }

    /// Whether something has to happen before the next block.
    fn needs_a_step(&self) -> bool {
        self.transaction.is_pending() && self.transaction.purpose != self.transaction.newest().purpose
    }
}

impl Look<'_> {
    /// Looks at one open transaction.
    async fn tend(&self, one: &mut Open, round: &Round) -> Result<(), SendError> {
        self.find(one, round.count, round.head, round.settled).await?;
        // With a lower nonce, another transaction is in a block, or the node has no receipt yet.
        if !one.transaction.is_pending() || one.nonce < round.count {
            return Ok(());
        }
        let is_next = one.nonce == round.count;
        self.step(one, round.head, is_next, round.is_first).await
    }

    async fn scan(&self, first: u64, most: usize) -> Result<Vec<Open>, StoreError> {
        let after = first.checked_sub(1).map(|before| key::transaction(self.lane, before));
        let found = self
            .rows
            .scan(&key::transactions(self.lane), after.as_deref(), most)
            .await?;
        let decoded = found.iter().map(|(key, row)| {
            let nonce = key::nonce_of(key).ok_or_else(|| StoreError::Damaged("the key of a transaction".to_owned()))?;
            let transaction = Transaction::decode(row)?;
            Ok(Open { nonce, transaction })
        });
        decoded.collect()
    }

    /// Replaces the row of a transaction, if it is still as it was read. Returns whether it was.
    async fn save(&self, one: &mut Open, new: Transaction) -> Result<bool, StoreError> {
        if new == one.transaction {
            return Ok(true);
        }
        let key = key::transaction(self.lane, one.nonce);
        let mut changes = self.rows.changes();
        changes.require(&key, Some(one.transaction.encode()));
        changes.put(&key, Some(new.encode()));
        if new.versions.len() > one.transaction.versions.len() {
            let of_hash = self.lane.of_hash(one.nonce).encode();
            changes.put(&key::hash(new.newest().hash), Some(of_hash));
        }
        match self.rows.write(changes).await {
            Ok(()) => {
                one.transaction = new;
                Ok(true)
            }
            // The sender or the operator was first: the next look reads the row again.
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn show(&self, overview: &Overview, halt: Option<Halt>) {
        let Overview { pending, oldest_ms, .. } = *overview;
        let now_ms = self.context.clock.now_ms();
        let age = oldest_ms.map_or(0, |since| now_ms.saturating_sub(since));
        metrics::lane(self.lane.chain, self.account.name(), pending, age, halt.is_some());
        let status = LaneStatus {
            account: self.account.name().clone(),
            chain: self.lane.chain,
            pending,
            oldest_ms,
            halt,
        };
        self.shared.statuses.lock().insert(self.lane, status);
    }
}
