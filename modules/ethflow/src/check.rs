//! Looks at the orders whose time has come, in the state after a block.

use nexum_sdk::{Address, Block, Chain, Error, ErrorKind, Result, U256, info, join_all, try_join, warn};

use crate::abi::{IEthFlow, ISettlement};
use crate::book::{self, Book, Change};
use crate::contracts::Contracts;
use crate::due;
use crate::order::{Id, Order, State, uid};
use crate::refunds::{self, Outcome};

/// The most orders in one block. Each takes two reads, and at most two simulations while groups are
/// divided: 800 of the 1,000 requests that nexum allows by default. The next block continues.
pub const ORDERS_PER_EVENT: usize = 200;

/// The wait after the first look at an order that stays as it is, in seconds. The wait doubles up to
/// [`WAIT_MAX`].
pub const WAIT_FIRST: u64 = 3_600;

/// The longest wait, in seconds: a week.
pub const WAIT_MAX: u64 = 7 * 24 * 3_600;

/// The owner that the contract records for an order that was cancelled or refunded.
const INVALIDATED: Address = Address::repeat_byte(0xff);

/// The result of a look.
#[derive(Debug)]
enum Finding {
    /// The endpoint did not answer. The next block repeats the look.
    Unanswered(String),
    /// The contracts answer something else than EthFlow and the settlement.
    Unclear(String),
    Closed,
    Filled,
    /// A refund is due, and works.
    Due,
    /// A refund is due, and the contract refuses it.
    Stuck(String),
}

/// Looks at the orders of a block. Trouble of the endpoint is not an error: the orders wait for the
/// next block.
pub async fn run(book: &mut Book, contracts: &Contracts, block: &Block) -> Result {
    let now = block.timestamp / 1_000;
    let due = book.due(now, ORDERS_PER_EVENT)?;
    let mut orders = Vec::new();
    for (time, id) in due.items {
        match book::get(&id)? {
            Some(order) if order.state.is_final() => book.remove(&id, &order)?,
            Some(order) => orders.push((id, order)),
            None => due::remove(time, &id)?,
        }
    }
    let mut rest_from = due.rest_from;
    let mut unanswered = None;
    let findings = look(block.chain(), contracts, &mut orders).await;
    for ((id, order), finding) in orders.into_iter().zip(findings) {
        if let Finding::Unanswered(reason) = &finding {
            rest_from = rest_from.min(due::minute(order.next));
            unanswered = Some(reason.clone());
        }
        apply(book, block, id, order, finding)?;
    }
    book.advance(rest_from, now);
    report_outage(book, unanswered);
    Ok(())
}

/// Reads the orders, and simulates the refunds of those that are due.
async fn look(chain: Chain, contracts: &Contracts, orders: &mut [(Id, Order)]) -> Vec<Finding> {
    let reads = orders.iter().map(|(id, _)| read(chain, contracts, id));
    let reads = join_all(reads).await;
    let mut findings = Vec::new();
    let mut refundable = Vec::new();
    for (index, ((id, order), read)) in orders.iter_mut().zip(reads).enumerate() {
        let finding = match read {
            Ok((_, filled)) if filled >= order.sell_amount => {
                order.filled = filled;
                Finding::Filled
            }
            Ok((owner, _)) if owner == INVALIDATED => Finding::Closed,
            Ok((owner, _)) if owner.is_zero() => Finding::Unclear("the contract has no such order".to_owned()),
            Ok((_, filled)) => {
                order.filled = filled;
                refundable.push((index, (*id, order.clone())));
                Finding::Due
            }
            Err(error) if is_clear(&error) => Finding::Unclear(error.message().to_owned()),
            Err(error) => Finding::Unanswered(error.to_string()),
        };
        findings.push(finding);
    }
    let (indices, refundable): (Vec<_>, Vec<_>) = refundable.into_iter().unzip();
    let outcomes = refunds::simulate(chain, &refundable).await;
    for (index, outcome) in indices.into_iter().zip(outcomes) {
        if let Some(finding) = findings.get_mut(index) {
            *finding = match outcome {
                Outcome::Works => Finding::Due,
                Outcome::Refused(reason) => Finding::Stuck(reason),
                Outcome::Unanswered(reason) => Finding::Unanswered(reason),
            };
        }
    }
    findings
}

/// The owner of an order according to its contract, and its sold amount according to the settlement.
async fn read(chain: Chain, contracts: &Contracts, id: &Id) -> Result<(Address, U256)> {
    let (chain_id, contract, digest) = *id;
    let Some(settlement) = contracts.settlement(chain_id, contract) else {
        let error = format!("the configuration does not have the contract {contract}");
        return Err(Error::new(ErrorKind::InvalidInput, error));
    };
    let (ethflow, settlement) = (IEthFlow::new(contract, chain), ISettlement::new(settlement, chain));
    let (order, filled) = (ethflow.orders(digest), settlement.filledAmount(uid(id)));
    let (order, filled) = try_join!(order.call(), filled.call())?;
    Ok((order.owner, filled))
}

/// Whether the error is an answer of the contract, and not trouble of the endpoint.
fn is_clear(error: &Error) -> bool {
    error.kind() == ErrorKind::InvalidInput
}

/// Moves an order to the state of a finding.
fn apply(book: &mut Book, block: &Block, id: Id, order: Order, finding: Finding) -> Result {
    let now = block.timestamp / 1_000;
    let (state, reason) = match finding {
        Finding::Unanswered(reason) => return await_answer(book, block, id, order, reason),
        Finding::Unclear(reason) => (State::Expired, reason),
        Finding::Filled => (State::Filled, "filled".to_owned()),
        Finding::Closed => (State::Closed, "the contract has it as cancelled or refunded".to_owned()),
        Finding::Due if order.filled.is_zero() => (State::Due, "expired without a fill".to_owned()),
        Finding::Due => (State::Due, "expired, partly filled".to_owned()),
        Finding::Stuck(reason) => (State::Stuck, reason),
    };
    let is_news = order.state != state;
    let next = match (state.is_final(), is_news) {
        (true, _) => book.end_of_life(&order),
        (false, true) => now + wait(0),
        (false, false) => now + wait(order.checks.saturating_add(1)),
    };
    let change = Change {
        state,
        reason,
        next,
        block: block.number,
        time: now,
    };
    let order = book.change(&id, order, change)?;
    if is_news {
        report(&id, &order);
    }
    Ok(())
}

/// Leaves an order where it is in the index, so that the next block repeats the look.
fn await_answer(book: &mut Book, block: &Block, id: Id, order: Order, reason: String) -> Result {
    if order.state != State::Open {
        return Ok(());
    }
    let change = Change {
        state: State::Expired,
        reason,
        next: order.next,
        block: block.number,
        time: block.timestamp / 1_000,
    };
    book.change(&id, order, change).map(drop)
}

/// The wait after a number of looks without a change, in seconds.
fn wait(checks: u32) -> u64 {
    // Eight doublings are more than a week.
    (WAIT_FIRST << checks.min(8)).min(WAIT_MAX)
}

/// Logs a new state that an operator acts on.
fn report(id: &Id, order: &Order) {
    let (chain, uid, refund) = (id.0, uid(id), order.refund());
    match order.state {
        State::Due => info!(
            chain = chain,
            uid = uid,
            sender = order.sender,
            wei = refund,
            "a refund is due: {}",
            order.reason
        ),
        State::Stuck => warn!(
            chain = chain,
            uid = uid,
            sender = order.sender,
            wei = refund,
            "a refund is stuck: {}",
            order.reason
        ),
        _ => {}
    }
}

/// Logs the begin and the end of an outage.
fn report_outage(book: &mut Book, unanswered: Option<String>) {
    match (book.chain.is_unanswered, &unanswered) {
        (false, Some(reason)) => warn!("expired orders wait for the chain: {reason}"),
        (true, None) => info!("the chain answers for expired orders"),
        _ => {}
    }
    book.chain.is_unanswered = unanswered.is_some();
}
