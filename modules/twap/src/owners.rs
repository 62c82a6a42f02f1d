//! The owners of stored orders, in an index of their sizes.

use nexum_sdk::{Address, B256, Result, store};
use serde::{Deserialize, Serialize};

use crate::contracts::Handler;

/// The owners of the stored orders. An owner without stored orders has no record, because records that
/// cost their maker one cheap event would fill the store.
pub const OWNERS: store::Map<Address, Owner> = store::Map::new("owners");

/// The owners by [`Owner::class`], the largest first.
const BY_SIZE: store::Map<(u64, Address), ()> = store::Map::new("owners-by-size");

/// An owner of orders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    /// The number of orders that have not ended.
    pub live: u32,
    /// The number of orders of unknown handlers that have not ended.
    pub unknown: u32,
    /// The number of stored orders, ended ones included.
    pub stored: u32,
    /// About the bytes of the stored orders.
    pub bytes: u64,
    /// The last root, or zero. A root that the owner set before its first stored order is not known.
    pub root: B256,
    /// The block of the last root, and the position of its event among the contract's events in that
    /// block.
    pub root_position: (u64, u32),
    /// The location of the leaves of the root.
    pub location: Option<Location>,
    /// The last guard since the owner's first stored order. `None`: not known.
    pub swap_guard: Option<Address>,
}

/// Where the leaves of a root are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// The owner keeps them.
    Private,
    /// In the event.
    Emitted,
    Swarm,
    Waku,
    Reserved,
    Ipfs,
    Unknown,
}

impl Owner {
    /// The class of an owner's size. All owners of a class have sizes between two powers of two. A
    /// larger owner has a smaller number.
    pub fn class(&self) -> u64 {
        self.bytes.leading_zeros().into()
    }

    /// Counts an order that begins or ends to be live.
    pub fn count_live(&mut self, handler: Handler, is_live: bool) {
        let count = |number: u32| match is_live {
            true => number.saturating_add(1),
            false => number.saturating_sub(1),
        };
        self.live = count(self.live);
        if !handler.is_known() {
            self.unknown = count(self.unknown);
        }
    }
}

/// Changes an owner's record.
pub fn change(address: &Address, change: impl FnOnce(&mut Owner)) -> Result {
    let before = OWNERS.get(address)?;
    let mut after = before.clone().unwrap_or_default();
    change(&mut after);
    write(address, before.as_ref(), &after)
}

/// Writes an owner's record, and moves the owner in the index. The record of an owner without stored
/// orders is deleted.
pub fn write(address: &Address, before: Option<&Owner>, after: &Owner) -> Result {
    let is_stored = after.stored > 0;
    let earlier = before.map(Owner::class);
    let class = is_stored.then(|| after.class());
    if earlier != class {
        if let Some(class) = earlier {
            BY_SIZE.remove(&(class, *address))?;
        }
        if let Some(class) = class {
            BY_SIZE.set(&(class, *address), &())?;
        }
    }
    match is_stored {
        true => OWNERS.set(address, after),
        false => OWNERS.remove(address),
    }
}

/// The owners of a class.
pub fn of_class(class: u64) -> Result<Vec<Address>> {
    let found = BY_SIZE.between(class, class, usize::MAX)?;
    Ok(found.into_iter().map(|(_, owner)| owner).collect())
}
