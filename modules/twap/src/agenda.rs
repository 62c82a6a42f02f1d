//! The index of what is due: each order has one place in it, and a change of its state moves it.

use nexum_sdk::{Address, Result, store};

use crate::contracts::Handler;
use crate::state::{Due, Key, ORDERS, OWNERS, Order, Owner, STATES, State, TOTALS, Totals, totals};

const EVERY_BLOCK: store::Map<Key, ()> = store::Map::new("every-block");
const BLOCKS: store::Schedule<Key> = store::Schedule::new("blocks");
const TIMES: store::Schedule<Key> = store::Schedule::new("times");
const ENDED: store::Schedule<Key> = store::Schedule::new("ended");

/// The orders that are due at a block, at most `count`. If there are more, each of the three parts of the
/// index gets a share, and the orders of every block take turns.
pub fn due(block: u64, now: u64, count: usize) -> Result<Vec<Key>> {
    let mut every: Vec<Key> = EVERY_BLOCK.keys()?;
    let (share, len) = (count / 3, every.len());
    if len > share {
        // The number of the block tells whose turn it is.
        let turn = usize::try_from(block % len as u64).unwrap_or_default();
        every.rotate_left(turn.wrapping_mul(share) % len);
    }
    let keys = |due: Vec<(u64, Key)>| due.into_iter().map(|(_, key)| key);
    let mut parts = [
        keys(TIMES.due(now, count)?).collect::<Vec<_>>().into_iter(),
        keys(BLOCKS.due(block, count)?).collect::<Vec<_>>().into_iter(),
        every.into_iter(),
    ];
    let mut due = Vec::new();
    while due.len() < count && parts.iter().any(|part| part.len() > 0) {
        due.extend(parts.iter_mut().filter_map(Iterator::next));
    }
    due.truncate(count);
    Ok(due)
}

/// Deletes ended orders whose time is over, at most `count`. If the store is nearly full, their time is
/// over early.
pub fn prune(now: u64, is_nearly_full: bool, count: usize) -> Result {
    let due = ENDED.due(if is_nearly_full { u64::MAX } else { now }, count)?;
    if due.is_empty() {
        return Ok(());
    }
    let mut totals = totals()?;
    for (at, key) in due {
        match ORDERS.get(&key)? {
            Some(order) => delete(&key, &order, &mut totals)?,
            None => ENDED.remove(at, &key)?,
        }
    }
    TOTALS.set(&totals)
}

/// Deletes an order with its state.
pub fn delete(key: &Key, order: &Order, totals: &mut Totals) -> Result {
    totals.orders = totals.orders.saturating_sub(1);
    totals.bytes = totals.bytes.saturating_sub(order.bytes());
    ORDERS.remove(key)?;
    if let Some(state) = STATES.get(key)? {
        STATES.remove(key)?;
        unschedule(key, state.due)?;
        if !state.has_ended() {
            count_live(key, order.handler(), false, totals)?;
        }
    }
    change_owner(&key.0, totals, |owner| owner.stored = owner.stored.saturating_sub(1))
}

fn unschedule(key: &Key, due: Due) -> Result {
    match due {
        Due::EveryBlock => EVERY_BLOCK.remove(key),
        Due::Block(block) => BLOCKS.remove(block, key),
        Due::Time(time) => TIMES.remove(time, key),
        Due::Ended(time) => ENDED.remove(time, key),
    }
}

/// Writes a state, and moves the order in the index.
pub fn write(key: &Key, handler: Handler, before: Option<&State>, after: &State, totals: &mut Totals) -> Result {
    if before == Some(after) {
        return Ok(());
    }
    if before.map(|state| state.due) != Some(after.due) {
        if let Some(before) = before {
            unschedule(key, before.due)?;
        }
        match after.due {
            Due::EveryBlock => EVERY_BLOCK.set(key, &())?,
            Due::Block(block) => BLOCKS.add(block, key)?,
            Due::Time(time) => TIMES.add(time, key)?,
            Due::Ended(time) => ENDED.add(time, key)?,
        }
    }
    let was_live = before.is_some_and(|state| !state.has_ended());
    if was_live == after.has_ended() {
        count_live(key, handler, !was_live, totals)?;
    }
    STATES.set(key, after)
}

fn count_live(key: &Key, handler: Handler, is_live: bool, totals: &mut Totals) -> Result {
    let count = |number: u64| match is_live {
        true => number.saturating_add(1),
        false => number.saturating_sub(1),
    };
    totals.live = count(totals.live);
    if !handler.is_known() {
        totals.unknown = count(totals.unknown);
    }
    change_owner(&key.0, totals, |owner| {
        let step = |number: u32| match is_live {
            true => number.saturating_add(1),
            false => number.saturating_sub(1),
        };
        owner.live = step(owner.live);
        if !handler.is_known() {
            owner.unknown = step(owner.unknown);
        }
    })
}

/// Changes an owner. An owner without orders and without a root has no record.
pub fn change_owner(address: &Address, totals: &mut Totals, change: impl FnOnce(&mut Owner)) -> Result {
    /// About the bytes of a record.
    const OWNER_BYTES: u64 = 200;

    let before = OWNERS.get(address)?;
    let mut owner = before.clone().unwrap_or_default();
    change(&mut owner);
    let is_empty = owner.stored == 0 && owner.live == 0 && owner.root.is_zero();
    match (&before, is_empty) {
        (None, true) => Ok(()),
        (Some(_), true) => {
            totals.bytes = totals.bytes.saturating_sub(OWNER_BYTES);
            OWNERS.remove(address)
        }
        (before, false) => {
            if before.is_none() {
                totals.bytes = totals.bytes.saturating_add(OWNER_BYTES);
            }
            OWNERS.set(address, &owner)
        }
    }
}
