//! The rows of a new transaction: its nonce, its signed bytes, and its part of the limits.

use alloy_primitives::U256;
use nexum_accounts::{Allowed, Grant, TransactionKind, TransactionRequest};
use nexum_core::capability::PreparedEffect;

use super::{GAS_MIN, Job, Made, TARGET};
use crate::chain::Chain;
use crate::error::SendError;
use crate::fees::{Fees, GWEI};
use crate::request::SendRequest;
use crate::rows::{Halt, Lane, NextNonce, Purpose, Row as _, Transaction, TransactionState, Version, key};
use crate::sign::sign;
use crate::spending::{Open, Outcome, Spending};

impl Job<'_> {
    /// The rule that allows the request, with the gas of the module or else the least.
    pub(super) fn check_rules(&self) -> Result<Allowed, SendError> {
        check(&self.grant, &self.request, self.request.gas.unwrap_or(GAS_MIN))
    }

    /// Chooses everything that the module leaves open, and signs.
    pub(super) async fn prepare(&self) -> Result<PreparedEffect, SendError> {
        let lane = self.lane();
        // A rule that refuses any amount of gas needs no simulation.
        let _allowed = self.check_rules()?;
        let (estimated, market, head) = tokio::try_join!(
            self.chain.simulate(&self.request),
            self.chain.market(),
            self.chain.head("latest")
        )?;
        let gas = self.request.gas.unwrap_or_else(|| Chain::with_margin(estimated));
        let allowed = check(&self.grant, &self.request, gas)?;
        let cap = u128::from(self.limits.max_fee_gwei) * GWEI;
        let cap = self.request.max_fee.map_or(cap, |of_module| of_module.min(cap));
        let Some(fees) = market.fees(cap, self.request.max_tip) else {
            return Err(SendError::Limit(format!(
                "a block takes {} wei per gas now, and the transaction may pay {cap}",
                market.floor()
            )));
        };
        let held = self.shared.lock(lane.account).await;
        if let Some(halt) = self.rows.get(&key::halt(lane)).await? {
            return Err(SendError::Halted(Halt::decode(&halt)?.reason));
        }
        let next = self.next_nonce(lane).await?;
        let nonce = next.next;
        let mut transaction = Transaction {
            module: self.module.clone(),
            event: self.event.clone(),
            to: self.request.to,
            value: self.request.value,
            data: self.request.data.clone(),
            gas,
            is_legacy: market.is_legacy(),
            max_fee: self.request.max_fee,
            versions: Vec::new(),
            signed: Default::default(),
            purpose: Purpose::Request,
            state: TransactionState::Pending,
            since_ms: self.now_ms,
            waits: None,
        };
        let spending = self.spend(lane, nonce, &transaction, fees).await?;
        let signed = sign(
            self.grant.account(),
            (lane, nonce),
            &transaction,
            Purpose::Request,
            fees,
        )
        .await?;
        transaction.versions.push(Version {
            hash: signed.hash,
            purpose: Purpose::Request,
            max_fee: fees.max_fee,
            tip: fees.tip,
            block: head.map_or(0, |head| head.number),
            at_ms: self.now_ms,
        });
        transaction.signed = signed.bytes;
        let mut rows = self.rows.changes();
        rows.put(&key::nonce(lane), Some(next.after().encode()));
        rows.put(&key::transaction(lane, nonce), Some(transaction.encode()));
        rows.put(&key::hash(signed.hash), Some(lane.of_hash(nonce).encode()));
        rows.put(&key::spending(lane.account, self.module), Some(spending.encode()));
        tracing::info!(
            target: TARGET,
            module = self.module.as_str(),
            event = self.event,
            account = %self.grant.account().name(),
            chain = lane.chain,
            nonce,
            hash = %signed.hash,
            rule = allowed.rule,
            "nexum signs a transaction"
        );
        let made = Made {
            nonce,
            transaction,
            is_durable: false,
        };
        let answer = made.answer();
        *self.made.lock() = Some(made);
        *self.sending.lock() = Some(self.shared.begin_sending(lane, nonce));
        Ok(PreparedEffect {
            rows,
            answer,
            held: Box::new(held),
        })
    }

    async fn next_nonce(&self, lane: Lane) -> Result<NextNonce, SendError> {
        if let Some(row) = self.rows.get(&key::nonce(lane)).await? {
            return Ok(NextNonce::decode(&row)?);
        }
        // The operator may have used the account before, and may have a transaction on its way.
        let next = self.chain.transactions(lane.account, "pending").await?;
        Ok(NextNonce { next, accepted: next })
    }

    /// The spending of the module with this transaction.
    async fn spend(
        &self,
        lane: Lane,
        nonce: u64,
        transaction: &Transaction,
        fees: Fees,
    ) -> Result<Spending, SendError> {
        let mut spending = self.spending().await?;
        let mut outcomes = Vec::with_capacity(spending.open.len());
        for open in &spending.open {
            let of = Lane {
                chain: open.chain,
                ..lane
            };
            let row = self.rows.get(&key::transaction(of, open.nonce)).await?;
            outcomes.push(match row {
                Some(row) => Transaction::decode(&row)?.outcome(),
                None => Outcome::Gone,
            });
        }
        let mut outcomes = outcomes.into_iter();
        spending.reconcile(|_| outcomes.next().unwrap_or(Outcome::Gone));
        let open = Open {
            chain: lane.chain,
            nonce,
            fee_max: U256::from(transaction.gas) * U256::from(fees.max_fee),
            is_in_block: false,
            value: transaction.value,
            at_ms: self.now_ms,
        };
        spending.add(open, &self.limits).map_err(SendError::Limit)?;
        Ok(spending)
    }

    pub(super) async fn spending(&self) -> Result<Spending, SendError> {
        let row = self.rows.get(&key::spending(self.request.from, self.module)).await?;
        Ok(row.map(|row| Spending::decode(&row)).transpose()?.unwrap_or_default())
    }
}

/// Whether the rules allow the transaction, with this limit of gas.
pub(super) fn check(grant: &Grant, request: &SendRequest, gas: u64) -> Result<Allowed, SendError> {
    let allowed = grant.check_transaction(&TransactionRequest {
        chain: request.chain,
        to: request.to,
        value: request.value,
        data: &request.data,
        gas,
        kind: TransactionKind::Plain,
    });
    Ok(allowed?)
}
