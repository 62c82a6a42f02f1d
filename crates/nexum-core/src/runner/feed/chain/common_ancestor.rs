//! Finds the common ancestor of the canonical chain and a module's blocks, after a reorganisation.

use std::sync::Arc;

use super::{ChainFeed, Next};
use crate::bus::source::{Replay, SourceError};
use crate::event::Position;
use crate::state::{self, Progress};
use crate::store::{self, StateStore};

impl ChainFeed {
    /// Finds the newest block that the module knows and that is still canonical, after a
    /// reorganisation that the log did not record.
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
        match self.common_ancestor_in_store(last.position).await {
            Ok(Some(known)) => Next::Revert(known),
            Ok(None) => Next::Diverged {
                known: last.position,
                canonical,
            },
            Err(failed) => failed,
        }
    }

    /// Finds the newest stored block before this one, on its chain, that is still canonical.
    async fn common_ancestor_in_store(&self, last: Position) -> Result<Option<Position>, Next> {
        let (module, topic) = (self.module, self.topic());
        let known = move |store: &dyn StateStore| {
            let view = &*store.view()?;
            // The replayed blocks may be on a fork that the log never recorded. Then only the
            // module's own positions lead back.
            let ancestors = state::ancestors(view, topic.chain_id, last)?;
            let passed = state::passed(view, module, topic.into())?;
            Ok(passed
                .into_iter()
                .filter(|passed| passed.number < last.number)
                .chain(ancestors)
                .collect::<Vec<_>>())
        };
        let known = store::blocking(&self.store, known).await.map_err(Next::Unknown)?;
        for known in known.into_iter().rev() {
            if self.is_canonical(known).await.map_err(Next::Failed)? {
                return Ok(Some(known));
            }
        }
        Ok(None)
    }

    /// Whether a block is canonical now.
    async fn is_canonical(&self, block: Position) -> Result<bool, SourceError> {
        if let Some(canonical) = self.log().at_or_below(block.number) {
            return Ok(canonical == block);
        }
        let wanted = Replay {
            numbers: block.number..=block.number,
            blocks: true,
            filters: Arc::default(),
        };
        Ok(self.followed.source.replay(&wanted).await?.through == block)
    }
}
