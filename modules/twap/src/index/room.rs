//! Which orders are stored: the bounds of each owner, and the room of all.
//!
//! A full store takes the room for an order from an owner that is larger than the order's owner. A sender
//! of many orders cannot use up the room of smaller owners.

use nexum_sdk::{Address, Chain, Result};

use super::{DELETE_OPERATIONS, Indexer, KEY_BYTES};
use crate::agenda;
use crate::contracts::Handler;
use crate::owners::{self, OWNERS, Owner};
use crate::policy::Action;
use crate::schedule::{Twap, last_second};
use crate::skipped::Skip;
use crate::state::{Key, ORDERS, Order};

/// How long an order is over before its event is skipped, in seconds. The clocks of the host and of the
/// chain differ.
const OVER_SECONDS: u64 = 86_400;

/// The ended orders that are deleted at once for room.
const ENDED_AT_ONCE: usize = 50;

/// The operations to search for an order to delete.
const SEARCH_OPERATIONS: u32 = 30;

/// The owners that are larger than others.
#[derive(Default)]
pub(super) struct Largest {
    class: u64,
    owners: Vec<Address>,
}

impl Indexer<'_> {
    /// Why an order is not stored, if there is room. `is_live`: it is stored already, and has not ended.
    pub(super) async fn refusal(
        &mut self,
        key: &Key,
        order: &Order,
        owner: Option<&Owner>,
        is_live: bool,
    ) -> Option<Skip> {
        let settings = self.settings;
        if order.input.len() > settings.static_input_bytes_max {
            return Some(Skip::InputTooLarge);
        }
        if settings.action(key, order) == Action::Drop {
            return Some(Skip::Policy);
        }
        if is_live {
            return None;
        }
        if self.is_over(order, owner).await {
            return Some(Skip::Over);
        }
        let (live, unknown) = owner.map_or((0, 0), |owner| (owner.live, owner.unknown));
        if live >= settings.orders_per_owner_max {
            return Some(Skip::TooManyOfOwner);
        }
        if order.handler().is_known() {
            return None;
        }
        if self.totals.unknown >= settings.unknown_orders_max || unknown >= settings.unknown_per_owner_max {
            return Some(Skip::TooManyOfUnknownHandlers);
        }
        // Four fifths: the rest is for known handlers.
        let is_nearly_full = self.totals.bytes > settings.stored_bytes_max / 5 * 4;
        is_nearly_full.then_some(Skip::StoreFull)
    }

    /// Whether the last second of an order is over. Orders of the past arrive before the first block, and
    /// would use up the room of later ones.
    async fn is_over(&mut self, order: &Order, owner: Option<&Owner>) -> bool {
        let handler = order.handler();
        let end = match last_second(handler, &order.input) {
            None if handler == Handler::Twap && self.is_room_scarce(owner) => self.end_of_context(order).await,
            end => end,
        };
        end.is_some_and(|end| end.saturating_add(OVER_SECONDS) < self.now)
    }

    /// Whether half of a bound is used.
    fn is_room_scarce(&self, owner: Option<&Owner>) -> bool {
        let live = owner.map_or(0, |owner| owner.live);
        live >= self.settings.orders_per_owner_max / 2 || self.totals.bytes >= self.settings.stored_bytes_max / 2
    }

    /// The last second of a TWAP that starts at the block of its event.
    async fn end_of_context(&mut self, order: &Order) -> Option<u64> {
        let twap = Twap::read(&order.input)?;
        let start = match self.block_time {
            Some((block, time)) if block == order.block => time,
            _ => {
                self.used.requests += 1;
                let header = Chain::new(self.settings.chain_id).at(order.block).header().await;
                let time = header.ok().flatten().map(|header| header.timestamp_seconds);
                self.block_time = Some((order.block, time));
                time
            }
        };
        twap.end(start?).checked_sub(1)
    }

    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.totals.bytes.saturating_add(bytes) <= self.settings.stored_bytes_max
    }

    /// Makes room for an order of an owner of a class: deletes ended orders, then orders of larger owners.
    /// Returns `false` if no owner is larger.
    pub(super) fn make_room(&mut self, class: u64, bytes: u64) -> Result<bool> {
        while !self.has_room(bytes) {
            self.used.operations += SEARCH_OPERATIONS;
            let deleted = agenda::delete_ended(u64::MAX, ENDED_AT_ONCE, &mut self.totals)?;
            if deleted == 0 {
                let Some(owner) = self.larger(class)? else {
                    return Ok(false);
                };
                self.evict(owner, class, bytes)?;
            }
            for _ in 0..deleted {
                self.used.operations += DELETE_OPERATIONS;
                self.used.read_bytes += KEY_BYTES;
            }
        }
        Ok(true)
    }

    /// An owner that is larger than a class.
    fn larger(&mut self, class: u64) -> Result<Option<Address>> {
        let first = u64::from(self.settings.stored_bytes_max.leading_zeros());
        let mut next = first;
        while self.largest.owners.is_empty() && next < class {
            let owners = owners::of_class(next)?;
            self.used.read_bytes += owners.len() as u64 * KEY_BYTES;
            self.largest = Largest { class: next, owners };
            next += 1;
        }
        match self.largest.class < class {
            true => Ok(self.largest.owners.pop()),
            false => Ok(None),
        }
    }

    /// Deletes orders of an owner until there is room, or until the owner is not larger than a class.
    fn evict(&mut self, owner: Address, class: u64, bytes: u64) -> Result {
        let Some(mut record) = OWNERS.get(&owner)? else {
            return Ok(());
        };
        let keys = ORDERS.keys_under(&owner)?;
        self.used.read_bytes += keys.len() as u64 * KEY_BYTES;
        for key in keys.iter().rev() {
            if self.has_room(bytes) || record.class() >= class {
                break;
            }
            let Some(order) = ORDERS.get(key)? else { continue };
            self.used.operations += DELETE_OPERATIONS;
            self.used.bytes += order.bytes();
            record.bytes = record.bytes.saturating_sub(order.bytes());
            agenda::delete(key, &order, &mut self.totals)?;
            self.skip(Skip::StoreFull, owner, key.2, (order.transaction, order.block))?;
        }
        Ok(())
    }
}
