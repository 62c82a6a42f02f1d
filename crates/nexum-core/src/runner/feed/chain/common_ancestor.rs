//! Finds the common ancestor of the canonical chain and a module's blocks, after a reorganisation.

use std::sync::Arc;

use super::{ChainFeed, Next};
use crate::bus::source::{Replay, SourceError};
use crate::event::Position;
use crate::state::{self, Progress};
use crate::store::{self, StateStore, StoreError};

impl ChainFeed {
    /// Finds the newest block that the module knows and that is still canonical, after a
    /// reorganisation that the log did not record. A module none of whose blocks is canonical starts
    /// again, if all of its events can be reverted.
    pub(super) async fn common_ancestor(&mut self, last: Option<Progress>, canonical: Position) -> Next {
        let Some(last) = last else {
            // The module has handled no block, so no block is wrong.
            return Next::Pending;
        };
        while let Some(known) = self.trail.pop_back() {
            if known.number >= last.position.number {
                continue;
            }
            match self.is_canonical(known).await {
                Ok(true) => return Next::Revert(known),
                Ok(false) => {}
                Err(error) => {
                    self.trail.push_back(known);
                    return Next::Failed(error);
                }
            }
        }
        let found = match self.known_in_store(last.position).await {
            Ok(known) => self.newest_canonical(known, last.position).await,
            Err(error) => return Next::Unknown(error),
        };
        match found {
            Ok(Some(to)) => Next::Revert(to),
            Ok(None) => Next::Diverged {
                known: last.position,
                canonical,
            },
            Err(error) => Next::Failed(error),
        }
    }

    /// Reads the blocks that the store knows before this one.
    async fn known_in_store(&self, last: Position) -> Result<Known, StoreError> {
        let (module, topic) = (self.module, self.topic());
        let read = move |store: &dyn StateStore| {
            let view = &*store.view()?;
            // The replayed blocks may be on a fork that the log never recorded. Then only the
            // module's own positions lead back.
            let ancestors = state::ancestors(view, topic.chain_id, last)?;
            let passed = state::passed(view, module, topic.into())?;
            let passed = passed.into_iter().filter(|passed| passed.number < last.number);
            Ok(Known {
                blocks: passed.chain(ancestors).collect(),
                reaches_first_event: state::reaches_first_event(view, module, topic.into())?,
            })
        };
        store::blocking(&self.store, read).await
    }

    /// The newest of the known blocks that is canonical. If none is and all events can be reverted,
    /// the canonical block before the module's first one.
    async fn newest_canonical(&self, known: Known, last: Position) -> Result<Option<Position>, SourceError> {
        for &known in known.blocks.iter().rev() {
            if self.is_canonical(known).await? {
                return Ok(Some(known));
            }
        }
        let Some(live_from) = self.live_from.filter(|_| known.reaches_first_event) else {
            return Ok(None);
        };
        // The genesis block is the same on every fork. If the module starts with it, the next block is the first one
        // that a reorganisation can replace.
        let start = self.subscriptions.first(live_from).saturating_sub(1);
        let is_before_all = known.blocks.iter().chain([&last]).all(|known| known.number > start);
        if !is_before_all {
            return Ok(None);
        }
        self.canonical_at(start).await.map(Some)
    }

    /// Whether a block is canonical now.
    async fn is_canonical(&self, block: Position) -> Result<bool, SourceError> {
        Ok(self.canonical_at(block.number).await? == block)
    }

    /// The canonical block at a number, or the newest one below that the log knows.
    async fn canonical_at(&self, number: u64) -> Result<Position, SourceError> {
        if let Some(canonical) = self.log().at_or_below(number) {
            return Ok(canonical);
        }
        let wanted = Replay {
            numbers: number..=number,
            blocks: true,
            filters: Arc::default(),
        };
        Ok(self.followed.source.replay(&wanted).await?.through)
    }
}

/// The content of the store about a chain.
struct Known {
    /// Blocks on the module's chain. The newest is usually the last one.
    blocks: Vec<Position>,
    /// Whether the undo records reach back to the module's first event of the chain.
    reaches_first_event: bool,
}
