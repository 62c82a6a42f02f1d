//! Reverts the part of the log that is no longer part of the chain.

use std::sync::Arc;

use nexum_core::source::Position;
use serde_json::value::RawValue;

use super::follower::Follower;
use super::header::{self, Header};
use super::{BLOCKS_PER_BATCH, FollowError};
use crate::error::RequestError;
use crate::rpc::endpoint::{Endpoint, RpcRequest};

/// The depth from which nexum accepts a reorg only if no other endpoint contradicts it. Deeper
/// reorgs are rare on every chain, and syncing or broken nodes are not.
const DEPTH_CHECKED_MIN: u64 = 3;

impl Follower<'_> {
    /// Reverts the log of the head to the newest block, at or below `number`, that it shares with
    /// the chain of `head`. Returns false if that block is the log's own head.
    pub(super) async fn revert(
        &self,
        endpoint: &Arc<Endpoint>,
        number: u64,
        head: &Header,
    ) -> Result<bool, FollowError> {
        let Some(tip) = self.latest.head() else {
            return Ok(false);
        };
        let number = number.min(head.position.number);
        let Some(ancestor) = self.ancestor(endpoint, number, tip).await? else {
            self.doubt(endpoint, tip).await?;
            let theirs = header::numbered(endpoint, number).await?;
            let theirs = theirs.map_or(head.position, |theirs| theirs.position);
            let hash = self.latest.hash_at(theirs.number).unwrap_or(tip.hash);
            let depth = self.source.config.reorg_depth_max.min(tip.number);
            let ours = Position { hash, ..theirs };
            return Err(FollowError::TooDeep { ours, theirs, depth });
        };
        if ancestor == tip {
            return Ok(false);
        }
        let depth = tip.number.saturating_sub(ancestor.number);
        if depth >= DEPTH_CHECKED_MIN {
            self.doubt(endpoint, tip).await?;
        }
        tracing::info!(chain = self.source.chain_id, depth, from = %tip, to = %ancestor, "the chain was reorganised");
        self.source.metrics.reorg_depth_blocks.record(depth as f64);
        self.latest.revert(ancestor);
        Ok(true)
    }

    /// The newest block at or below `number` that the endpoint's chain and the log share. None if
    /// it is too deep.
    async fn ancestor(&self, endpoint: &Endpoint, number: u64, tip: Position) -> Result<Option<Position>, FollowError> {
        let lowest = tip.number.saturating_sub(self.source.config.reorg_depth_max);
        let mut next = number;
        loop {
            let from = next.saturating_sub(BLOCKS_PER_BATCH - 1).max(lowest);
            let numbers: Vec<u64> = (from..=next).rev().collect();
            let headers = header::of_numbers(endpoint, &numbers).await?;
            for header in &headers {
                let Position { number, hash } = header.position;
                match self.latest.hash_at(number) {
                    Some(held) if held == hash => return Ok(Some(header.position)),
                    Some(_) => {}
                    None => return Ok(None),
                }
            }
            if let Some(missing) = numbers.get(headers.len()) {
                // A node that lacks blocks below its head is syncing, and shows nothing about the
                // chain.
                return Err(FollowError::NoBlock(*missing));
            }
            match from.checked_sub(1).filter(|next| *next >= lowest) {
                Some(below) => next = below,
                None => return Ok(None),
            }
        }
    }

    /// Fails if nexum should not trust this endpoint: it is syncing, or another endpoint still has
    /// the log's head.
    async fn doubt(&self, endpoint: &Arc<Endpoint>, tip: Position) -> Result<(), FollowError> {
        let params = RawValue::from_string("[]".to_owned()).map_err(|_| RequestError::Internal)?;
        let syncing: RpcRequest = ("eth_syncing".into(), params);
        // Some endpoints lack the method.
        if endpoint
            .request(&syncing)
            .await
            .is_ok_and(|answer| answer.get() != "false")
        {
            return Err(FollowError::Alone);
        }
        let others = self.source.endpoints.by_preference();
        for other in others.iter().filter(|other| !Arc::ptr_eq(other, endpoint)) {
            if let Ok(Some(block)) = header::numbered(other, tip.number).await {
                return if block.position == tip {
                    Err(FollowError::Alone)
                } else {
                    Ok(())
                };
            }
        }
        Ok(())
    }
}
