//! The questions of operators.

use std::collections::BTreeMap;

use nexum_sdk::{Address, B256, Bytes, ErrorKind, Json, QueryInput, Result, bail, cow};
use serde::{Deserialize, Serialize};

use crate::book;
use crate::order::{Id, Order, State, uid};
use crate::refunds::{self, Call};
use crate::requests::{self, Request};

/// The default number of orders of an answer.
pub const ORDERS_PER_ANSWER: usize = 20;

/// The most orders of an answer. Each takes up to 3 kB, so that the answer is far smaller than the
/// 4 MiB that nexum accepts.
pub const ORDERS_PER_ANSWER_MAX: usize = 100;

/// The most orders that one question reads, when a filter leaves out most of them: a tenth of the
/// store operations that nexum allows by default.
pub const ORDERS_READ_MAX: usize = 1_000;

/// A question. Without `uid`, `owner` and `state`, the answer has the counts alone.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    uid: Option<Bytes>,
    /// The user who placed the order.
    owner: Option<Address>,
    state: Option<State>,
    chain_id: Option<u64>,
    /// `next` of the answer before.
    after: Option<String>,
    limit: Option<usize>,
}

/// An answer.
#[derive(Debug, Serialize)]
pub struct Answer {
    pub chains: Vec<ChainReport>,
    /// Sorted by chain, contract and digest.
    pub orders: Vec<OrderReport>,
    /// The transactions that pay the due orders of this answer back.
    pub calls: Vec<Call>,
    /// The value of `after` for the other orders, if there are more.
    pub next: Option<String>,
}

/// The facts about a chain.
#[derive(Debug, Serialize)]
pub struct ChainReport {
    pub chain_id: u64,
    /// The number of orders in each state.
    pub counts: BTreeMap<State, u32>,
    pub dropped: u64,
    pub foreign: u64,
    pub is_unanswered: bool,
}

/// An order. Amounts are decimal texts.
#[derive(Debug, Serialize)]
pub struct OrderReport {
    pub chain_id: u64,
    pub uid: Bytes,
    pub contract: Address,
    pub owner: Address,
    pub state: State,
    pub reason: String,
    pub since: Since,
    /// The user's.
    pub valid_to: u32,
    pub sell_amount: String,
    pub filled: String,
    /// The ether that a refund pays, in wei.
    pub refund: String,
    pub buy_token: Address,
    pub buy_amount: String,
    pub receiver: Address,
    pub partially_fillable: bool,
    pub quote_id: i64,
    pub placed_in: B256,
    /// The time of the next look, in seconds since the Unix epoch. A final order is then removed.
    pub next_check: u64,
    /// The transaction that pays the order back, for an order that is due or stuck.
    pub call: Option<Call>,
    /// The last transaction in which the module asked for the refund.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// The begin of a state.
#[derive(Debug, Serialize)]
pub struct Since {
    pub block: u64,
    /// In seconds since the Unix epoch. `None` for the states that follow from a log.
    pub time: Option<u64>,
}

/// Answers a question: JSON, or nothing for the counts.
pub fn answer(question: Vec<u8>) -> Result<Answer> {
    let question = match question.trim_ascii() {
        [] => Question::default(),
        _ => Json::from_bytes(question)?.0,
    };
    let limit = question.limit.unwrap_or(ORDERS_PER_ANSWER);
    if !(1..=ORDERS_PER_ANSWER_MAX).contains(&limit) {
        bail!(ErrorKind::InvalidInput; "limit: {limit} is not between 1 and {ORDERS_PER_ANSWER_MAX}");
    }
    let chains = book::chains()?;
    let known: Vec<_> = chains.iter().map(|(id, _)| *id).collect();
    let (found, next) = select(&question, candidates(&question, &known)?, limit)?;
    let due = found.iter().filter(|(_, order)| order.state == State::Due);
    let due: Vec<_> = due.cloned().collect();
    let is_wanted = |(id, _): &(u64, book::Chain)| question.chain_id.is_none_or(|wanted| wanted == *id);
    Ok(Answer {
        chains: chains.into_iter().filter(is_wanted).map(report_chain).collect(),
        calls: refunds::calls(&due),
        orders: found.into_iter().map(report).collect::<Result<_>>()?,
        next: next.as_ref().map(position),
    })
}

/// The orders that a question can be about, sorted.
fn candidates(question: &Question, chains: &[u64]) -> Result<Vec<Id>> {
    let mut ids = match question {
        Question { uid: Some(uid), .. } => {
            let (digest, contract, _) = split(uid)?;
            chains.iter().map(|chain| (*chain, contract, digest)).collect()
        }
        Question { owner: Some(owner), .. } => book::of_owner(*owner)?,
        Question { state: Some(state), .. } => book::in_state(*state)?,
        _ => Vec::new(),
    };
    if let Some(chain_id) = question.chain_id {
        ids.retain(|id| id.0 == chain_id);
    }
    if let Some(after) = &question.after {
        let after = read_position(after)?;
        ids.retain(|id| *id > after);
    }
    Ok(ids)
}

/// The orders of an answer, and the last one that was read if there are more.
type Page = (Vec<(Id, Order)>, Option<Id>);

fn select(question: &Question, ids: Vec<Id>, limit: usize) -> Result<Page> {
    let mut found = Vec::new();
    let mut last = None;
    for (read, id) in ids.into_iter().enumerate() {
        if found.len() == limit || read == ORDERS_READ_MAX {
            return Ok((found, last));
        }
        last = Some(id);
        let Some(order) = book::get(&id)? else { continue };
        let fits = question.state.is_none_or(|state| state == order.state)
            && question.owner.is_none_or(|owner| owner == order.sender);
        if fits {
            found.push((id, order));
        }
    }
    Ok((found, None))
}

fn split(text: &[u8]) -> Result<(B256, Address, u32)> {
    match cow::split_uid(text) {
        Some(parts) => Ok(parts),
        None => bail!(ErrorKind::InvalidInput; "uid: a UID has 56 bytes"),
    }
}

/// The place of an order in the list.
fn position(id: &Id) -> String {
    format!("{}:{}", id.0, uid(id))
}

fn read_position(text: &str) -> Result<Id> {
    let parts = text.split_once(':');
    let parts = parts.and_then(|(chain, uid)| Some((chain.parse().ok()?, uid.parse::<Bytes>().ok()?)));
    let Some((chain, uid)) = parts else {
        bail!(ErrorKind::InvalidInput; "after: {text:?} is not `next` of an answer");
    };
    let (digest, contract, _) = split(&uid)?;
    Ok((chain, contract, digest))
}

fn report_chain((chain_id, chain): (u64, book::Chain)) -> ChainReport {
    ChainReport {
        chain_id,
        counts: State::ALL.into_iter().zip(chain.counts).collect(),
        dropped: chain.dropped,
        foreign: chain.foreign,
        is_unanswered: chain.is_unanswered,
    }
}

fn report((id, order): (Id, Order)) -> Result<OrderReport> {
    let has_call = matches!(order.state, State::Due | State::Stuck);
    Ok(OrderReport {
        chain_id: id.0,
        uid: uid(&id),
        contract: id.1,
        owner: order.sender,
        state: order.state,
        since: Since {
            block: order.since_block,
            time: Some(order.since_time).filter(|time| *time > 0),
        },
        valid_to: order.valid_to,
        sell_amount: order.sell_amount.to_string(),
        filled: order.filled.to_string(),
        refund: order.refund().to_string(),
        buy_token: order.buy_token,
        buy_amount: order.buy_amount.to_string(),
        receiver: order.receiver,
        partially_fillable: order.partially_fillable,
        quote_id: order.quote_id,
        placed_in: order.transaction,
        next_check: order.next,
        call: has_call.then(|| refunds::call_of(&id, &order)),
        request: requests::get(&id)?,
        reason: order.reason,
    })
}
