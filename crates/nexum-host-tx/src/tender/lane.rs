//! The transactions of one account on one chain.

use std::ops::ControlFlow;

use alloy_primitives::B256;
use nexum_accounts::{Account, CallLimits, Grant, OnRevert};
use nexum_config::causes::Causes;
use nexum_core::capability::{CapabilityRows, SubmitTo};
use nexum_core::service::ServiceContext;
use nexum_core::state::{EffectState, admin};
use nexum_core::store::{self, StoreError};
use tokio::time::sleep;

use super::decide::{Decision, Situation, Step, decide};
use crate::chain::{Chain, Head, Receipt};
use crate::error::SendError;
use crate::fees::{Fees, GWEI};
use crate::metrics;
use crate::rows::{Halt, Lane, Mined, NextNonce, Purpose, Row as _, Transaction, TransactionState, Version, key};
use crate::send::TARGET;
use crate::sign::sign;
use crate::spending::Spending;
use crate::transactions::{LaneStatus, Shared};

/// The most transactions of one look. A lane with more goes on with the next look.
const OPEN_MAX: usize = 1_024;

/// The most old transactions that one look removes.
const PRUNED_MAX: usize = 16;

/// The depth of a settled block on a chain that knows no finalized one.
const SETTLED_DEPTH: u64 = 128;

/// The looks without an open transaction between two comparisons of the nonce with the chain's.
const IDLE_LOOKS: u64 = 60;

/// The further looks at a nonce that another program seems to have used, before nexum halts the account.
const CONFIRMING_LOOKS: usize = 3;

/// What the tender remembers of a lane. The state has everything that must not be lost.
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
        let open = look.open(self.first_open).await?;
        let halt = rows.get(&key::halt(lane)).await?;
        let halt = halt.map(|row| Halt::decode(&row)).transpose()?;
        look.show(&open, halt);
        match self.tend(&look, open).await {
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

    async fn tend(&mut self, look: &Look<'_>, open: Vec<Open>) -> Result<(), SendError> {
        let is_idle = open.is_empty();
        self.idle += 1;
        if is_idle && self.idle < IDLE_LOOKS && self.head.is_some() {
            return Ok(());
        }
        self.idle = 0;
        let Some(head) = look.chain.head("latest").await? else {
            return Err(SendError::Malformed("eth_getBlockByNumber"));
        };
        let is_first_look = self.head.is_none();
        if self.head == Some(head) && !is_idle && !open.iter().any(|open| open.needs_a_step()) {
            return Ok(());
        }
        let count = look.chain.transactions(look.lane.account, "latest").await?;
        let settled = look.settled(head).await?;
        let mut first_open = None;
        for mut one in open {
            look.find(&mut one, count, head, settled).await?;
            if one.is_open() {
                first_open.get_or_insert(one.nonce);
            }
            if one.transaction.is_pending() {
                // With a lower nonce, another transaction is in a block, or the node has no receipt yet.
                let is_next = one.nonce == count;
                if one.nonce >= count {
                    look.step(&mut one, head, is_next, is_first_look).await?;
                }
            } else if first_open.is_none() {
                self.first_open = one.nonce + 1;
            }
        }
        if let Some(first_open) = first_open {
            self.first_open = first_open;
        }
        look.compare(count).await?;
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
    /// The open transactions.
    async fn open(&self, first: u64) -> Result<Vec<Open>, StoreError> {
        let mut found = self.scan(first, OPEN_MAX).await?;
        found.retain(Open::is_open);
        Ok(found)
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

    /// The number of the last block that no reorganisation can remove.
    async fn settled(&self, head: Head) -> Result<u64, SendError> {
        match self.chain.head("finalized").await {
            Ok(Some(finalized)) => Ok(finalized.number.min(head.number)),
            Ok(None) | Err(SendError::Chain(_) | SendError::Malformed(_)) => {
                Ok(head.number.saturating_sub(SETTLED_DEPTH))
            }
            Err(error) => Err(error),
        }
    }

    /// Looks for a transaction in a block.
    async fn find(&self, one: &mut Open, count: u64, head: Head, settled: u64) -> Result<(), SendError> {
        let known = match one.transaction.state {
            TransactionState::Mined(mined) => Some(mined),
            _ => None,
        };
        // A transaction that is in no block has no receipt.
        let found = match known.is_some() || one.nonce < count {
            true => self.receipt(&one.transaction, known.map(|mined| mined.hash)).await?,
            false => None,
        };
        let now_ms = self.context.clock.now_ms();
        let mut new = one.transaction.clone();
        match (found, known) {
            (Some((hash, receipt)), known) => {
                let is_known = known.is_some_and(|mined| (mined.hash, mined.block_hash) == (hash, receipt.block.hash));
                new.state = TransactionState::Mined(Mined {
                    block: receipt.block.number,
                    block_hash: receipt.block.hash,
                    hash,
                    // A node may name any price.
                    fee: receipt.fee.min(one.transaction.fee_max()),
                    is_success: receipt.is_success,
                    is_settled: receipt.block.number <= settled,
                    at_ms: known.filter(|_| is_known).map_or(now_ms, |mined| mined.at_ms),
                });
                new.waits = None;
                if self.save(one, new).await? && !is_known {
                    self.report_mined(one, hash, &receipt);
                }
            }
            (None, Some(mined)) => {
                new.state = TransactionState::Pending;
                new.waits = Some(format!("a reorganisation has removed block {} with it", mined.block));
                if self.save(one, new).await? {
                    metrics::reverted(self.lane.chain, self.account.name());
                    let nonce = one.nonce;
                    tracing::warn!(target: TARGET, account = %self.account.name(), chain = self.lane.chain, nonce, block = mined.block, "a reorganisation has removed the block of a transaction, so nexum submits it again");
                    self.submit(&one.transaction, head.number).await;
                }
            }
            (None, None) if one.nonce < count => self.suspect(one).await?,
            (None, None) => {}
        }
        Ok(())
    }

    /// The receipt of the version that a block has.
    async fn receipt(
        &self,
        transaction: &Transaction,
        first: Option<B256>,
    ) -> Result<Option<(B256, Receipt)>, SendError> {
        let versions = transaction.versions.iter().rev().map(|version| version.hash);
        for hash in first.into_iter().chain(versions.filter(|hash| Some(*hash) != first)) {
            if let Some(receipt) = self.chain.receipt(hash).await? {
                return Ok(Some((hash, receipt)));
            }
        }
        Ok(None)
    }

    /// A transaction that is not nexum's seems to have the nonce. The end is certain with the settled block.
    async fn suspect(&self, one: &mut Open) -> Result<(), SendError> {
        let finalized = self.chain.transactions(self.lane.account, "finalized").await;
        let is_settled = finalized.is_ok_and(|count| one.nonce < count);
        let nonce = one.nonce;
        let mut new = one.transaction.clone();
        let reason = format!(
            "a transaction with nonce {nonce} that nexum has not sent is in a block: somebody else uses the key"
        );
        if new.waits.as_ref() != Some(&reason) && !self.is_confirmed(one).await? {
            return Ok(());
        }
        new.waits = Some(reason.clone());
        if is_settled {
            new.state = TransactionState::Lost;
        }
        self.save(one, new).await?;
        match self.next().await?.is_some_and(|next| nonce < next.accepted) {
            true => Ok(()),
            false => self.halt(reason).await,
        }
    }

    /// Whether a transaction that is not nexum's still seems to have the nonce a little later. A reorganisation between
    /// two questions, or a node without the receipt yet, looks the same at first.
    async fn is_confirmed(&self, one: &Open) -> Result<bool, SendError> {
        for _ in 0..CONFIRMING_LOOKS {
            sleep(self.shared.config.look_every).await;
            let count = self.chain.transactions(self.lane.account, "latest").await?;
            if one.nonce >= count || self.receipt(&one.transaction, None).await?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next nonce of the lane.
    async fn next(&self) -> Result<Option<NextNonce>, StoreError> {
        let row = self.rows.get(&key::nonce(self.lane)).await?;
        row.map(|row| NextNonce::decode(&row)).transpose()
    }

    /// Stops all sending from the account on the chain.
    async fn halt(&self, reason: String) -> Result<(), SendError> {
        let key = key::halt(self.lane);
        if self.rows.get(&key).await?.is_some() {
            return Ok(());
        }
        let halt = Halt {
            reason: format!(
                "{reason}. Look at the account, and run `nexum account sync {}`",
                self.account.name()
            ),
            since_ms: self.context.clock.now_ms(),
        };
        let mut changes = self.rows.changes();
        changes.require(&key, None);
        changes.put(&key, Some(halt.encode()));
        match self.rows.write(changes).await {
            Ok(()) => {
                tracing::error!(target: TARGET, account = %self.account.name(), chain = self.lane.chain, reason = halt.reason, "nexum stops sending from an account");
                Ok(())
            }
            Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Compares the next nonce with the number of transactions that the chain has.
    async fn compare(&self, count: u64) -> Result<(), SendError> {
        // A sender may be about to take a nonce.
        let _held = self.shared.lock(self.lane.account).await;
        match self.next().await? {
            Some(row) if row.next < count => {
                let reason = format!(
                    "the chain has {count} transactions of the account, and nexum knows of {}: somebody else uses the key",
                    row.next
                );
                self.halt(reason).await
            }
            _ => Ok(()),
        }
    }

    /// Does what there is to do for a transaction that no block has.
    async fn step(&self, one: &mut Open, head: Head, is_next: bool, is_first_look: bool) -> Result<(), SendError> {
        // A row that is read after the sender's end has its verdict.
        let key = key::transaction(self.lane, one.nonce);
        if self.shared.is_sending(self.lane, one.nonce) || self.rows.get(&key).await? != Some(one.transaction.encode())
        {
            return Ok(());
        }
        let grant = self.grant(&one.transaction);
        self.cancel_if_reverted(one, grant.as_ref(), head).await?;
        let limits = grant.as_ref().and_then(|grant| grant.rules().limits.as_ref());
        let situation = Situation {
            head: head.number,
            is_next,
            market: self.chain.market().await?,
            cap: limits.map(|limits| u128::from(limits.max_fee_gwei) * GWEI),
            bump_after_blocks: self.shared.config.bump_after_blocks,
            bumps_max: self.shared.config.bumps_max,
            submission: self.shared.chains.submission(self.lane.chain),
        };
        let Decision { mut step, mut waits } = decide(&one.transaction, &situation);
        if let Step::Replace {
            fees,
            purpose: Purpose::Request,
        } = step
            && let Some(limits) = limits
            && let Some(reason) = self.exceeds(&one.transaction, fees, limits).await?
        {
            (step, waits) = (Step::Submit, Some(reason));
        }
        if let Step::Replace { fees, purpose } = step {
            return self.replace(one, fees, purpose, head).await;
        }
        let new = Transaction {
            waits,
            ..one.transaction.clone()
        };
        if !self.save(one, new).await? {
            return Ok(());
        }
        let must_submit = match step {
            Step::Submit => true,
            // The process may have ended before it submitted the transaction.
            Step::Wait => is_first_look,
            Step::Ensure => !self.chain.knows(one.transaction.newest().hash).await?,
            Step::Replace { .. } => false,
        };
        if must_submit && let Some(error) = self.submit(&one.transaction, head.number).await {
            let mut new = one.transaction.clone();
            new.waits.get_or_insert(error);
            self.save(one, new).await?;
        }
        Ok(())
    }

    /// The grant of the transaction's module for the account.
    fn grant(&self, transaction: &Transaction) -> Option<Grant> {
        let grants = self.shared.accounts.of(&transaction.module);
        grants
            .iter()
            .find(|grant| grant.account().name() == self.account.name())
            .cloned()
    }

    /// Why higher fees would exceed the day's limit.
    async fn exceeds(
        &self,
        transaction: &Transaction,
        fees: Fees,
        limits: &CallLimits,
    ) -> Result<Option<String>, SendError> {
        let row = self
            .rows
            .get(&key::spending(self.lane.account, &transaction.module))
            .await?;
        let spending = row.map(|row| Spending::decode(&row)).transpose()?.unwrap_or_default();
        let of_day = spending.fees_of_day(self.context.clock.now_ms());
        let before = transaction.fee_max();
        let after = alloy_primitives::U256::from(transaction.gas) * alloy_primitives::U256::from(fees.max_fee);
        let with_it = of_day.saturating_sub(before).saturating_add(after);
        Ok((with_it > limits.fee_per_day).then(|| "higher fees would exceed `fee_per_day`".to_owned()))
    }

    /// Signs a version with higher fees, and submits it once it is durable.
    async fn replace(&self, one: &mut Open, fees: Fees, purpose: Purpose, head: Head) -> Result<(), SendError> {
        let nonce = one.nonce;
        let signed = sign(self.account, (self.lane, nonce), &one.transaction, purpose, fees).await?;
        let mut new = one.transaction.clone();
        new.versions.push(Version {
            hash: signed.hash,
            purpose,
            max_fee: fees.max_fee,
            tip: fees.tip,
            block: head.number,
            at_ms: self.context.clock.now_ms(),
        });
        new.signed = signed.bytes;
        new.waits = None;
        if !self.save(one, new).await? {
            return Ok(());
        }
        metrics::bumped(self.lane.chain, self.account.name());
        tracing::info!(
            target: TARGET,
            module = one.transaction.module.as_str(),
            account = %self.account.name(),
            chain = self.lane.chain,
            nonce,
            hash = %signed.hash,
            max_fee = fees.max_fee,
            purpose = ?purpose,
            "nexum replaces a transaction by one with higher fees"
        );
        self.submit(&one.transaction, head.number).await;
        Ok(())
    }

    /// Makes an empty transaction take the place of one whose event a reorganisation has removed, if the operator wants
    /// that.
    async fn cancel_if_reverted(&self, one: &mut Open, grant: Option<&Grant>, head: Head) -> Result<(), SendError> {
        let is_wanted = grant.is_some_and(|grant| grant.rules().on_revert == OnRevert::Cancel);
        let newest = one.transaction.newest();
        let is_young = head.number < newest.block.saturating_add(self.shared.config.bump_after_blocks);
        if !is_wanted || is_young || one.transaction.purpose == Purpose::Cancel {
            return Ok(());
        }
        let first = one.transaction.versions.first().map(|version| version.hash);
        let (module, lane, nonce) = (one.transaction.module.clone(), self.lane, one.nonce);
        let is_stranded = store::blocking(&self.context.store, move |store| {
            let mut is_stranded = false;
            admin::effects(&*store.view()?, &module, &mut |effect| {
                let EffectState::Done(Some(answer)) = &effect.state else {
                    return ControlFlow::Continue(());
                };
                let hash = first.map(|hash| hash.to_string()).unwrap_or_default();
                let is_it = std::str::from_utf8(answer).is_ok_and(|answer| answer.contains(&hash));
                is_stranded |= is_it && effect.is_stranded;
                match is_it {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })?;
            Ok(is_stranded)
        })
        .await?;
        if is_stranded {
            let new = Transaction {
                purpose: Purpose::Cancel,
                waits: Some(
                    "a reorganisation has removed its event, so an empty transaction takes its nonce".to_owned(),
                ),
                ..one.transaction.clone()
            };
            self.save(one, new).await?;
            tracing::warn!(target: TARGET, account = %self.account.name(), chain = lane.chain, nonce, "nexum cancels a transaction, because a reorganisation has removed its event");
        }
        Ok(())
    }

    /// Submits the newest version. Returns why no place has taken it.
    async fn submit(&self, transaction: &Transaction, head: u64) -> Option<String> {
        if let Err(error) = self.rows.check_lease() {
            return Some(error.to_string());
        }
        let answers = self
            .chain
            .submit(&transaction.signed, self.places(transaction, head))
            .await;
        let mut reason = Some("the chain has no place that takes transactions".to_owned());
        for answer in answers {
            match answer.result {
                Ok(()) => return None,
                Err(error) => reason = Some(format!("{}: {}", answer.endpoint, error.message)),
            }
        }
        reason
    }

    /// The places for a transaction: everyone may see it after the relays had their time, if the operator says so.
    fn places(&self, transaction: &Transaction, head: u64) -> SubmitTo {
        let submission = self.shared.chains.submission(self.lane.chain);
        let since = transaction.versions.first().map_or(head, |version| version.block);
        let is_over = submission.is_private && head.saturating_sub(since) >= submission.blocks;
        match is_over && submission.fallback {
            true => SubmitTo::Public,
            false => SubmitTo::Configured,
        }
    }

    fn report_mined(&self, one: &Open, hash: B256, receipt: &Receipt) {
        let version = one.transaction.versions.iter().find(|version| version.hash == hash);
        let is_cancelled = version.is_some_and(|version| version.purpose == Purpose::Cancel);
        let outcome = match (is_cancelled, receipt.is_success) {
            (true, _) => "cancelled",
            (false, true) => "ok",
            (false, false) => "failed",
        };
        metrics::mined(self.lane.chain, self.account.name(), outcome);
        tracing::info!(
            target: TARGET,
            module = one.transaction.module.as_str(),
            event = one.transaction.event,
            account = %self.account.name(),
            chain = self.lane.chain,
            nonce = one.nonce,
            hash = %hash,
            block = receipt.block.number,
            outcome,
            "a transaction is in a block"
        );
    }

    fn show(&self, open: &[Open], halt: Option<Halt>) {
        let pending = open.iter().filter(|one| one.transaction.is_pending());
        let oldest = pending.clone().map(|one| one.transaction.since_ms).min();
        let now_ms = self.context.clock.now_ms();
        let age = oldest.map_or(0, |since| now_ms.saturating_sub(since));
        let pending = pending.count() as u64;
        metrics::lane(self.lane.chain, self.account.name(), pending, age, halt.is_some());
        let status = LaneStatus {
            account: self.account.name().clone(),
            chain: self.lane.chain,
            pending,
            oldest_ms: oldest,
            halt,
        };
        self.shared.statuses.lock().insert(self.lane, status);
    }
}
