//! The blocks that a chain's log has seen lately, kept so that a module finds back to the chain when it was reorganised while
//! nobody looked.
//!
//! A header is stored under its number and hash with its parent's hash, or nothing where that is not known, so that both sides of a fork are there: a module may
//! have been on the one that was lost.

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use nexum_config::topic::ChainId;

use super::rows;
use crate::event::{BlockHash, Position};
use crate::store::committer::Lazy;
use crate::store::{StoreError, View};

/// How many headers of a chain are kept: twice what a reorganisation may take back at most.
const HEADERS_MAX: usize = 2_048;

/// Has a chain's headers stored, with the next transaction that there is.
#[derive(Debug)]
pub(crate) struct Headers {
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

impl Headers {
    /// The headers of a chain of which the store has some already.
    pub(crate) fn load(view: &dyn View, chain_id: ChainId, rows: Lazy) -> Result<Self, StoreError> {
        let mut kept = Kept::default();
        rows::scan(view, &rows::headers(chain_id), None, &mut |key, _| {
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

    /// Takes note of blocks of which each is the child of the one before.
    pub(crate) fn seed(&self, known: &[Position]) {
        let parents = std::iter::once(None).chain(known.iter().map(|position| Some(position.hash)));
        known
            .iter()
            .zip(parents)
            .for_each(|(position, parent)| self.append(*position, parent));
    }

    /// Takes note of a block, and of its parent if that is known.
    pub(crate) fn append(&self, position: Position, parent: Option<BlockHash>) {
        let key = rows::header(self.chain_id, position);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
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

/// The blocks before `last` on its own chain, oldest first, as far as they are stored.
pub(crate) fn ancestors(view: &dyn View, chain_id: ChainId, last: Position) -> Result<Vec<Position>, StoreError> {
    let mut ancestors = Vec::new();
    let mut at = last;
    while ancestors.len() < HEADERS_MAX
        && let Some(number) = at.number.checked_sub(1)
        && let Some(parent) = view.get(&rows::header(chain_id, at))?
    {
        if parent.is_empty() {
            break;
        }
        let hash = rows::hash(&parent)?;
        at = Position { number, hash };
        ancestors.push(at);
    }
    ancestors.reverse();
    Ok(ancestors)
}
