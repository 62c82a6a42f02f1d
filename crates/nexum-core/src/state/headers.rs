//! The recent headers of the chains, with which a module finds the common ancestor after a
//! reorganisation that happened while nexum was off.
//!
//! A row maps a block's number and hash to its parent's hash, or to an empty value if the parent is
//! unknown. So the store has both sides of a fork, because a module may have followed the side that
//! lost.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;

use nexum_config::topic::ChainId;
use parking_lot::Mutex;

use super::rows;
use crate::event::{BlockHash, Position};
use crate::store::committer::Lazy;
use crate::store::{StoreError, View};

/// The most headers of a chain: twice the deepest reorganisation.
const HEADERS_MAX: usize = 2_048;

/// Stores a chain's headers, together with the next transaction.
#[derive(Debug)]
pub(crate) struct HeaderStore {
    chain_id: ChainId,
    rows: Lazy,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The keys of the stored headers, oldest first.
    order: VecDeque<Vec<u8>>,
    known: HashSet<Vec<u8>>,
}

impl HeaderStore {
    /// Loads the stored headers of a chain.
    pub(crate) fn load(view: &dyn View, chain_id: ChainId, rows: Lazy) -> Result<Self, StoreError> {
        let mut kept = Kept::default();
        rows::scan(view, &rows::headers(chain_id), &mut |key, _| {
            kept.order.push_back(key.to_vec());
            kept.known.insert(key.to_vec());
            ControlFlow::Continue(())
        })?;
        Ok(Self {
            chain_id,
            rows,
            kept: Mutex::new(kept),
        })
    }

    /// Adds blocks, each the child of the block before it.
    pub(crate) fn seed(&self, known: &[Position]) {
        let parents = std::iter::once(None).chain(known.iter().map(|position| Some(position.hash)));
        known
            .iter()
            .zip(parents)
            .for_each(|(position, parent)| self.append(*position, parent));
    }

    /// Adds a block, with the hash of its parent if that is known.
    pub(crate) fn append(&self, position: Position, parent: Option<BlockHash>) {
        let key = rows::header(self.chain_id, position);
        let mut kept = self.kept.lock();
        if !kept.known.insert(key.clone()) {
            return;
        }
        kept.order.push_back(key.clone());
        self.rows.put(key, Some(parent.map_or(Vec::new(), Vec::from)));
        while kept.order.len() > HEADERS_MAX {
            if let Some(oldest) = kept.order.pop_front() {
                kept.known.remove(&oldest);
                self.rows.put(oldest, None);
            }
        }
    }
}

/// The stored ancestors of `last`, oldest first.
pub(crate) fn ancestors(view: &dyn View, chain_id: ChainId, last: Position) -> Result<Vec<Position>, StoreError> {
    let numbers = numbers(view, chain_id)?;
    let mut ancestors = Vec::new();
    let mut at = last;
    while ancestors.len() < HEADERS_MAX
        && let Some(below) = at.number.checked_sub(1)
        && let Some(parent) = view.get(&rows::header(chain_id, at))?
    {
        if parent.is_empty() {
            break;
        }
        let hash = rows::hash(&parent)?;
        // The oldest parent has no row. Its number is a guess, which the caller checks with its hash.
        let number = numbers.get(&hash).copied().filter(|number| *number <= below);
        at = Position {
            number: number.unwrap_or(below),
            hash,
        };
        ancestors.push(at);
    }
    ancestors.reverse();
    Ok(ancestors)
}

/// The numbers of the stored blocks. A row has the hash of the parent, but not its number.
fn numbers(view: &dyn View, chain_id: ChainId) -> Result<HashMap<BlockHash, u64>, StoreError> {
    let mut numbers = HashMap::new();
    let mut damaged = None;
    rows::scan(
        view,
        &rows::headers(chain_id),
        &mut |key, _| match rows::block_of(key) {
            Ok((_, position)) => {
                numbers.insert(position.hash, position.number);
                ControlFlow::Continue(())
            }
            Err(error) => {
                damaged = Some(error);
                ControlFlow::Break(())
            }
        },
    )?;
    damaged.map_or(Ok(numbers), Err)
}
