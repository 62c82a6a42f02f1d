//! The events and leaves that are not stored, with their reasons.

use nexum_sdk::{Address, B256, Result, store};
use serde::{Deserialize, Serialize};

use crate::owners::Location;

/// The groups of owners. An owner's events replace only those of its group, so that one sender cannot
/// replace all records.
const GROUPS: u64 = 128;

/// The records of a group. All groups have 2,048 records: a fifth of the operations of the store that
/// nexum allows to one answer by default.
const GROUP_LEN: u64 = 16;

/// The records of one answer.
const SHOWN_MAX: usize = 100;

/// The last events of each group, by the group and the place in the group.
const SKIPPED: store::Map<(u64, u64), Skipped> = store::Map::new("skipped");

/// The number of events of each group.
const COUNTS: store::Map<u64, u64> = store::Map::new("skipped-counts");

/// Why an event, or a leaf of an event, is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// The data is not the event's, or not a list of leaves.
    Undecodable,
    InputTooLarge,
    /// A leaf has no proof, as in a tree of one leaf, or too long a one.
    UnusableProof,
    /// The leaves of a root are not in its event.
    LeavesElsewhere,
    /// The last second of the order is over.
    Over,
    TooManyOfOwner,
    TooManyOfUnknownHandlers,
    /// The store has no room, or the room went to smaller owners.
    StoreFull,
    Policy,
    /// The events of one block are too large to be read in parts.
    BlockTooLarge,
    /// The node does not have the event any more.
    EventMissing,
}

/// An event that is not stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// The number of events that were skipped before.
    pub number: u64,
    pub owner: Address,
    /// The id of the order, or the root.
    pub id: B256,
    pub transaction: B256,
    pub block: u64,
    pub reason: Skip,
    /// Where the leaves of a root are.
    pub location: Option<Location>,
}

/// Stores a record in the place of the oldest one of its group.
pub fn note(skipped: &Skipped) -> Result {
    let group = group(&skipped.owner);
    let count = COUNTS.update(&group, |count| {
        *count = count.saturating_add(1);
        *count
    })?;
    SKIPPED.set(&(group, count % GROUP_LEN), skipped)
}

/// The last events, the oldest first.
pub fn last(owner: Option<Address>, id: Option<B256>) -> Result<Vec<Skipped>> {
    let entries = match owner {
        Some(owner) => SKIPPED.under(&group(&owner))?,
        None => SKIPPED.iter()?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let (_, skipped) = entry?;
        if owner.is_none_or(|owner| owner == skipped.owner) && id.is_none_or(|id| id == skipped.id) {
            found.push(skipped);
        }
    }
    found.sort_unstable_by_key(|skipped| skipped.number);
    Ok(found.split_off(found.len().saturating_sub(SHOWN_MAX)))
}

fn group(owner: &Address) -> u64 {
    let [.., last] = owner.into_array();
    u64::from(last) % GROUPS
}
