//! Answers queries: the watched orders, and why they are not placed.

use nexum_sdk::{Address, B256, Result};
use serde::{Deserialize, Serialize};

use crate::state::{
    self, Due, Key, LEAF, ORDERS, OWNERS, Order, Owner, Part, Reason, SKIPPED, STATES, Skipped, State, Totals,
};

/// The orders of an answer, by default and at most.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 500;

/// The skipped events of an answer.
const SHOWN_SKIPPED_MAX: usize = 100;

/// The states that one answer reads: a third of the 10,000 operations of the store that nexum allows by
/// default.
const SCANNED_MAX: usize = 3_000;

/// A question. An empty object asks for all orders.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Question {
    owner: Option<Address>,
    /// The id of the conditional order.
    id: Option<B256>,
    reason: Option<Reason>,
    /// The orders after this one, the `next` of the last answer.
    after: Option<Position>,
    limit: Option<usize>,
}

/// An order in the sequence of all orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Position {
    owner: Address,
    kind: u8,
    id: B256,
}

/// An answer.
#[derive(Debug, Serialize)]
pub struct Answer {
    totals: Totals,
    /// The owner of the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Owner>,
    /// The last events that were skipped.
    skipped: Vec<Skipped>,
    orders: Vec<Shown>,
    /// Ask again with this `after` for more orders.
    next: Option<Position>,
}

#[derive(Debug, Serialize)]
struct Shown {
    owner: Address,
    id: B256,
    is_leaf: bool,
    handler: Address,
    salt: B256,
    transaction: B256,
    block: u64,
    reason: Reason,
    text: String,
    since: u64,
    due: Due,
    has_ended: bool,
    posted: u32,
    part: Option<Part>,
    finished: Vec<(B256, u32)>,
}

impl Question {
    pub fn answer(&self) -> Result<Answer> {
        let mut answer = Answer {
            totals: state::totals()?,
            owner: self.owner.map(|owner| OWNERS.get(&owner)).transpose()?.flatten(),
            skipped: Vec::new(),
            orders: Vec::new(),
            next: None,
        };
        if self.after.is_none() && self.reason.is_none() {
            for entry in SKIPPED.iter()? {
                let (_, skipped) = entry?;
                if self.owner.is_none_or(|owner| owner == skipped.owner) && self.id.is_none_or(|id| id == skipped.id) {
                    answer.skipped.push(skipped);
                }
            }
            answer.skipped.sort_by_key(|skipped| std::cmp::Reverse(skipped.block));
            answer.skipped.truncate(SHOWN_SKIPPED_MAX);
        }
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let keys = STATES.keys()?.into_iter().filter(|key| self.has_key(key));
        for (scanned, key) in keys.enumerate() {
            if answer.orders.len() >= limit || scanned >= SCANNED_MAX {
                break;
            }
            answer.next = Some(position(&key));
            if let Some(shown) = self.shown(&key)? {
                answer.orders.push(shown);
            }
        }
        answer.next = match answer.next {
            Some(last) if self.has_more(last)? => Some(last),
            _ => None,
        };
        Ok(answer)
    }

    fn has_key(&self, key: &Key) -> bool {
        self.owner.is_none_or(|owner| owner == key.0)
            && self.id.is_none_or(|id| id == key.2)
            && self.after.is_none_or(|after| position(key) > after)
    }

    fn has_more(&self, last: Position) -> Result<bool> {
        let keys = STATES.keys()?;
        Ok(keys.iter().any(|key| self.has_key(key) && position(key) > last))
    }

    fn shown(&self, key: &Key) -> Result<Option<Shown>> {
        let Some(state) = STATES
            .get(key)?
            .filter(|state| self.reason.is_none_or(|reason| reason == state.reason))
        else {
            return Ok(None);
        };
        Ok(ORDERS.get(key)?.map(|order| show(key, order, state)))
    }
}

fn position((owner, kind, id): &Key) -> Position {
    Position {
        owner: *owner,
        kind: *kind,
        id: *id,
    }
}

fn show(key: &Key, order: Order, state: State) -> Shown {
    Shown {
        owner: key.0,
        id: key.2,
        is_leaf: key.1 == LEAF,
        handler: order.handler,
        salt: order.salt,
        transaction: order.transaction,
        block: order.block,
        reason: state.reason,
        has_ended: state.has_ended(),
        text: state.text,
        since: state.since,
        due: state.due,
        posted: state.posted,
        part: state.part,
        finished: state.finished,
    }
}
