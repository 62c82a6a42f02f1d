//! Looks at the orders whose time has come, in the state after a block.

use nexum_sdk::{Address, Block, Chain, Error, ErrorKind, Result, U256, clock, info, join_all, try_join, warn};

use crate::abi::{IEthFlow, ISettlement};
use crate::answers::is_of_contract;
use crate::book::{self, Book, Change};
use crate::contracts::Contracts;
use crate::due;
use crate::order::{Id, Order, State, uid};
use crate::refunds::{self, Outcome};

/// The most orders in one wave. Their reads are one batch, and so are their simulations. A node that
/// does not answer thus uses up the time of one request, and leaves enough to save the results.
pub const ORDERS_PER_WAVE: usize = 50;

/// The most orders in one block: four waves. Each order takes two reads, and at most two simulations:
/// 800 of the 1,000 requests that nexum allows by default. The next block continues.
pub const ORDERS_PER_EVENT: usize = 4 * ORDERS_PER_WAVE;

/// The wait after the first look at an order that stays as it is, in seconds. The wait doubles up to
/// [`WAIT_MAX`].
pub const WAIT_FIRST: u64 = 3_600;

/// The longest wait, in seconds: a week.
pub const WAIT_MAX: u64 = 7 * 24 * 3_600;

/// The wait after the first look without an answer, in seconds. The wait doubles up to
/// [`WAIT_FIRST`]. An order without an answer must not stay the first of the index: a user's contract
/// can be the cause, and would hold up the other orders.
pub const UNANSWERED_WAIT_FIRST: u64 = 60;

/// The owner that the contract records for an order that was cancelled or refunded.
const INVALIDATED: Address = Address::repeat_byte(0xff);

/// The result of a look.
#[derive(Debug)]
enum Finding {
    /// The endpoint did not answer. The module repeats the look soon.
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

/// Looks at the orders of a block, and returns those that are due for a refund. Trouble of the
/// endpoint is not an error: the orders wait. `payer` is the account that sends the refunds.
pub async fn run(
    book: &mut Book,
    contracts: &Contracts,
    payer: Option<Address>,
    block: &Block,
) -> Result<Vec<(Id, Order)>> {
    let now = block.timestamp / 1_000;
    let due = book.due(now, ORDERS_PER_EVENT)?;
    // Before the orders move: a final order of the past moves to a time before now.
    book.advance(due.rest_from);
    let mut orders = Vec::new();
    for (time, id) in due.items {
        match book::get(&id)? {
            Some(order) if order.state.is_final() => book.remove(&id, &order)?,
            Some(order) => orders.push((id, order)),
            None => due::remove(time, &id)?,
        }
    }
    let mut refundable = Vec::new();
    let mut rest = orders.into_iter();
    loop {
        let mut wave: Vec<_> = rest.by_ref().take(ORDERS_PER_WAVE).collect();
        if wave.is_empty() {
            break;
        }
        let look = look(block.chain(), contracts, payer, &mut wave).await;
        report_outage(book, look.outage);
        let is_unanswered = |finding: &Finding| matches!(finding, Finding::Unanswered(_));
        let is_last = look.findings.iter().any(is_unanswered);
        for ((id, order), finding) in wave.into_iter().zip(look.findings) {
            let order = apply(book, block, id, order, finding)?;
            if order.state == State::Due {
                refundable.push((id, order));
            }
        }
        // The time of the event may be used up.
        if is_last {
            break;
        }
    }
    if let Some((_, order)) = rest.next() {
        book.go_back(order.next);
    }
    Ok(refundable)
}

/// Looks at expired orders after logs of the past, in the state after the newest block. Without this,
/// the orders of years would count as open until the first block, and use up the bounds. Returns the
/// orders that are due for a refund.
pub async fn catch_up(book: &mut Book, contracts: &Contracts, payer: Option<Address>) -> Result<Vec<(Id, Order)>> {
    if !book.is_behind(clock::now_ms() / 1_000) {
        return Ok(Vec::new());
    }
    let chain = Chain::new(book.chain_id());
    // Trouble of the endpoint is not an error here either: the next logs repeat this.
    let Ok(Some(header)) = chain.header().await else {
        return Ok(Vec::new());
    };
    let newest = Block {
        chain_id: chain.id(),
        number: header.number,
        hash: header.hash,
        timestamp: header.timestamp_seconds.saturating_mul(1_000),
    };
    run(book, contracts, payer, &newest).await
}

/// The results for the orders of a wave.
struct Look {
    findings: Vec<Finding>,
    /// The error of a read without an answer. The contracts of the reads are not the users', so that
    /// the endpoint is the cause.
    outage: Option<String>,
}

/// Reads the orders, and simulates the refunds of those that are due.
async fn look(chain: Chain, contracts: &Contracts, payer: Option<Address>, orders: &mut [(Id, Order)]) -> Look {
    let reads = orders.iter().map(|(id, _)| read(chain, contracts, id));
    let reads = join_all(reads).await;
    let mut findings = Vec::new();
    let mut outage = None;
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
            Err(error) if is_of_contract(&error) => Finding::Unclear(error.message().to_owned()),
            Err(error) => {
                outage = Some(error.to_string());
                Finding::Unanswered(error.to_string())
            }
        };
        findings.push(finding);
    }
    let (indices, refundable): (Vec<_>, Vec<_>) = refundable.into_iter().unzip();
    let outcomes = refunds::simulate(chain, payer, &refundable).await;
    for (index, outcome) in indices.into_iter().zip(outcomes) {
        if let Some(finding) = findings.get_mut(index) {
            *finding = match outcome {
                Outcome::Works => Finding::Due,
                Outcome::Refused(reason) => Finding::Stuck(reason),
                Outcome::Unanswered(reason) => Finding::Unanswered(reason),
            };
        }
    }
    Look { findings, outage }
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

/// Moves an order to the state of a finding, and returns the order.
fn apply(book: &mut Book, block: &Block, id: Id, order: Order, finding: Finding) -> Result<Order> {
    let now = block.timestamp / 1_000;
    let is_unanswered = matches!(finding, Finding::Unanswered(_));
    let (state, reason) = match finding {
        Finding::Unanswered(reason) => match order.state {
            State::Open | State::Expired => (State::Expired, reason),
            state => (state, order.reason.clone()),
        },
        Finding::Unclear(reason) => (State::Expired, reason),
        Finding::Filled => (State::Filled, "filled".to_owned()),
        Finding::Closed => (State::Closed, "the contract has it as cancelled or refunded".to_owned()),
        Finding::Due if order.filled.is_zero() => (State::Due, "expired without a fill".to_owned()),
        Finding::Due => (State::Due, "expired, partly filled".to_owned()),
        Finding::Stuck(reason) => (State::Stuck, reason),
    };
    let is_news = order.state != state;
    let checks = order.checks_in(state);
    let next = match state.is_final() {
        true => book.end_of_life(&order),
        false if is_unanswered => now + doubled(UNANSWERED_WAIT_FIRST, checks, WAIT_FIRST),
        false => now + doubled(WAIT_FIRST, checks, WAIT_MAX),
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
    Ok(order)
}

/// The wait after a number of looks without a change, in seconds.
pub fn doubled(first: u64, checks: u32, max: u64) -> u64 {
    // Eight doublings of an hour are more than a week.
    (first << checks.min(8)).min(max)
}

/// Logs a new state that an operator acts on.
pub fn report(id: &Id, order: &Order) {
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
fn report_outage(book: &mut Book, outage: Option<String>) {
    let chain = book.chain_id();
    match (book.chain.is_unanswered, &outage) {
        (false, Some(reason)) => warn!(chain = chain, "expired orders wait for the chain: {reason}"),
        (true, None) => info!(chain = chain, "the chain answers for expired orders"),
        _ => {}
    }
    book.chain.is_unanswered = outage.is_some();
}
