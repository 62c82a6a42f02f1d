//! The index of the orders by the time at which the module looks at them next.
//!
//! The keys begin with the chain, the hour and the minute. A block lists the keys of its minute, and
//! after a pause those of the minutes and whole hours before it.

use nexum_sdk::{Address, B256, Result, store};

use crate::order::Id;

/// In seconds.
const MINUTE: u64 = 60;
/// In seconds.
const HOUR: u64 = 3_600;

/// The most lists of keys in one event. After a pause of the module, a block walks through the
/// minutes of up to two hours, and 938 whole hours (39 days). It stays far below the limit of 10,000
/// store operations.
pub const LISTS_PER_EVENT: usize = 1_000;

/// The chain and the hour; the minute of the hour; the second, the contract and the digest.
type Key = ((u64, u32), u8, (u8, (Address, B256)));

const TIMES: store::Map<Key, ()> = store::Map::new("times");

/// The orders whose time has come.
#[derive(Debug, Default)]
pub struct Due {
    /// The time and the order, sorted by time.
    pub items: Vec<(u64, Id)>,
    /// The begin of the first minute that can have other keys.
    pub rest_from: u64,
}

/// The begin of the minute of a time.
pub const fn minute(time: u64) -> u64 {
    time - time % MINUTE
}

/// Adds an order.
pub fn add(time: u64, id: &Id) -> Result {
    TIMES.set(&key(time, id), &())
}

/// Removes an order.
pub fn remove(time: u64, id: &Id) -> Result {
    TIMES.remove(&key(time, id))
}

/// The orders of a chain whose time is between `from`, the begin of a minute, and `now`: the first
/// `count` of them.
pub fn list(chain_id: u64, from: u64, now: u64, count: usize) -> Result<Due> {
    let mut due = Due {
        items: Vec::new(),
        rest_from: minute(now),
    };
    let mut at = from;
    for _ in 0..LISTS_PER_EVENT {
        if at > now {
            return Ok(due);
        }
        let hour = (chain_id, hour(at));
        let is_whole_hour = at.is_multiple_of(HOUR) && at + HOUR <= now;
        let (keys, length) = match is_whole_hour {
            true => (TIMES.keys_under(&hour)?, HOUR),
            false => (TIMES.keys_under(&(hour, minute_of_hour(at)))?, MINUTE),
        };
        for key in keys {
            let (time, id) = read(key);
            if time > now {
                break;
            }
            if due.items.len() == count {
                due.rest_from = minute(time);
                return Ok(due);
            }
            due.items.push((time, id));
        }
        at += length;
    }
    due.rest_from = due.rest_from.min(at);
    Ok(due)
}

/// 32 bits of hours are 490,000 years.
fn hour(time: u64) -> u32 {
    u32::try_from(time / HOUR).unwrap_or(u32::MAX)
}

/// The remainders are below 60.
fn minute_of_hour(time: u64) -> u8 {
    (time % HOUR / MINUTE) as u8
}

fn key(time: u64, (chain_id, contract, digest): &Id) -> Key {
    let second = (time % MINUTE) as u8;
    (
        (*chain_id, hour(time)),
        minute_of_hour(time),
        (second, (*contract, *digest)),
    )
}

fn read(((chain_id, hour), minute, (second, (contract, digest))): Key) -> (u64, Id) {
    let time = u64::from(hour) * HOUR + u64::from(minute) * MINUTE + u64::from(second);
    (time, (chain_id, contract, digest))
}
