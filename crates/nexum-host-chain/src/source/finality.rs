//! Follows the head at a distance, for modules that subscribe to final blocks.

use std::ops::RangeInclusive;
use std::sync::Arc;

use nexum_config::topic::Finality;
use nexum_core::source::EventLog;
use nexum_core::source::{Advance, BlockHash, Position};

use super::follower::Follower;
use super::header::{self, Header};
use super::{FollowError, Purpose};
use crate::error::RequestError;
use crate::rpc::endpoint::Endpoint;

impl Follower<'_> {
    /// Advances every log except the log of the head.
    pub(super) async fn settle(&mut self, endpoint: &Arc<Endpoint>) -> Result<(), FollowError> {
        let Some(tip) = self.latest.head() else { return Ok(()) };
        for log in &self.logs.all() {
            let settled = match log.topic().finality {
                Finality::Latest => continue,
                Finality::Confirmations(count) => tip.number.checked_sub(count.get()),
                Finality::Safe => self.tagged(endpoint, "safe").await?,
                Finality::Finalized => self.tagged(endpoint, "finalized").await?,
            };
            match settled {
                Some(settled) if settled <= tip.number => self.bring(endpoint, log, settled).await?,
                // No block is final yet, or the endpoint is ahead of the head that it returned.
                _ => {}
            }
        }
        Ok(())
    }

    /// The number of the block with this tag, from the endpoint or, if it refuses, from another
    /// one. If all refuse, or there is no block yet, only the logs that follow the tag wait.
    async fn tagged(&mut self, endpoint: &Arc<Endpoint>, tag: &'static str) -> Result<Option<u64>, FollowError> {
        let number = |header: Header| header.position.number;
        let said = match header::tagged(endpoint, tag).await {
            Err(error) if is_answered(&error) => error.to_string(),
            Err(error) => return Err(error),
            Ok(Some(header)) => return Ok(Some(number(header))),
            // Nodes of a chain without this tag, or of a young chain, answer so.
            Ok(None) => "it has no block for the tag".to_owned(),
        };
        let others = self.source.endpoints.by_preference();
        for other in others.iter().filter(|other| !Arc::ptr_eq(other, endpoint)) {
            if let Ok(Some(header)) = header::tagged(other, tag).await {
                return Ok(Some(number(header)));
            }
        }
        if self.untagged.insert(tag) {
            let (chain, endpoint) = (self.source.chain_id, endpoint.label());
            tracing::warn!(
                chain,
                endpoint,
                tag,
                error = said,
                "no endpoint says how far the chain is final: modules with this finality wait"
            );
        }
        Ok(None)
    }

    /// Advances a log to the canonical block of this number.
    async fn bring(&self, endpoint: &Arc<Endpoint>, log: &EventLog, to: u64) -> Result<(), FollowError> {
        match log.head() {
            Some(head) => self.revert_settled(endpoint, log, head).await?,
            None => log.seed(&self.known_before(to)),
        }
        loop {
            let head = log.head();
            let next = head.map_or(to, |head| head.number.saturating_add(1));
            if next > to {
                return Ok(());
            }
            let blocks = self.settled_blocks(endpoint, next..=to).await?;
            let follows = |head: Position| blocks.first().is_some_and(|first| first.parent_hash == head.hash);
            if blocks.is_empty() || !head.is_none_or(follows) {
                return Err(FollowError::Unsettled);
            }
            blocks.into_iter().for_each(|block| log.append(block));
        }
    }

    /// The consecutive blocks before this number that the log of the head knows.
    fn known_before(&self, number: u64) -> Vec<Position> {
        let known = (0..number).rev().map_while(|number| {
            let hash = self.latest.hash_at(number)?;
            Some(Position { number, hash })
        });
        let mut known: Vec<_> = known.collect();
        known.reverse();
        known
    }

    /// Canonical blocks from the start of this range: from the log of the head or, if it no longer
    /// has them, from the endpoint.
    async fn settled_blocks(
        &self,
        endpoint: &Arc<Endpoint>,
        numbers: RangeInclusive<u64>,
    ) -> Result<Vec<Arc<Advance>>, FollowError> {
        let held: Vec<_> = numbers
            .clone()
            .map_while(|number| self.latest.block_at(number))
            .collect();
        if !held.is_empty() {
            return Ok(held);
        }
        let headers = header::chain_of(endpoint, numbers).await?;
        let purpose = Purpose::Follow;
        self.source.with_logs(endpoint, headers, &self.filters, purpose).await
    }

    /// Reverts blocks that counted as final and are no longer part of the chain.
    async fn revert_settled(&self, endpoint: &Endpoint, log: &EventLog, head: Position) -> Result<(), FollowError> {
        let depth = self.source.config.reorg_depth_max;
        let lowest = head.number.saturating_sub(depth);
        let mut number = head.number;
        loop {
            let held = log.hash_at(number);
            let canonical = self.canonical(endpoint, number).await?;
            match canonical {
                Some(hash) if held == Some(hash) && number == head.number => return Ok(()),
                Some(hash) if held == Some(hash) => {
                    let to = Position { number, hash };
                    tracing::info!(chain = %log.topic(), from = %head, to = %to, "final blocks were reorganised");
                    log.revert(to);
                    return Ok(());
                }
                _ => {}
            }
            match number.checked_sub(1).filter(|below| *below >= lowest && held.is_some()) {
                Some(below) => number = below,
                None => {
                    let theirs = Position {
                        number,
                        hash: canonical.unwrap_or_default(),
                    };
                    let hash = held.unwrap_or_default();
                    return Err(FollowError::TooDeep {
                        ours: Position { number, hash },
                        theirs,
                        depth,
                    });
                }
            }
        }
    }

    async fn canonical(&self, endpoint: &Endpoint, number: u64) -> Result<Option<BlockHash>, FollowError> {
        let tip = self.latest.head();
        match self.latest.hash_at(number) {
            Some(hash) => Ok(Some(hash)),
            None if tip.is_some_and(|tip| number > tip.number) => Ok(None),
            None => {
                let header = header::numbered(endpoint, number).await?;
                Ok(header.map(|header| header.position.hash))
            }
        }
    }
}

/// Whether the endpoint has answered, also with an error that says that it does not know the tag.
fn is_answered(error: &FollowError) -> bool {
    let answered = |error: &RequestError| matches!(error, RequestError::Answer { .. }) && !error.is_rate_limit();
    error.is_refusal() || error.request().is_some_and(answered)
}
