//! Sends the refunds of due orders with an account of the operator, in batches.
//!
//! The store has the request of each order, so that the module asks once. It asks again if the
//! contract still has the order after [`REQUEST_BLOCKS`]: the transaction may have been cancelled.
//! Nothing that the operator or the chain refuses is an error: the orders stay due, and wait.

use std::collections::{BTreeMap, VecDeque};

use nexum_sdk::chain::CallRequest;
use nexum_sdk::{Address, B256, Block, Error, ErrorKind, Result, bail, info, store, warn};
use serde::{Deserialize, Serialize};

use crate::book::{self, Book, Change};
use crate::check;
use crate::order::{Id, Order, State};
use crate::refunds::{self, Outcome};

/// The most orders of one transaction, and the default. With 60,000 gas each, they take less than a
/// tenth of a block of Ethereum.
pub const BATCH_MAX: usize = 30;

/// The blocks after which the module asks again for a refund that it does not see.
pub const REQUEST_BLOCKS: u64 = 50;

/// The wait before the module looks at an order whose refund it has asked for, in seconds. Most
/// refunds show themselves before, by their events.
pub const REQUEST_WAIT: u64 = 600;

/// The wait after the first refusal, in seconds. The wait doubles up to an hour.
pub const REFUSED_WAIT: u64 = 60;

/// The most transactions that the module asks for in a block. nexum makes about six requests to the
/// chain for each one, and the block has ten seconds.
pub const SENDS_PER_EVENT: usize = 12;

/// The most orders that a block makes due for a look.
pub const FOUND_PER_EVENT: usize = check::ORDERS_PER_EVENT;

/// The most bytes of the key and value of a request.
pub const REQUEST_BYTES_MAX: usize = 250;

const REQUESTS: store::Map<Id, Request> = store::Map::new("requests");

/// The refund of an order on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The hash of the transaction. With higher fees, it gets another one.
    pub transaction: B256,
    /// The block in which the module asked.
    pub block: u64,
}

/// The request for the refund of an order.
pub fn get(id: &Id) -> Result<Option<Request>> {
    REQUESTS.get(id)
}

/// Removes the request of an order that leaves the store.
pub fn forget(id: &Id) -> Result {
    REQUESTS.remove(id)
}

/// The requests of an instance.
#[derive(Debug)]
pub struct Requests {
    account: Address,
    batch_max: usize,
    /// How far the search for orders that became due before has come, for each chain.
    searches: BTreeMap<u64, Search>,
    /// The last refusal of each chain. The log has a record when it changes.
    refusals: BTreeMap<u64, ErrorKind>,
}

/// The search through the due orders of a chain.
#[derive(Clone, Copy, Debug)]
enum Search {
    After(Id),
    Done,
}

impl Requests {
    /// Requests from the operator's account, for up to `batch_max` orders in each.
    pub fn new(account: Address, batch_max: usize) -> Result<Self> {
        if !(1..=BATCH_MAX).contains(&batch_max) {
            bail!(ErrorKind::InvalidInput; "batch_max is {batch_max}: write a number from 1 to {BATCH_MAX}");
        }
        Ok(Self {
            account,
            batch_max,
            searches: BTreeMap::new(),
            refusals: BTreeMap::new(),
        })
    }

    /// The account that sends the transactions.
    pub fn account(&self) -> Address {
        self.account
    }

    /// Searches the due orders of a chain again.
    pub fn look_again(&mut self, chain_id: u64) {
        self.searches.remove(&chain_id);
    }

    /// Lets the block look at orders that are due and have no request: those from before the operator
    /// switched requests on wait up to a week for their next look. Each instance does so once.
    pub fn find(&mut self, book: &mut Book, block: &Block) -> Result {
        let (chain_id, now) = (block.chain_id, block.timestamp / 1_000);
        let after = match self.searches.get(&chain_id) {
            Some(Search::Done) => return Ok(()),
            Some(Search::After(id)) => Some(*id),
            None => None,
        };
        let due = book::in_state(State::Due)?.into_iter();
        let mut due = due.filter(|id| id.0 == chain_id && after.is_none_or(|after| *id > after));
        let mut last = None;
        for id in due.by_ref().take(FOUND_PER_EVENT) {
            last = Some(id);
            if REQUESTS.contains(&id)? {
                continue;
            }
            if let Some(order) = book::get(&id)?.filter(|order| order.next > now) {
                book.look_at(&id, order, now)?;
            }
        }
        let search = match (due.next(), last) {
            (Some(_), Some(last)) => Search::After(last),
            _ => Search::Done,
        };
        self.searches.insert(chain_id, search);
        Ok(())
    }

    /// Asks for the refunds of orders that this block has found due.
    pub async fn send(&mut self, book: &mut Book, block: &Block, due: Vec<(Id, Order)>) -> Result {
        let now = block.timestamp / 1_000;
        let mut fresh = Vec::new();
        for (id, order) in due {
            match REQUESTS.get(&id)? {
                Some(request) if block.number < request.block.saturating_add(REQUEST_BLOCKS) => {
                    book.look_at(&id, order, now + REQUEST_WAIT)?;
                }
                _ => fresh.push((id, order)),
            }
        }
        let mut waiting = VecDeque::from(refunds::batches(&fresh, self.batch_max));
        let mut sends = 0;
        while let Some(mut batch) = waiting.pop_front() {
            if sends == SENDS_PER_EVENT {
                waiting.push_front(batch);
                break;
            }
            sends += 1;
            match self.send_batch(block, &batch).await {
                Ok(transaction) => {
                    self.refusals.remove(&block.chain_id);
                    let (chain, hash, orders) = (block.chain_id, transaction, batch.len());
                    info!(
                        chain = chain,
                        transaction = hash,
                        orders = orders,
                        "refunds are on their way"
                    );
                    let request = Request {
                        transaction,
                        block: block.number,
                    };
                    for (id, order) in batch {
                        REQUESTS.set(&id, &request)?;
                        book.look_at(&id, order, now + REQUEST_WAIT)?;
                    }
                }
                // One order makes the whole batch revert, although its refund alone worked a moment ago.
                Err(error) if error.revert_data().is_some() && batch.len() > 1 => {
                    let second = batch.split_off(batch.len() / 2);
                    waiting.push_front(second);
                    waiting.push_front(batch);
                }
                Err(error) if error.revert_data().is_some() => {
                    for (id, order) in batch {
                        stuck(book, block, id, order, &error)?;
                    }
                }
                Err(error) => {
                    self.report(block.chain_id, &error);
                    waiting.push_front(batch);
                    break;
                }
            }
        }
        for (id, order) in waiting.into_iter().flatten() {
            let wait = check::doubled(REFUSED_WAIT, order.checks, check::WAIT_FIRST);
            book.look_at(&id, order, now + wait)?;
        }
        Ok(())
    }

    /// Asks for one transaction, and returns its hash.
    async fn send_batch(&self, block: &Block, batch: &[(Id, Order)]) -> Result<B256> {
        let Some(call) = refunds::call_of_batch(batch) else {
            bail!(ErrorKind::Internal; "a batch has no order");
        };
        let transaction = CallRequest {
            to: call.to,
            data: call.data,
            from: Some(self.account),
            ..CallRequest::default()
        };
        block.chain().send_transaction(&transaction).await
    }

    /// Logs a refusal, if the one before it had another reason.
    fn report(&mut self, chain: u64, error: &Error) {
        if self.refusals.insert(chain, error.kind()) == Some(error.kind()) {
            return;
        }
        let account = self.account;
        match error.kind() {
            ErrorKind::Denied => warn!(
                chain = chain,
                account = account,
                "nexum refuses to send refunds, and the orders stay due: {error}. Compare \
                 [identity.ethflow.<account>] with the README of ethflow, and the account's ether with the fees"
            ),
            ErrorKind::RateLimited => warn!(
                chain = chain,
                account = account,
                "refunds wait, and the orders stay due: {error}. If this lasts, raise the limit in \
                 [identity.ethflow.<account>]"
            ),
            ErrorKind::Unsupported => warn!(
                chain = chain,
                account = account,
                "refunds wait, and the orders stay due: {error}. Use a nexum with the feature `identity`, and \
                 write [identity.ethflow.<account>]"
            ),
            _ => warn!(
                chain = chain,
                account = account,
                "refunds wait, and the orders stay due: {error}"
            ),
        }
    }
}

/// Moves an order to [`State::Stuck`] whose transaction would revert.
fn stuck(book: &mut Book, block: &Block, id: Id, order: Order, error: &Error) -> Result {
    let now = block.timestamp / 1_000;
    let reason = match refunds::failure(error) {
        Outcome::Refused(reason) | Outcome::Unanswered(reason) => reason,
        Outcome::Works => String::new(),
    };
    let change = Change {
        state: State::Stuck,
        reason,
        next: now + check::WAIT_FIRST,
        block: block.number,
        time: now,
    };
    let order = book.change(&id, order, change)?;
    check::report(&id, &order);
    Ok(())
}
