//! Room in a full store: the chain with the most orders loses its final orders first, then its smallest.
//! Users with many small orders thus push out each other's, and not those of other chains.

use nexum_sdk::Result;

use super::{BY_STATE, Book, ORDERS, chains};
use crate::order::State;

/// The orders that the first placement of a block removes from a full store. Each list of the store's
/// keys thus makes room for several blocks.
pub const EVICTED_PER_EVENT: usize = 200;

/// The most bytes of the keys that the removal of an order takes.
pub(super) const REMOVAL_BYTES_MAX: usize = 680;

impl Book {
    /// Removes orders from a full store, once in an event.
    pub(super) fn make_room(&mut self) -> Result {
        if std::mem::replace(&mut self.has_made_room, true) {
            return Ok(());
        }
        let mut fullest = (self.chain.stored(), self.chain_id);
        for (chain_id, chain) in chains()? {
            if chain_id != self.chain_id {
                fullest = fullest.max((chain.stored(), chain_id));
            }
        }
        match fullest.1 == self.chain_id {
            true => self.evict(),
            false => {
                let mut other = Self::open(fullest.1, self.keep, self.has_requests)?;
                other.evict()?;
                other.close()
            }
        }
    }

    /// Removes [`EVICTED_PER_EVENT`] orders of the chain.
    fn evict(&mut self) -> Result {
        let mut found = Vec::new();
        for state in State::ALL {
            let keys = BY_STATE.keys_under(&state.number())?.into_iter();
            let of_chain = keys.filter(|(_, _, id)| id.0 == self.chain_id);
            found.extend(of_chain.map(|(_, size, id)| (!state.is_final(), size, id)));
        }
        if found.len() > EVICTED_PER_EVENT {
            found.select_nth_unstable(EVICTED_PER_EVENT);
            found.truncate(EVICTED_PER_EVENT);
        }
        for (is_followed, _, id) in found {
            let Some(order) = ORDERS.get(&id)? else { continue };
            self.remove(&id, &order)?;
            if is_followed {
                self.release(order.sender)?;
                self.drop_order("the store is full, and the order is one of the smallest");
            }
        }
        Ok(())
    }
}
