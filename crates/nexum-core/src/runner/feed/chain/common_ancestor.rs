//! Finds back to the chain, where a module has handled blocks that are not on it any more.

use std::sync::Arc;

use super::{ChainFeed, Next};
use crate::bus::source::{Replay, SourceError};
use crate::event::Position;
use crate::state::{self, Progress};
use crate::store::StoreError;

impl ChainFeed {
    /// The chain was reorganised where the log has not seen it: looks for the newest block that the module knows and that
    /// still is on the chain.
    pub(super) async fn find_back(&mut self, last: Option<Progress>, canonical: Position) -> Next {
        let Some(last) = last else {
            // Nothing was handled, so nothing can be wrong.
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
        match self.find_back_in_store(last.position).await {
            Ok(Some(known)) => Next::Revert(known),
            Ok(None) => Next::Diverged {
                known: last.position,
                canonical,
            },
            Err(failed) => failed,
        }
    }

    /// The newest block before this one, on its own chain, that is still on the chain: as far as the store knows.
    async fn find_back_in_store(&self, last: Position) -> Result<Option<Position>, Next> {
        let (store, module, topic) = (self.store.clone(), self.module, self.topic());
        let read = tokio::task::spawn_blocking(move || {
            let view = &*store.view()?;
            // What was replayed may have been on a fork that the log never saw: then the module's own way leads back.
            let ancestors = state::ancestors(view, topic.chain_id, last)?;
            let passed = state::passed(view, module, topic.into())?;
            Ok(passed
                .into_iter()
                .filter(|passed| passed.number < last.number)
                .chain(ancestors)
                .collect())
        });
        let known: Result<Vec<_>, _> = read.await.unwrap_or_else(|panic| Err(StoreError::backend(panic)));
        for known in known.map_err(Next::Unknown)?.into_iter().rev() {
            if self.is_canonical(known).await.map_err(Next::Failed)? {
                return Ok(Some(known));
            }
        }
        Ok(None)
    }

    /// Whether a block is on the chain now.
    async fn is_canonical(&self, block: Position) -> Result<bool, SourceError> {
        if let Some(hash) = self.log().hash_at(block.number) {
            return Ok(hash == block.hash);
        }
        let wanted = Replay {
            numbers: block.number..=block.number,
            blocks: true,
            filters: Arc::default(),
        };
        Ok(self.followed.source.replay(&wanted).await?.through == block)
    }
}
