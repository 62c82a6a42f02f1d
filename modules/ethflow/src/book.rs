//! The stored orders of one chain, with their indexes.

mod room;

use nexum_sdk::{Address, Log, Result, debug, store, warn};
use serde::{Deserialize, Serialize};

use crate::due::{self, Due};
use crate::order::{Id, Order, State, shortened};
use crate::requests::{self, REQUEST_BYTES_MAX};
pub use room::EVICTED_PER_EVENT;
use room::REMOVAL_BYTES_MAX;

/// The most orders in the store. With their keys they take at most 52 MB of the 64 MiB that nexum
/// gives to a module by default. Further orders push out others.
pub const ORDERS_MAX: u32 = 40_000;

/// The most bytes of the keys and values of one order: about 550 for the order and 600 for its four
/// keys.
pub const ORDER_BYTES_MAX: usize = 1_300;

/// The most orders of one user on one chain that are not final. One user who places worthless orders
/// must not use up [`ORDERS_MAX`].
pub const ORDERS_PER_OWNER_MAX: u32 = 500;

/// The most orders that the logs of one block change. A change writes at most [`ORDER_BYTES_MAX`]
/// bytes, so that all of them stay below the limit of 1 MiB for an event. Further placements are
/// counted and not followed. Further cancellations and refunds show themselves when the order
/// expires.
pub const CHANGES_PER_EVENT: u32 = 700;

/// The most orders that the logs of one block look up for cancellations and refunds. Each takes one
/// operation of the store, also if the module does not follow the order.
pub const LOOKS_PER_EVENT: u32 = 1_000;

/// The most store operations of a placement, a cancellation or a refund, without the look-up.
const OPERATIONS_PER_CHANGE: usize = 9;

/// The defaults of `state_bytes`, `store_bytes_written_per_event` and `store_operations_per_event`. A
/// hundred operations are for the lists and the facts about the chains.
const _: () = {
    let changes = CHANGES_PER_EVENT as usize;
    assert!(ORDERS_MAX as usize * (ORDER_BYTES_MAX + REQUEST_BYTES_MAX) < 64 * 1_024 * 1_024);
    assert!(changes * ORDER_BYTES_MAX + EVICTED_PER_EVENT * REMOVAL_BYTES_MAX < 1_024 * 1_024);
    let operations = (changes + EVICTED_PER_EVENT) * OPERATIONS_PER_CHANGE + LOOKS_PER_EVENT as usize;
    assert!(operations + 100 < 10_000);
};

/// How long expired orders wait for a block before their own logs make the module check them, in
/// seconds. Far more than the wait for a block of any chain.
const BEHIND: u64 = 3_600;

/// The number of open orders from which on logs make the module check. Below it, checks would take more
/// requests than the logs themselves.
const OPEN_BEHIND: u32 = 200;

/// The most changes in an event that also checks orders: an eighth of the bytes that an event may write.
const CHANGES_BEHIND: u32 = 100;

const ORDERS: store::Map<Id, Order> = store::Map::new("orders");
/// By state and [`Order::size`].
const BY_STATE: store::Map<(u8, u8, Id), ()> = store::Map::new("states");
const BY_OWNER: store::Map<(Address, Id), ()> = store::Map::new("owners");
/// The orders that are not final.
const OWNED: store::Map<(u64, Address), u32> = store::Map::new("owned");
const STORED: store::Cell<u32> = store::Cell::new("stored");
const CHAINS: store::Map<u64, Chain> = store::Map::new("chains");

/// The facts about a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The begin of the first minute with keys in the index of times. `None` before the first order
    /// and the first block.
    from: Option<u64>,
    /// The time of a recent block, in seconds since the Unix epoch. 0 before the first block.
    time: u64,
    /// Whether a read of the last check got no answer.
    pub is_unanswered: bool,
    /// The number of orders in each state.
    pub counts: [u32; State::ALL.len()],
    /// The number of orders that the module does not follow, because of a bound.
    pub dropped: u64,
    /// The number of events of a followed contract that are not those of EthFlow.
    pub foreign: u64,
}

impl Chain {
    /// The number of orders in the store.
    fn stored(&self) -> u32 {
        self.counts.iter().sum()
    }
}

/// The next state of an order.
#[derive(Debug)]
pub struct Change {
    pub state: State,
    pub reason: String,
    /// The time of the next look, in seconds since the Unix epoch.
    pub next: u64,
    pub block: u64,
    /// The time of the block, or 0.
    pub time: u64,
}

/// The orders of one chain, in one event.
#[derive(Debug)]
pub struct Book {
    chain_id: u64,
    /// How long a final order is stored, in seconds.
    keep: u64,
    before: Chain,
    pub chain: Chain,
    changes: u32,
    looks: u32,
    has_made_room: bool,
    /// Whether the module requests refunds.
    has_requests: bool,
}

impl Book {
    /// Opens the orders of a chain.
    pub fn open(chain_id: u64, keep: u64, has_requests: bool) -> Result<Self> {
        let chain = CHAINS.get(&chain_id)?.unwrap_or_default();
        Ok(Self {
            chain_id,
            keep,
            before: chain,
            chain,
            changes: 0,
            looks: 0,
            has_made_room: false,
            has_requests,
        })
    }

    /// The EIP-155 id of the chain.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Writes the facts about the chain, if they changed.
    pub fn close(self) -> Result {
        match self.chain == self.before {
            true => Ok(()),
            false => CHAINS.set(&self.chain_id, &self.chain),
        }
    }

    /// Whether the logs of the event may change another order.
    pub fn may_change(&self) -> bool {
        self.changes < CHANGES_PER_EVENT
    }

    /// Whether the logs of the event may look up another order. Counts the look-up.
    pub fn may_look(&mut self) -> bool {
        self.looks += 1;
        self.looks <= LOOKS_PER_EVENT
    }

    /// Adds an order. The event of an order that the store has already changes nothing.
    pub fn add(&mut self, id: &Id, mut order: Order) -> Result {
        // No contract of CoW Protocol takes an expired order. An index that goes back to 1970 would
        // take many blocks to walk through.
        order.next = order.next.max(self.chain.time);
        self.changes += 1;
        if ORDERS.contains(id)? {
            return Ok(());
        }
        let owner = (self.chain_id, order.sender);
        let owned = OWNED.get(&owner)?.unwrap_or_default();
        if owned >= ORDERS_PER_OWNER_MAX {
            self.drop_order(&format!("its sender has {owned} orders"));
            return Ok(());
        }
        let mut stored = STORED.get()?.unwrap_or_default();
        if stored >= ORDERS_MAX {
            self.make_room()?;
            stored = STORED.get()?.unwrap_or_default();
        }
        if stored >= ORDERS_MAX {
            self.drop_order(&format!("the store has {stored} orders"));
            return Ok(());
        }
        OWNED.set(&owner, &(owned + 1))?;
        STORED.set(&(stored + 1))?;
        ORDERS.set(id, &order)?;
        BY_STATE.set(&state_key(id, &order), &())?;
        BY_OWNER.set(&(order.sender, *id), &())?;
        self.count(order.state, 1);
        self.schedule(order.next, id)
    }

    /// Counts an order that the module does not follow. A flood of them fills no log: the record
    /// appears for 1, 2, 4, 8, ... orders.
    pub fn drop_order(&mut self, reason: &str) {
        self.chain.dropped = self.chain.dropped.saturating_add(1);
        let dropped = self.chain.dropped;
        if dropped.is_power_of_two() {
            warn!(
                chain = self.chain_id,
                dropped = dropped,
                "an order is not followed: {reason}"
            );
        }
    }

    /// Counts an event that is not one of EthFlow. As [`drop_order`](Self::drop_order), it fills no
    /// log.
    pub fn ignore_event(&mut self, log: &Log) {
        self.chain.foreign = self.chain.foreign.saturating_add(1);
        if self.chain.foreign.is_power_of_two() {
            debug!(
                contract = log.address,
                transaction = log.transaction_hash,
                foreign = self.chain.foreign,
                "a log is not one of EthFlow"
            );
        }
    }

    /// Moves an order to a state, and returns the order.
    pub fn change(&mut self, id: &Id, mut order: Order, change: Change) -> Result<Order> {
        let Change {
            state,
            reason,
            next,
            block,
            time,
        } = change;
        due::remove(order.next, id)?;
        order.checks = order.checks_in(state);
        if order.state != state {
            BY_STATE.remove(&state_key(id, &order))?;
            self.count(order.state, -1);
            self.count(state, 1);
            if state.is_final() {
                self.release(order.sender)?;
            }
            order.state = state;
            BY_STATE.set(&state_key(id, &order), &())?;
            order.since_block = block;
            order.since_time = time;
        }
        order.reason = shortened(reason);
        order.next = next;
        ORDERS.set(id, &order)?;
        self.schedule(next, id)?;
        Ok(order)
    }

    /// Sets the time of the next look at an order.
    pub fn look_at(&mut self, id: &Id, mut order: Order, next: u64) -> Result {
        due::remove(order.next, id)?;
        order.next = next;
        ORDERS.set(id, &order)?;
        self.schedule(next, id)
    }

    /// Ends an order by an event of a block.
    pub fn finish(&mut self, id: &Id, order: Order, state: State, reason: String, block: u64) -> Result<Order> {
        self.changes += 1;
        let next = self.end_of_life(&order);
        let change = Change {
            state,
            reason,
            next,
            block,
            time: 0,
        };
        self.change(id, order, change)
    }

    /// The time at which a final order is removed. Before the first block, the module knows no time,
    /// and counts from the order's own.
    pub fn end_of_life(&self, order: &Order) -> u64 {
        let now = match self.chain.time {
            0 => u64::from(order.valid_to),
            time => time,
        };
        now.saturating_add(self.keep)
    }

    /// Removes a final order.
    pub fn remove(&mut self, id: &Id, order: &Order) -> Result {
        due::remove(order.next, id)?;
        BY_STATE.remove(&state_key(id, order))?;
        BY_OWNER.remove(&(order.sender, *id))?;
        ORDERS.remove(id)?;
        if self.has_requests {
            requests::forget(id)?;
        }
        self.count(order.state, -1);
        let stored = STORED.get()?.unwrap_or_default();
        STORED.set(&stored.saturating_sub(1))
    }

    /// The orders whose time has come, at most `count`.
    pub fn due(&mut self, now: u64, count: usize) -> Result<Due> {
        let from = *self.chain.from.get_or_insert(due::minute(now));
        due::list(self.chain_id, from, now, count)
    }

    /// Sets the begin of the first minute that can have keys.
    pub fn advance(&mut self, from: u64) {
        self.chain.from = Some(from);
    }

    /// Sets the time of the block: a write per minute, and not one per block.
    pub fn set_time(&mut self, now: u64) {
        if self.chain.from != self.before.from || self.chain.time == 0 {
            self.chain.time = now;
        }
    }

    /// Whether expired orders gather because no block comes: nexum delivers the logs of the past before
    /// the first block.
    pub fn is_behind(&self, now: u64) -> bool {
        let is_old = self.chain.from.is_some_and(|from| from.saturating_add(BEHIND) < now);
        let open = self.chain.counts.first().copied().unwrap_or_default();
        is_old && open >= OPEN_BEHIND && self.changes <= CHANGES_BEHIND
    }

    /// Lets the next list begin at a time, or before.
    pub fn go_back(&mut self, time: u64) {
        let minute = due::minute(time);
        self.chain.from = Some(self.chain.from.map_or(minute, |from| from.min(minute)));
    }

    fn schedule(&mut self, time: u64, id: &Id) -> Result {
        self.go_back(time);
        due::add(time, id)
    }

    fn count(&mut self, state: State, difference: i32) {
        if let Some(count) = self.chain.counts.get_mut(usize::from(state.number())) {
            *count = count.saturating_add_signed(difference);
        }
    }

    fn release(&self, sender: Address) -> Result {
        let owner = (self.chain_id, sender);
        match OWNED.get(&owner)?.unwrap_or_default() {
            0 | 1 => OWNED.remove(&owner),
            owned => OWNED.set(&owner, &(owned - 1)),
        }
    }
}

/// An order, if the store has it.
pub fn get(id: &Id) -> Result<Option<Order>> {
    ORDERS.get(id)
}

fn state_key(id: &Id, order: &Order) -> (u8, u8, Id) {
    (order.state.number(), order.size(), *id)
}

/// The orders in a state, sorted by chain, contract and digest.
pub fn in_state(state: State) -> Result<Vec<Id>> {
    let keys = BY_STATE.keys_under(&state.number())?;
    let mut ids: Vec<_> = keys.into_iter().map(|(_, _, id)| id).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// The orders of a user, sorted by chain, contract and digest.
pub fn of_owner(owner: Address) -> Result<Vec<Id>> {
    let keys = BY_OWNER.keys_under(&owner)?;
    Ok(keys.into_iter().map(|(_, id)| id).collect())
}

/// The chains with their facts.
pub fn chains() -> Result<Vec<(u64, Chain)>> {
    CHAINS.iter()?.collect()
}
