//! Follows the head at a distance, for modules that subscribe to final blocks.

use std::sync::Arc;

use nexum_config::topic::Finality;
use nexum_core::source::EventLog;
use nexum_core::source::{Advance, BlockHash, Position};

use super::follower::Follower;
use super::header::{self, Header};
use super::{FollowError, Purpose};
use crate::rpc::endpoint::Endpoint;

impl Follower<'_> {
    /// Advances every log except the log of the head.
    pub(super) async fn settle(&mut self, endpoint: &Arc<Endpoint>) -> Result<(), FollowError> {
        let Some(tip) = self.latest.head() else { return Ok(()) };
        for log in &self.logs.all() {
            let settled = match log.topic().finality {
                Finality::Latest => continue,
                Finality::Confirmations(count) => self.latest.followed_by(count.get()),
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
            Err(error) if error.is_answered() => error.to_string(),
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

    /// Brings a log to the canonical block of this number, or to the newest one below it.
    async fn bring(&self, endpoint: &Arc<Endpoint>, log: &EventLog, to: u64) -> Result<(), FollowError> {
        match log.head() {
            Some(head) => self.revert_settled(endpoint, log, head).await?,
            None => self.begin_settled(endpoint, log, to).await?,
        }
        while let Some(head) = log.head().filter(|head| head.number < to) {
            let blocks = self.settled_blocks(endpoint, head, to).await?;
            match blocks.first() {
                None => return Ok(()),
                Some(first) if first.parent_hash != head.hash => return Err(FollowError::Unsettled),
                Some(_) => blocks
                    .into_iter()
                    .for_each(|block| log.append_from(self.origin.clone(), block)),
            }
        }
        Ok(())
    }

    /// Begins a log with the canonical block of this number, or with the newest one below it.
    async fn begin_settled(&self, endpoint: &Arc<Endpoint>, log: &EventLog, to: u64) -> Result<(), FollowError> {
        let held = self.latest.at_or_below(to);
        let number = held.map_or(to, |held| held.number);
        let mut blocks = self.latest.blocks(number..=number);
        if blocks.is_empty() {
            let header = match header::numbered(endpoint, number).await? {
                Some(header) => header,
                None => match self.source.gap_around(endpoint, number).await? {
                    Some(gap) => gap.below,
                    None => return Err(FollowError::NoBlock(number)),
                },
            };
            if held.is_some_and(|held| held != header.position) {
                return Err(FollowError::Unsettled);
            }
            blocks = self.with_logs(endpoint, vec![header]).await?;
        }
        log.seed(&self.latest.below(number));
        blocks
            .into_iter()
            .for_each(|block| log.append_from(self.origin.clone(), block));
        Ok(())
    }

    /// Canonical blocks after `head`, up to the number `to`: those that the log of the head still holds, or else what the
    /// endpoint has. Empty if there is none yet.
    async fn settled_blocks(
        &self,
        endpoint: &Arc<Endpoint>,
        head: Position,
        to: u64,
    ) -> Result<Vec<Arc<Advance>>, FollowError> {
        let held = self.latest.blocks(head.number.saturating_add(1)..=to);
        let is_child = |first: &Arc<Advance>| first.parent_hash == head.hash;
        if held.first().is_some_and(is_child) || self.latest.at_or_below(to) == Some(head) {
            return Ok(held);
        }
        let headers = self.source.chain_after(endpoint, head, to).await?;
        match headers.is_empty() {
            true => Ok(Vec::new()),
            false => self.with_logs(endpoint, headers).await,
        }
    }

    async fn with_logs(
        &self,
        endpoint: &Arc<Endpoint>,
        headers: Vec<Header>,
    ) -> Result<Vec<Arc<Advance>>, FollowError> {
        let purpose = Purpose::Follow;
        self.source.with_logs(endpoint, headers, &self.filters, purpose).await
    }

    /// Reverts blocks that counted as final and are no longer part of the chain.
    async fn revert_settled(&self, endpoint: &Endpoint, log: &EventLog, head: Position) -> Result<(), FollowError> {
        let depth = self.source.config.reorg_depth_max;
        let lowest = log.followed_by(depth).unwrap_or_default();
        let mut held = log.below(head.number.saturating_add(1));
        held.retain(|held| held.number >= lowest);
        for held in held.iter().rev().copied() {
            if self.is_canonical(endpoint, held).await? {
                if held != head {
                    tracing::info!(chain = %log.topic(), endpoint = endpoint.label(), from = %head, to = %held, "final blocks were reorganised");
                    log.revert(held);
                }
                return Ok(());
            }
        }
        let ours = held.first().copied().unwrap_or(head);
        let theirs = match self.latest.at_or_below(ours.number) {
            Some(theirs) => theirs,
            None => {
                let header = header::numbered(endpoint, ours.number).await?;
                let none = Position {
                    hash: BlockHash::default(),
                    ..ours
                };
                header.map_or(none, |header| header.position)
            }
        };
        Err(FollowError::TooDeep { ours, theirs, depth })
    }

    async fn is_canonical(&self, endpoint: &Endpoint, block: Position) -> Result<bool, FollowError> {
        if let Some(canonical) = self.latest.at_or_below(block.number) {
            return Ok(canonical == block);
        }
        if self.latest.head().is_some_and(|tip| block.number > tip.number) {
            return Ok(false);
        }
        let header = header::numbered(endpoint, block.number).await?;
        Ok(header.is_some_and(|header| header.position == block))
    }
}
