//! The index of what is due: each order has one place in it, and a change of its state moves it.

use nexum_sdk::{Result, store};

use crate::contracts::Handler;
use crate::owners;
use crate::state::{Due, Key, ORDERS, Order, STATES, State, TOTALS, Totals, totals};

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
    let mut totals = totals()?;
    match delete_ended(if is_nearly_full { u64::MAX } else { now }, count, &mut totals)? {
        0 => Ok(()),
        _ => TOTALS.set(&totals),
    }
}

/// Deletes the orders whose records end by a time, at most `count`. Returns their number.
pub fn delete_ended(by: u64, count: usize, totals: &mut Totals) -> Result<usize> {
    let due = ENDED.due(by, count)?;
    for (at, key) in &due {
        match ORDERS.get(key)? {
            Some(order) => delete(key, &order, totals)?,
            None => ENDED.remove(*at, key)?,
        }
    }
    Ok(due.len())
}

/// Deletes an order with its state.
pub fn delete(key: &Key, order: &Order, totals: &mut Totals) -> Result {
    totals.orders = totals.orders.saturating_sub(1);
    totals.bytes = totals.bytes.saturating_sub(order.bytes());
    ORDERS.remove(key)?;
    let state = STATES.get(key)?;
    let is_live = state.as_ref().is_some_and(|state| !state.has_ended());
    if let Some(state) = state {
        STATES.remove(key)?;
        unschedule(key, state.due)?;
    }
    if is_live {
        totals.count_live(order.handler(), false);
    }
    owners::change(&key.0, |owner| {
        owner.stored = owner.stored.saturating_sub(1);
        owner.bytes = owner.bytes.saturating_sub(order.bytes());
        if is_live {
            owner.count_live(order.handler(), false);
        }
    })
}

fn unschedule(key: &Key, due: Due) -> Result {
    match due {
        Due::EveryBlock => EVERY_BLOCK.remove(key),
        Due::Block(block) => BLOCKS.remove(block, key),
        Due::Time(time) => TIMES.remove(time, key),
        Due::Ended(time) => ENDED.remove(time, key),
    }
}

/// Writes a state, moves the order in the index, and counts the order if it ends or is live again.
pub fn write(key: &Key, handler: Handler, before: Option<&State>, after: &State, totals: &mut Totals) -> Result {
    if before == Some(after) {
        return Ok(());
    }
    let was_live = before.is_some_and(|state| !state.has_ended());
    if was_live == after.has_ended() {
        totals.count_live(handler, !was_live);
        owners::change(&key.0, |owner| owner.count_live(handler, !was_live))?;
    }
    record(key, before, after)
}

/// Writes a state, and moves the order in the index.
pub fn record(key: &Key, before: Option<&State>, after: &State) -> Result {
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
    STATES.set(key, after)
}
