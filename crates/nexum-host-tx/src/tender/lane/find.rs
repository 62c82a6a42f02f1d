//! The search for transactions in blocks, and for those that nexum has not sent.

use alloy_primitives::B256;
use nexum_core::store::StoreError;
use tokio::time::sleep;

use super::{Look, Open};
use crate::chain::{Head, Receipt};
use crate::error::SendError;
use crate::metrics;
use crate::rows::{Halt, Mined, NextNonce, Purpose, Row as _, Transaction, TransactionState, key};
use crate::send::TARGET;

/// The depth of a settled block on a chain that knows no finalized one.
const SETTLED_DEPTH: u64 = 128;

/// The further looks at a nonce that another program seems to have used, before nexum halts the account.
const CONFIRMING_LOOKS: usize = 3;

impl Look<'_> {
    /// The number of the last block that no reorganisation can remove.
    pub(super) async fn settled(&self, head: Head) -> Result<u64, SendError> {
        match self.chain.head("finalized").await {
            Ok(Some(finalized)) => Ok(finalized.number.min(head.number)),
            Ok(None) | Err(SendError::Chain(_) | SendError::Malformed(_)) => {
                Ok(head.number.saturating_sub(SETTLED_DEPTH))
            }
            Err(error) => Err(error),
        }
    }

    /// Looks for a transaction in a block.
    pub(super) async fn find(&self, one: &mut Open, count: u64, head: Head, settled: u64) -> Result<(), SendError> {
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
            "a transaction with nonce {nonce} that nexum has not sent is in a block: another program uses the key"
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
    pub(super) async fn compare(&self, count: u64) -> Result<(), SendError> {
        // A sender may be about to take a nonce.
        let _held = self.shared.lock(self.lane.account).await;
        match self.next().await? {
            Some(row) if row.next < count => {
                let reason = format!(
                    "the chain has {count} transactions of the account, and nexum knows of {}: another program uses the key",
                    row.next
                );
                self.halt(reason).await
            }
            _ => Ok(()),
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
}
