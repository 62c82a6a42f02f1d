//! One step for a transaction that no block has: another submission, or a version in its place.

use std::ops::ControlFlow;

use alloy_primitives::U256;
use nexum_accounts::{CallLimits, Grant, OnRevert};
use nexum_core::capability::SubmitTo;
use nexum_core::state::{EffectState, admin};
use nexum_core::store;

use super::super::decide::{Decision, Situation, Step, decide};
use super::{Look, Open};
use crate::chain::Head;
use crate::error::SendError;
use crate::fees::{Fees, GWEI};
use crate::metrics;
use crate::rows::{Purpose, Row as _, Transaction, Version, key};
use crate::send::TARGET;
use crate::sign::sign;
use crate::spending::Spending;

impl Look<'_> {
    /// Does what there is to do for a transaction that no block has.
    pub(super) async fn step(
        &self,
        one: &mut Open,
        head: Head,
        is_next: bool,
        is_first_look: bool,
    ) -> Result<(), SendError> {
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
        let after = U256::from(transaction.gas) * U256::from(fees.max_fee);
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
    pub(super) async fn submit(&self, transaction: &Transaction, head: u64) -> Option<String> {
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
}
