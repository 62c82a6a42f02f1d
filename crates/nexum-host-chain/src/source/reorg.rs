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
    /// Reverts the log of the head to the newest block that it has in common with the chain that leads to `theirs`, which is
    /// not in the log. Returns false if that is the log's own head.
    pub(super) async fn revert(&self, endpoint: &Arc<Endpoint>, theirs: &Header) -> Result<bool, FollowError> {
        let Some(tip) = self.latest.head() else {
            return Ok(false);
        };
        let Some(ancestor) = self.ancestor(endpoint, theirs).await? else {
            self.doubt(endpoint, tip).await?;
            let number = tip.number.min(theirs.position.number);
            let other = header::numbered(endpoint, number).await?;
            let theirs = other.map_or(theirs.position, |other| other.position);
            let hash = self.latest.hash_at(theirs.number).unwrap_or(tip.hash);
            let depth = self.source.config.reorg_depth_max.min(tip.number);
            let ours = Position { hash, ..theirs };
            return Err(FollowError::TooDeep { ours, theirs, depth });
        };
        if ancestor == tip {
            return Ok(false);
        }
        let lost = self
            .latest
            .below(tip.number)
            .into_iter()
            .filter(|block| block.number > ancestor.number);
        let depth = lost.count() as u64 + 1;
        if depth >= DEPTH_CHECKED_MIN {
            self.doubt(endpoint, tip).await?;
        }
        tracing::info!(chain = self.source.chain_id, endpoint = endpoint.label(), depth, from = %tip, to = %ancestor, "the chain was reorganised");
        self.source.metrics.reorg_depth_blocks.record(depth as f64);
        self.latest.revert(ancestor);
        Ok(true)
    }

    /// The newest block below `theirs` that the endpoint's chain and the log have in common, if it is not too deep.
    async fn ancestor(&self, endpoint: &Endpoint, theirs: &Header) -> Result<Option<Position>, FollowError> {
        let depth_max = self.source.config.reorg_depth_max;
        let lowest = self.latest.followed_by(depth_max).unwrap_or_default();
        let mut oldest = theirs.clone();
        loop {
            if let Some(common) = self.latest.find(&oldest.parent_hash) {
                return Ok(Some(common).filter(|common| common.number >= lowest));
            }
            let Some(below) = oldest.position.number.checked_sub(1).filter(|below| *below >= lowest) else {
                return Ok(None);
            };
            for header in self.parents(endpoint, &oldest, below, lowest).await? {
                if self.latest.hash_at(header.position.number) == Some(header.position.hash) {
                    return Ok(Some(header.position));
                }
                oldest = header;
            }
        }
    }

    /// The blocks before `oldest`, newest first and each the child of the next, from the number `below` down to `lowest`: as
    /// many as the endpoint gives at once, and at least one.
    async fn parents(
        &self,
        endpoint: &Endpoint,
        oldest: &Header,
        below: u64,
        lowest: u64,
    ) -> Result<Vec<Header>, FollowError> {
        let from = below.saturating_sub(BLOCKS_PER_BATCH - 1).max(lowest);
        let numbers: Vec<u64> = (from..=below).rev().collect();
        let mut parents = header::of_numbers(endpoint, &numbers).await?.headers;
        let children = std::iter::once(oldest).chain(&parents);
        let linked = children.zip(&parents);
        let count = linked
            .take_while(|(child, parent)| child.follows(parent.position))
            .count();
        parents.truncate(count);
        if parents.is_empty() {
            // A node that lacks blocks below its head is syncing. It says nothing about the chain.
            let parent = header::parent_of(endpoint, oldest).await?;
            parents.push(parent.ok_or(FollowError::NoBlock(below))?);
        }
        Ok(parents)
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
