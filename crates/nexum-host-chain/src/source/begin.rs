//! The first blocks of a log.

use std::sync::Arc;

use nexum_core::source::Position;

use super::follower::{Follower, Step};
use super::header::{self, Header};
use super::{BLOCKS_PER_BATCH, FollowError, Purpose};
use crate::rpc::endpoint::Endpoint;

impl Follower<'_> {
    /// Starts the log with a head, after as many earlier blocks as a reorg may revert: modules may
    /// know these blocks.
    pub(super) async fn begin(&self, endpoint: &Arc<Endpoint>, head: &Header) -> Result<Step, FollowError> {
        let known = self.known(endpoint, head).await?;
        // Reads before it changes anything, so that a failure leaves the log empty.
        let blocks = self
            .source
            .with_logs(endpoint, vec![head.clone()], &self.filters, Purpose::Follow)
            .await?;
        self.latest.seed(&known);
        for block in blocks {
            self.source.condition.appended(&block);
            self.latest.append_from(self.origin.clone(), block);
        }
        Ok(Step::Done)
    }

    /// The blocks before a head, oldest first: as many as a reorganisation may revert. The last one is the head's parent, and the
    /// endpoints agree about a gap between the two.
    async fn known(&self, endpoint: &Arc<Endpoint>, head: &Header) -> Result<Vec<Position>, FollowError> {
        let depth = self.source.config.reorg_depth_max.min(head.position.number);
        let start = head.position.number - depth;
        let mut known: Vec<Position> = Vec::new();
        let mut next = start;
        while next < head.position.number && !known.last().is_some_and(|last| head.follows(*last)) {
            let to = head.position.number - 1;
            let headers = match known.last() {
                Some(last) => self.source.chain_after(endpoint, *last, to).await?,
                None => header::chain_of(endpoint, None, next..=to).await?,
            };
            let follows = |first: &Header| known.last().is_none_or(|last| first.follows(*last));
            match headers.first() {
                None if known.is_empty() => next = next.saturating_add(BLOCKS_PER_BATCH),
                None => return Err(FollowError::NoBlock(next)),
                Some(first) if !follows(first) => return Err(FollowError::Unsettled),
                Some(first) => {
                    // A node that is behind has none of the newest blocks: the history would be too short for a reorganisation.
                    if known.is_empty()
                        && next > start
                        && let Some(parent) = header::parent_of(endpoint, first).await?
                    {
                        check_below(&parent, start)?;
                    }
                    known.extend(headers.iter().map(|header| header.position));
                    next = known.last().map_or(next, |last| last.number + 1);
                }
            }
        }
        match known.last() {
            Some(last) if !head.follows(*last) => return Err(FollowError::Unsettled),
            None if depth > 0 => {
                let parent = header::parent_of(endpoint, head).await?;
                let parent = parent.ok_or(FollowError::NoBlock(start))?;
                check_below(&parent, start)?;
                known.push(parent.position);
            }
            _ => {}
        }
        if let Some(parent) = known.last() {
            let head = std::slice::from_ref(head);
            self.source.confirm_gaps(endpoint, *parent, head).await?;
        }
        Ok(known)
    }
}

/// Fails if this block has a number from `start` on, and so is one that the endpoint did not give by its number.
fn check_below(block: &Header, start: u64) -> Result<(), FollowError> {
    match block.position.number {
        number if number < start => Ok(()),
        number => Err(FollowError::NoBlock(number)),
    }
}
