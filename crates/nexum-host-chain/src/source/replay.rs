//! Reads again what a module has missed: every block, or only what was logged.

use std::ops::RangeInclusive;
use std::sync::Arc;

use alloy_primitives::Bloom;
use nexum_core::event::{Advance, BlockHash, Log};
use nexum_core::filter::LogFilter;
use nexum_core::source::{Replay, Replayed};

use super::filters::Filters;
use super::header::{self, Header};
use super::logs::{self, RawLog};
use super::{BLOCKS_PER_BATCH, ChainSource, FollowError};
use crate::config::VerifyLogs;
use crate::endpoint::Endpoint;

/// How many blocks are looked at for a log by which an endpoint can prove that it answers for a wide range. In a chain where so
/// many blocks in a row have none, an empty answer is nothing to wonder at.
const PROOF_BLOCKS_MAX: u64 = 2 * BLOCKS_PER_BATCH;

impl ChainSource {
    /// What [`EventSource::replay`](nexum_core::source::EventSource::replay) asks for, from the best endpoint that can say.
    pub(super) async fn read_again(&self, wanted: &Replay) -> Result<Replayed, FollowError> {
        let filters = Filters::new(&wanted.filters);
        let mut endpoints = self.endpoints.by_preference();
        if endpoints.is_empty() {
            endpoints.push(self.endpoints.preferred());
        }
        let mut failure = None;
        for endpoint in &endpoints {
            let read = if wanted.blocks || filters.is_empty() || self.config.verify_logs == VerifyLogs::Receipts {
                self.read_blocks(endpoint, wanted, &filters).await
            } else {
                self.read_logs(endpoint, &wanted.numbers, &filters).await
            };
            match read {
                Err(error) if error.may_pass() => failure = failure.or(Some(error)),
                read => return read,
            }
        }
        Err(failure.unwrap_or(FollowError::NoBlock(*wanted.numbers.start())))
    }

    /// Reads every block, with its logs.
    async fn read_blocks(
        &self,
        endpoint: &Arc<Endpoint>,
        wanted: &Replay,
        filters: &Filters,
    ) -> Result<Replayed, FollowError> {
        let headers = header::chain_of(endpoint, wanted.numbers.clone()).await?;
        let no_block = || FollowError::NoBlock(*wanted.numbers.start());
        let (parent_hash, through) = match (headers.first(), headers.last()) {
            (Some(first), Some(last)) => (first.parent_hash, last.position),
            _ => return Err(no_block()),
        };
        let mut blocks = self.with_logs(endpoint, headers, filters).await?;
        if !wanted.blocks {
            blocks.retain(|block| !block.logs.is_empty());
        }
        Ok(Replayed {
            parent_hash,
            blocks,
            through,
        })
    }

    /// Reads the logs of as many blocks as the endpoint answers for at once, and nothing else of them.
    async fn read_logs(
        &self,
        endpoint: &Arc<Endpoint>,
        numbers: &RangeInclusive<u64>,
        filters: &Filters,
    ) -> Result<Replayed, FollowError> {
        loop {
            let part = self.ranges.narrow(endpoint, numbers);
            match self.read_part(endpoint, &part, filters).await {
                Ok(Some(replayed)) => {
                    self.ranges.answered(endpoint, &part);
                    return Ok(replayed);
                }
                // A false answer for many blocks may be a true one for fewer.
                Ok(None) if self.ranges.too_much(endpoint, &part) => {
                    self.metrics.verification_failures.increment(1);
                    tracing::warn!(
                        chain = self.chain_id,
                        endpoint = endpoint.label(),
                        from = part.start(),
                        to = part.end(),
                        "the endpoint has no logs for a range that has some: asking for fewer blocks at once"
                    );
                }
                Ok(None) => return Err(FollowError::BadLogs),
                Err(error) if error.is_too_much() && self.ranges.too_much(endpoint, &part) => {
                    tracing::debug!(chain = self.chain_id, endpoint = endpoint.label(), %error, "asking for fewer blocks at once");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the logs of a range whose last block is the same before and after. None if the endpoint does not tell the truth.
    async fn read_part(
        &self,
        endpoint: &Arc<Endpoint>,
        part: &RangeInclusive<u64>,
        filters: &Filters,
    ) -> Result<Option<Replayed>, FollowError> {
        let ends = header::of_numbers(endpoint, &[*part.start(), *part.end()]).await?;
        let [first, last] = &ends[..] else {
            return Err(FollowError::NoBlock(*part.end()));
        };
        let answer = endpoint.request(&filters.of_range(part)?).await?;
        let logs = logs::in_order(logs::parse(&answer, self.chain_id)?, filters);
        if logs.iter().any(|raw| !part.contains(&raw.block.number)) {
            return Err(FollowError::BadLogs);
        }
        if logs.is_empty() && !self.may_be_empty(endpoint, part, filters, last).await? {
            return Ok(None);
        }
        let now = header::numbered(endpoint, *part.end()).await?;
        let is_settled = now.is_some_and(|now| now.position == last.position)
            && logs::hash_of(&logs, *part.end()).is_none_or(|hash| hash == last.position.hash);
        if !is_settled {
            return Err(FollowError::Unsettled);
        }
        if !logs.is_empty() {
            self.ranges.prove(endpoint, part);
        }
        Ok(Some(Replayed {
            parent_hash: first.parent_hash,
            blocks: by_block(logs)?,
            through: last.position,
        }))
    }

    /// Whether an empty answer is to be believed. Some endpoints give one where they should say that the range is too wide; so
    /// each has to find a log that is known to be there in as wide a range first.
    async fn may_be_empty(
        &self,
        endpoint: &Arc<Endpoint>,
        part: &RangeInclusive<u64>,
        filters: &Filters,
        last: &Header,
    ) -> Result<bool, FollowError> {
        if self.config.verify_logs == VerifyLogs::Off || self.ranges.is_proven(endpoint, part) {
            return Ok(true);
        }
        if part.start() == part.end() {
            // Of a single block, the bloom tells.
            let logs = self.logs_of(endpoint, last, filters).await?;
            return Ok(logs.is_empty());
        }
        let Some(known) = self.some_log(endpoint, part).await? else {
            self.note_unverified(last, "there is no log near it by which the endpoint could be tried");
            return Ok(true);
        };
        let answer = endpoint
            .request(&Filters::new(&[exactly(&known)]).of_range(part)?)
            .await;
        let found = match answer {
            Ok(answer) => logs::parse(&answer, self.chain_id)?,
            // So many that it cannot say: there are some.
            Err(crate::error::RequestError::TooLarge { .. }) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let is_true = found.iter().any(|raw| raw.log == known);
        if is_true {
            self.ranges.prove(endpoint, part);
        }
        Ok(is_true)
    }

    /// A log of one of the last blocks of a range.
    async fn some_log(&self, endpoint: &Endpoint, part: &RangeInclusive<u64>) -> Result<Option<Log>, FollowError> {
        let everything = Filters::new(&[LogFilter::default()]);
        let from = part.end().saturating_sub(PROOF_BLOCKS_MAX - 1).max(*part.start());
        let mut end = *part.end();
        while end >= from {
            let start = end.saturating_sub(BLOCKS_PER_BATCH - 1).max(from);
            let headers = header::chain_of(endpoint, start..=end).await?;
            let has_logs = |header: &&Header| header.bloom.as_deref().is_some_and(|bloom| *bloom != Bloom::ZERO);
            if let Some(header) = headers.iter().rev().find(has_logs) {
                let answer = endpoint.request(&everything.of_block(&header.position.hash)?).await?;
                let known = logs::parse(&answer, self.chain_id)?.into_iter().next();
                return Ok(known.map(|raw| raw.log));
            }
            let Some(before) = start.checked_sub(1) else { break };
            end = before;
        }
        Ok(None)
    }
}

/// A filter that hardly anything else passes than this log.
fn exactly(log: &Log) -> LogFilter {
    let mut filter = LogFilter {
        addresses: log.address.as_slice().try_into().into_iter().collect(),
        ..LogFilter::default()
    };
    for (position, topic) in filter.topics.iter_mut().zip(&log.topics) {
        position.extend(BlockHash::try_from(topic.as_slice()).ok());
    }
    filter
}

/// The logs, which are in order, by their blocks.
fn by_block(logs: Vec<RawLog>) -> Result<Vec<Arc<Advance>>, FollowError> {
    let mut blocks = Vec::new();
    let mut logs = logs.into_iter().peekable();
    while let Some(first) = logs.next() {
        let position = first.block;
        let mut of_block = vec![first.log];
        while let Some(raw) = logs.next_if(|raw| raw.block.number == position.number) {
            if raw.block != position {
                return Err(FollowError::Unsettled);
            }
            of_block.push(raw.log);
        }
        blocks.push(Advance::of_logs(position, of_block));
    }
    Ok(blocks)
}
