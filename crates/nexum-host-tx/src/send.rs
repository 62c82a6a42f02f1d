//! `eth_sendTransaction`: from a module's request to a signed transaction that is durable and on its way.
//!
//! # Invariants
//!
//! - A nonce, the signed bytes, the counts of the limits and the record of the effect become durable in one commit,
//!   before any of the bytes leaves nexum.
//! - Two transactions of nexum never have one nonce, unless the later one replaces the earlier one.

use alloy_primitives::B256;
use async_trait::async_trait;
use nexum_accounts::{Allowed, CallLimits, Grant, TransactionKind, TransactionRequest};
use nexum_config::causes::Causes;
use nexum_config::hint::Hint as _;
use nexum_config::topic::ChainId;
use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::{
    CapabilityRows, ChainMethods, EffectCall, EffectClass, EffectJournal, EffectOutcome, EffectPlan, Handler,
    HostCallKind, PreparedEffect, Sending, SubmitTo, Submitted, View,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::timeout_at;

use crate::chain::Chain;
use crate::error::SendError;
use crate::fees::{Fees, GWEI};
use crate::metrics;
use crate::request::SendRequest;
use crate::rows::{
    Halt, Lane, NextNonce, OfHash, Purpose, ROWS, Row as _, Transaction, TransactionState, Version, key,
};
use crate::sign::sign;
use crate::spending::{Open, Outcome, Spending};
use crate::transactions::{SendingNow, Shared, Transactions};

/// The method that this crate answers.
pub const SEND_TRANSACTION: &str = "eth_sendTransaction";

/// The methods that ask for a transaction by its hash.
const BY_HASH: [&str; 2] = ["eth_getTransactionByHash", "eth_getTransactionReceipt"];

/// The target of the records about transactions.
pub(crate) const TARGET: &str = "nexum::tx";

/// The least gas of a transaction.
const GAS_MIN: u64 = 21_000;

/// The bytes of the answer to a request: a transaction's hash in hexadecimal digits, as JSON.
const HASH_ANSWER_BYTES: usize = 68;

/// The kind of the effect, as for transactions that a module has signed itself.
const KIND: &str = "transaction";

#[async_trait]
impl ChainMethods for Transactions {
    fn answers(&self, method: &str) -> bool {
        method == SEND_TRANSACTION
    }

    fn rewrites(&self, method: &str) -> bool {
        BY_HASH.contains(&method)
    }

    /// A module knows the hash of the first version. A block may have another one.
    async fn rewrite(&self, view: View<'_, ()>, chain_id: ChainId, _method: &str, params: &str) -> Option<String> {
        let [hash] = serde_json::from_str::<[B256; 1]>(params).ok()?;
        let rows = view.rows(ROWS);
        let of_hash = rows.get(&key::hash(hash)).await.ok()??;
        let OfHash { account, chain, nonce } = OfHash::decode(&of_hash).ok()?;
        let row = rows
            .get(&key::transaction(Lane { account, chain }, nonce))
            .await
            .ok()??;
        match Transaction::decode(&row).ok()?.state {
            TransactionState::Mined(mined) if chain == chain_id && mined.hash != hash => {
                Some(format!("[\"{}\"]", mined.hash))
            }
            _ => None,
        }
    }

    async fn request(
        &self,
        mut view: View<'_, ()>,
        chain_id: ChainId,
        _method: &str,
        params: &str,
    ) -> wasmtime::Result<Result<String, HostError>> {
        let call = view.host_call(HostCallKind::Chain, SEND_TRANSACTION);
        let by = view.scope.answer_by();
        let job = match Job::new(&self.shared, &mut view, chain_id, params) {
            Ok(job) => job,
            Err(error) => {
                metrics::refused(chain_id, &error);
                log_refusal(&view, chain_id, &error);
                return Ok(Err(error.to_host_error()));
            }
        };
        let journal = view.effect()?;
        let sent = match timeout_at(by, job.send(&journal)).await {
            Ok(sent) => sent?,
            Err(_) => job.late().ok_or(SendError::Deadline),
        };
        let length = sent.as_ref().map(|_| HASH_ANSWER_BYTES);
        call.ends(length.map_err(|error| error.to_host_error().kind));
        Ok(match sent {
            Ok(hash) => Ok(format!("\"{hash}\"")),
            Err(error) => {
                metrics::refused(chain_id, &error);
                log_refusal(&view, chain_id, &error);
                Err(error.to_host_error())
            }
        })
    }
}

/// One request of a module.
struct Job<'a> {
    shared: &'a Shared,
    rows: CapabilityRows,
    chain: Chain,
    grant: Grant,
    limits: CallLimits,
    request: SendRequest,
    module: &'a nexum_config::names::ModuleName,
    event: String,
    now_ms: u64,
    /// The signed transaction, once there is one.
    made: Mutex<Option<Made>>,
    /// Keeps the tender from it until the request ends.
    sending: Mutex<Option<SendingNow<'a>>>,
}

/// A signed transaction of this request.
#[derive(Clone)]
struct Made {
    nonce: u64,
    transaction: Transaction,
    /// Whether it is durable.
    is_durable: bool,
}

/// The answer in the record of an effect.
#[derive(Deserialize)]
#[serde(untagged)]
enum Recorded {
    Hash(B256),
    Sent(Sent),
}

/// The answer of this crate in the record of an effect.
#[derive(Serialize, Deserialize)]
struct Sent {
    hash: B256,
    nonce: u64,
}

impl Made {
    /// The answer in the record of the effect.
    fn answer(&self) -> Vec<u8> {
        let sent = Sent {
            hash: self.transaction.newest().hash,
            nonce: self.nonce,
        };
        serde_json::to_vec(&sent).unwrap_or_default()
    }
}

impl<'a> Job<'a> {
    fn new(shared: &'a Shared, view: &mut View<'a, ()>, chain_id: ChainId, params: &str) -> Result<Self, SendError> {
        let event = match view.scope.handler() {
            Handler::OnEvent(event) => event.to_string(),
            Handler::Invoke(call) => call.to_string(),
            Handler::Init => {
                return Err(SendError::Handler(
                    "each new instance calls `init`, so `init` may not send transactions",
                ));
            }
            Handler::Evaluate(_) | Handler::ListFunctions => {
                return Err(SendError::Handler("a query may change nothing"));
            }
        };
        let request = SendRequest::parse(chain_id, params)?;
        let meta = view.meta;
        let mut grants = shared.accounts.of(&meta.name).iter();
        let grant = grants.find(|grant| grant.account().address() == request.from).cloned();
        let grant = grant.ok_or(SendError::NoGrant(request.from))?;
        let Some(limits) = grant.rules().limits.clone() else {
            // The check finds that no rule allows transactions.
            let refused = check(&grant, &request, request.gas.unwrap_or(GAS_MIN)).err();
            return Err(refused.map_or(SendError::NoGrant(request.from), SendError::from));
        };
        Ok(Self {
            shared,
            rows: view.rows(ROWS),
            chain: Chain::new(&shared.chains, chain_id),
            grant,
            limits,
            request,
            module: &meta.name,
            event,
            now_ms: meta.clock.now_ms(),
            made: Mutex::default(),
            sending: Mutex::default(),
        })
    }

    fn lane(&self) -> Lane {
        Lane {
            account: self.request.from,
            chain: self.request.chain,
        }
    }

    /// Sends the transaction, unless an earlier attempt has. Returns its hash.
    async fn send(&self, journal: &EffectJournal) -> wasmtime::Result<Result<B256, SendError>> {
        let target = format!("chain {} from {}", self.request.chain, self.request.from);
        let identity = self.request.identity();
        let call = EffectCall {
            kind: KIND,
            target: &target,
            request: &identity,
            class: EffectClass::Repeatable,
            is_strict: true,
        };
        let plan = match journal.begin_with(&call, self.prepare()).await? {
            Ok(plan) => plan,
            Err(error) => return Ok(Err(error)),
        };
        let sending = match plan {
            EffectPlan::Answered(answer) => {
                return Ok(self.earlier(&answer).await);
            }
            EffectPlan::Denied(reason) => return Ok(Err(SendError::Handler(reason))),
            EffectPlan::Send(sending) => sending,
        };
        let Some(made) = self.durable() else {
            // The record of an attempt that nexum could not finish. Its transaction is not durable either.
            return Ok(Err(SendError::Malformed("the record of the effect")));
        };
        self.shared.sent.notify_one();
        let hash = made.transaction.newest().hash;
        metrics::sent(self.request.chain, self.grant.account().name());
        let answers = self.chain.submit(&made.transaction.signed, SubmitTo::Configured).await;
        if let Some(reason) = refusal(&answers) {
            return Ok(match self.give_back(journal, sending, &made, &reason).await? {
                true => Err(SendError::NotTaken(reason)),
                false => Ok(hash),
            });
        }
        journal.settle(sending, EffectOutcome::Done(made.answer()));
        Ok(Ok(hash))
    }

    /// The hash of the transaction that an earlier attempt, or a reverted event, has sent.
    async fn earlier(&self, answer: &[u8]) -> Result<B256, SendError> {
        let malformed = || SendError::Malformed("the record of the effect");
        let answer = match serde_json::from_slice(answer).map_err(|_| malformed())? {
            // The operator has resolved the effect.
            Recorded::Hash(hash) => return Ok(hash),
            Recorded::Sent(sent) => sent,
        };
        let row = self.rows.get(&key::transaction(self.lane(), answer.nonce)).await?;
        let row = row.map(|row| Transaction::decode(&row)).transpose()?;
        match row {
            Some(row) if row.purpose == Purpose::Cancel => Err(SendError::Cancelled(answer.nonce)),
            _ => Ok(answer.hash),
        }
    }

    /// The hash of a transaction that is durable, although there was no time to hear from the chain: nexum sends it until a
    /// block has it.
    fn late(&self) -> Option<B256> {
        let made = self.made.lock();
        let made = made.as_ref().filter(|made| made.is_durable);
        made.map(|made| made.transaction.newest().hash)
    }

    /// Notes that the signed transaction is durable.
    fn durable(&self) -> Option<Made> {
        let mut made = self.made.lock();
        let made = made.as_mut()?;
        made.is_durable = true;
        Some(made.clone())
    }

    /// Chooses everything that the module leaves open, and signs.
    async fn prepare(&self) -> Result<PreparedEffect, SendError> {
        let lane = self.lane();
        // A rule that refuses any amount of gas needs no simulation.
        let _allowed = check(&self.grant, &self.request, self.request.gas.unwrap_or(GAS_MIN))?;
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
                Some(row) => outcome(&Transaction::decode(&row)?),
                None => Outcome::Gone,
            });
        }
        let mut outcomes = outcomes.into_iter();
        spending.reconcile(|_| outcomes.next().unwrap_or(Outcome::Gone));
        let open = Open {
            chain: lane.chain,
            nonce,
            fee_max: alloy_primitives::U256::from(transaction.gas) * alloy_primitives::U256::from(fees.max_fee),
            is_in_block: false,
            value: transaction.value,
            at_ms: self.now_ms,
        };
        spending.add(open, &self.limits).map_err(SendError::Limit)?;
        Ok(spending)
    }

    async fn spending(&self) -> Result<Spending, SendError> {
        let row = self.rows.get(&key::spending(self.request.from, self.module)).await?;
        Ok(row.map(|row| Spending::decode(&row)).transpose()?.unwrap_or_default())
    }

    /// Ends a transaction that every place has refused. Its nonce is free again, or an empty transaction takes it if a
    /// later one exists. Returns false if a place may have it meanwhile.
    async fn give_back(
        &self,
        journal: &EffectJournal,
        sending: Sending,
        made: &Made,
        reason: &str,
    ) -> wasmtime::Result<bool> {
        let lane = self.lane();
        let held = self.shared.lock(lane.account).await;
        let key = key::transaction(lane, made.nonce);
        // The tender may have had more luck.
        if self.rows.get(&key).await? != Some(made.transaction.encode()) {
            journal.settle(sending, EffectOutcome::Done(made.answer()));
            return Ok(false);
        }
        let mut rows = self.rows.changes();
        let mut spending = self.spending().await?;
        let next = self.rows.get(&key::nonce(lane)).await?;
        let next = next.map(|row| NextNonce::decode(&row)).transpose()?;
        match next.filter(|row| row.next == made.nonce + 1) {
            Some(row) => {
                let freed = NextNonce {
                    next: made.nonce,
                    ..row
                };
                rows.put(&key, None);
                rows.put(&key::hash(made.transaction.newest().hash), None);
                rows.put(&key::nonce(lane), Some(freed.encode()));
                spending.remove(lane.chain, made.nonce);
                rows.put(&key::spending(lane.account, self.module), Some(spending.encode()));
            }
            None => {
                let cancelled = Transaction {
                    purpose: Purpose::Cancel,
                    waits: Some(format!(
                        "the chain has refused it ({reason}), so an empty one takes its nonce"
                    )),
                    ..made.transaction.clone()
                };
                rows.put(&key, Some(cancelled.encode()));
            }
        }
        journal.refuse(sending, rows).await?;
        drop(held);
        self.shared.sent.notify_one();
        Ok(true)
    }
}

/// Whether the rules allow the transaction, with this limit of gas.
fn check(grant: &Grant, request: &SendRequest, gas: u64) -> Result<Allowed, SendError> {
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

/// The part of a transaction in the limits.
pub(crate) fn outcome(transaction: &Transaction) -> Outcome {
    match transaction.state {
        TransactionState::Pending => Outcome::Open(transaction.fee_max()),
        TransactionState::Lost => Outcome::Gone,
        TransactionState::Mined(mined) if !mined.is_settled => Outcome::Unsettled(mined.fee),
        TransactionState::Mined(mined) => {
            let version = transaction.versions.iter().find(|version| version.hash == mined.hash);
            Outcome::Mined {
                fee: mined.fee,
                had_value: version.is_none_or(|version| version.purpose == Purpose::Request),
            }
        }
    }
}

/// Why no place has taken the transaction, if all have said so and none can have it.
fn refusal(answers: &[Submitted]) -> Option<String> {
    let mut reason = None;
    for answer in answers {
        let error = answer.result.as_ref().err()?;
        let text = error.message.to_ascii_lowercase();
        // The account may have been used elsewhere, which the tender finds out.
        let is_open = ["nonce", "underpriced", "already"]
            .iter()
            .any(|word| text.contains(word));
        if !error.is_refusal || is_open {
            return None;
        }
        reason.get_or_insert_with(|| error.message.clone());
    }
    reason
}

fn log_refusal(view: &View<'_, ()>, chain_id: ChainId, error: &SendError) {
    let module = view.meta.name.as_str();
    let event = view.scope.handler().event().map(tracing::field::display);
    match error {
        SendError::Refused(refusal) => tracing::warn!(
            target: TARGET,
            module,
            event,
            chain = chain_id,
            rule = refusal.rule,
            reason = refusal.reason,
            hint = refusal.hint(),
            "refused to send"
        ),
        error => tracing::warn!(
            target: TARGET,
            module,
            event,
            chain = chain_id,
            error = %Causes(error),
            "nexum does not send a transaction"
        ),
    }
}
