//! `eth_sendTransaction`: from a module's request to a signed transaction that is durable and on its way.
//!
//! # Invariants
//!
//! - A nonce, the signed bytes, the counts of the limits and the record of the effect become durable in one commit,
//!   before any of the bytes leaves nexum.
//! - Two transactions of nexum never have one nonce, unless the later one replaces the earlier one.

mod give_back;
mod prepare;

use alloy_primitives::{B256, keccak256};
use async_trait::async_trait;
use nexum_accounts::{CallLimits, Grant};
use nexum_config::causes::Causes;
use nexum_config::hint::Hint as _;
use nexum_config::topic::ChainId;
use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::{
    CapabilityRows, ChainMethods, EffectCall, EffectClass, EffectJournal, EffectOutcome, EffectPlan, Handler,
    HostCallKind, SubmitTo, View,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::timeout_at;

use crate::chain::Chain;
use crate::error::SendError;
use crate::metrics;
use crate::request::SendRequest;
use crate::rows::{Lane, OfHash, Purpose, ROWS, Row as _, Transaction, TransactionState, key};
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
        let job = Job::new(&self.shared, &mut view, chain_id, params);
        // A trial of a past block goes no further than the rules.
        let job = job.and_then(|job| match view.is_trial() {
            true => job.check_rules().map(|_| job),
            false => Ok(job),
        });
        let job = match job {
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
        journal.told(|| match &sent {
            Ok(hash) => Ok(format!("\"{hash}\"").into_bytes()),
            Err(error) => Err(error.to_host_error()),
        });
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
            let refused = prepare::check(&grant, &request, request.gas.unwrap_or(GAS_MIN)).err();
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
        // Not the hash of a transaction, because nexum signs none in a trial.
        let stand_in = format!("\"{}\"", keccak256(&identity));
        let call = EffectCall {
            kind: KIND,
            target: &target,
            request: &identity,
            class: EffectClass::Repeatable,
            stand_in: Some(stand_in.as_bytes()),
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
            EffectPlan::Failed(error) => return Ok(Err(SendError::Recorded(error))),
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
        if let Some(reason) = give_back::refusal(&answers) {
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
