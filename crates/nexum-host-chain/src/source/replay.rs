//! Replays blocks that a module has missed: every block, or only the logs.

use std::ops::RangeInclusive;
use std::sync::Arc;

use alloy_primitives::Bloom;
use nexum_config::log_filter::LogFilter;
use nexum_core::source::{Advance, BlockHash, Log};
use nexum_core::source::{Replay, Replayed};

use super::ask::Ranged;
use super::filters::Filters;
use super::gaps::Blocks;
use super::header::{self, Header};
use super::wire_log::{self, RawLog};
use super::{AtEndpoint, BLOCKS_PER_BATCH, FollowError, Purpose, Reader};
use crate::config::VerifyLogs;
use crate::error::RequestError;
use crate::rpc::endpoint::Endpoint;

/// The most blocks that nexum searches for a log with which an endpoint can prove that it answers
/// for a wide range. The first block has none only if headers have no bloom, or the endpoint is
/// also false about single blocks.
const LOOKS_MAX: usize = 8;

impl Reader {
    /// Performs [`EventSource::replay`](nexum_core::source::EventSource::replay) with the best
    /// endpoint that answers. For a while, an endpoint that could not answer, such as a node
    /// without history, is asked after the others.
    pub(super) async fn read_again(&self, wanted: &Replay) -> Result<Replayed, AtEndpoint> {
        let filters = Filters::new(&wanted.filters);
        let endpoints = self.endpoints.for_history();
        let mut failure = None;
        for (index, endpoint) in endpoints.iter().enumerate() {
            let read = if wanted.blocks || filters.is_empty() || self.config.verify_logs == VerifyLogs::Receipts {
                self.read_blocks(endpoint, &wanted.numbers, wanted.blocks, &filters)
                    .await
            } else {
                self.read_logs(endpoint, &wanted.numbers, &filters).await
            };
            match read {
                // Another endpoint may answer in parts, or give receipts.
                Err(error) if error.may_pass() || error.is_too_large() => {
                    failure = failure.or(Some(error.at(endpoint)));
                }
                Err(error) => return Err(error.at(endpoint)),
                Ok(replayed) => {
                    endpoint.health().has_history();
                    for passed in &endpoints[..index] {
                        passed.health().lacks_history();
                    }
                    return Ok(replayed);
                }
            }
        }
        let no_block = || FollowError::NoBlock(*wanted.numbers.start()).at(&self.endpoints.preferred());
        Err(failure.unwrap_or_else(no_block))
    }

    /// Reads every block with its logs. Returns all blocks, or only those with logs.
    async fn read_blocks(
        &self,
        endpoint: &Arc<Endpoint>,
        numbers: &RangeInclusive<u64>,
        all: bool,
        filters: &Filters,
    ) -> Result<Replayed, FollowError> {
        let headers = match self.chain_from(endpoint, numbers).await? {
            Blocks::Chain(headers) => headers,
            Blocks::None { below } => {
                return Ok(Replayed {
                    parent_hash: below.hash,
                    blocks: Vec::new(),
                    through: below,
                });
            }
        };
        let no_block = || FollowError::NoBlock(*numbers.start());
        let parent_hash = headers.first().ok_or_else(no_block)?.parent_hash;
        let mut blocks = self.with_logs(endpoint, headers, filters, Purpose::Replay).await?;
        let through = blocks.last().ok_or_else(no_block)?.position;
        if !all {
            blocks.retain(|block| !block.logs.is_empty());
        }
        Ok(Replayed {
            parent_hash,
            blocks,
            through,
        })
    }

    /// Reads only the logs, of as many blocks as the endpoint answers for at once.
    async fn read_logs(
        &self,
        endpoint: &Arc<Endpoint>,
        numbers: &RangeInclusive<u64>,
        filters: &Filters,
    ) -> Result<Replayed, FollowError> {
        let (chain, label) = (self.chain_id, endpoint.label());
        loop {
            let part = self.ranges.narrow(endpoint, numbers);
            if part.start() == part.end() {
                // A single block is requested by its hash, which no endpoint limits, and its bloom
                // shows whether the answer can be true.
                let replayed = self.read_blocks(endpoint, &part, false, filters).await?;
                self.ranges.answered(endpoint, &part);
                if replayed.through.number >= *part.start() {
                    return Ok(replayed);
                }
                // The number has no block.
                return self.read_blocks(endpoint, numbers, false, filters).await;
            }
            let read = self.read_part(endpoint, &part, filters).await?;
            if matches!(read, Part::TooMuch(_) | Part::Untrue) {
                self.ranges.too_much(endpoint, &part);
            }
            match read {
                Part::Read(replayed) => {
                    self.ranges.answered(endpoint, &part);
                    return Ok(replayed);
                }
                // The width may not be the cause, and another endpoint may work.
                Part::TooMuch(error) if error.is_endpoints_fault() && self.other_than(endpoint).is_some() => {
                    return Err(error.into());
                }
                Part::TooMuch(error) => {
                    tracing::debug!(chain, endpoint = label, %error, "asking for the logs of fewer blocks at once");
                }
                Part::Divided => {}
                Part::Empty => return self.read_blocks(endpoint, numbers, false, filters).await,
                // An answer that is false for many blocks may be true for fewer.
                Part::Untrue => {
                    self.metrics.verification_failures.increment(1);
                    tracing::warn!(
                        chain,
                        endpoint = label,
                        from = part.start(),
                        to = part.end(),
                        "the endpoint has no logs for a range that has some: asking for fewer blocks at once"
                    );
                }
            }
        }
    }

    /// Reads the logs of a range. Its first and last block must be equal before and after.
    async fn read_part(
        &self,
        endpoint: &Arc<Endpoint>,
        part: &RangeInclusive<u64>,
        filters: &Filters,
    ) -> Result<Part, FollowError> {
        let Some(ends) = self.ends(endpoint, part).await? else {
            return Ok(Part::Empty);
        };
        let [first, last] = &ends;
        let numbers = [first, last].map(|end| end.position.number);
        let part = &(numbers[0]..=numbers[1]);
        let mut logs = Vec::new();
        for question in filters.questions(self.manners.values_max(endpoint)) {
            match self.ask_range(endpoint, &question, part, first, filters).await? {
                Ranged::Logs(found) => logs.extend(found),
                Ranged::TooMuch(error) => return Ok(Part::TooMuch(error)),
                Ranged::Divided => return Ok(Part::Divided),
            }
        }
        let logs = wire_log::in_order(logs, filters);
        if logs.iter().any(|raw| !part.contains(&raw.block.number)) {
            return Err(FollowError::BadLogs);
        }
        if logs.is_empty()
            && let Some(refused) = self.doubt_empty(endpoint, part, first).await?
        {
            return Ok(refused);
        }
        let is_in_place = |end: &Header| {
            let hash = wire_log::hash_of(&logs, end.position.number);
            hash.is_none_or(|hash| hash == end.position.hash)
        };
        if header::of_numbers(endpoint, &numbers).await?.headers != ends || !ends.iter().all(is_in_place) {
            return Err(FollowError::Unsettled);
        }
        if !logs.is_empty() {
            self.ranges.prove(endpoint, part);
        }
        Ok(Part::Read(Replayed {
            parent_hash: first.parent_hash,
            through: last.position,
            blocks: by_block(logs)?,
        }))
    }

    /// The first and the last block of a range. None if no number of the range has a block.
    async fn ends(
        &self,
        endpoint: &Arc<Endpoint>,
        part: &RangeInclusive<u64>,
    ) -> Result<Option<[Header; 2]>, FollowError> {
        let (start, end) = (*part.start(), *part.end());
        let found = match header::of_numbers(endpoint, &[start, end]).await {
            Ok(found) => found.headers,
            // Both numbers may be in gaps.
            Err(error) if error.is_answered() => Vec::new(),
            Err(error) => return Err(error),
        };
        let found = |number| found.iter().find(|header| header.position.number == number).cloned();
        let last = match found(end) {
            Some(last) => last,
            None => {
                let gap = self.gap_around(endpoint, end).await?;
                gap.ok_or(FollowError::NoBlock(end))?.below
            }
        };
        let first = match found(start) {
            Some(first) => first,
            None => {
                let gap = self.gap_around(endpoint, start).await?;
                gap.ok_or(FollowError::NoBlock(start))?.above
            }
        };
        Ok((first.position.number <= last.position.number).then_some([first, last]))
    }

    /// Why an empty answer is not accepted. None if it is. Some endpoints return an empty answer
    /// instead of an error for a range that is too wide, so each must first find a known log in an
    /// equally wide range.
    async fn doubt_empty(
        &self,
        endpoint: &Arc<Endpoint>,
        part: &RangeInclusive<u64>,
        first: &Header,
    ) -> Result<Option<Part>, FollowError> {
        if self.config.verify_logs == VerifyLogs::Off || self.ranges.is_proven(endpoint, part) {
            return Ok(None);
        }
        let Some(known) = self.some_log(endpoint, part).await? else {
            return Ok(None);
        };
        let exactly = Filters::new(&[exactly(&known)]);
        let mut found = Vec::new();
        for question in exactly.questions(usize::MAX) {
            match self.ask_range(endpoint, &question, part, first, &exactly).await? {
                Ranged::Logs(logs) => found.extend(logs),
                // The endpoint has logs, and more than nexum accepts.
                Ranged::TooMuch(RequestError::TooLarge { .. }) => return Ok(None),
                Ranged::TooMuch(error) => return Ok(Some(Part::TooMuch(error))),
                Ranged::Divided => return Ok(Some(Part::Divided)),
            }
        }
        if !found.iter().any(|raw| raw.log == known) {
            return Ok(Some(Part::Untrue));
        }
        self.ranges.prove(endpoint, part);
        Ok(None)
    }

    /// One of the last logs of a range. None if its headers show that it has none. On most chains
    /// the last block has some.
    ///
    /// Blocks with an empty bloom come last, because the bloom may be true.
    async fn some_log(&self, endpoint: &Endpoint, part: &RangeInclusive<u64>) -> Result<Option<Log>, FollowError> {
        let mut looks = 0;
        let mut without_bloom = Vec::new();
        let mut end = *part.end();
        loop {
            let start = end.saturating_sub(BLOCKS_PER_BATCH - 1).max(*part.start());
            let numbers: Vec<u64> = (start..=end).rev().collect();
            for header in header::of_numbers(endpoint, &numbers).await?.headers {
                if header.bloom.as_deref() == Some(&Bloom::ZERO) {
                    if header.may_have_transactions() && without_bloom.len() < LOOKS_MAX {
                        without_bloom.push(header);
                    }
                    continue;
                }
                if looks == LOOKS_MAX {
                    self.note_unverified(&header, "there is no log near it with which to test the endpoint");
                    return Ok(None);
                }
                looks += 1;
                if let Some(known) = self.any_log(endpoint, &header).await? {
                    return Ok(Some(known));
                }
            }
            match start.checked_sub(1).filter(|before| before >= part.start()) {
                Some(before) => end = before,
                None => break,
            }
        }
        for header in &without_bloom {
            if let Some(known) = self.any_log(endpoint, header).await? {
                self.note_untrue(endpoint, header);
                return Ok(Some(known));
            }
        }
        Ok(None)
    }

    async fn any_log(&self, endpoint: &Endpoint, header: &Header) -> Result<Option<Log>, FollowError> {
        let logs = self.logs_in(endpoint, header, &Filters::everything()).await?;
        Ok(logs.into_iter().next())
    }
}

/// The outcome of a query for the logs of a range.
enum Part {
    Read(Replayed),
    /// The endpoint returned no logs although there are some.
    Untrue,
    /// No number of the range has a block.
    Empty,
    /// The endpoint may answer a narrower query.
    TooMuch(RequestError),
    /// The endpoint accepts fewer addresses than the query had.
    Divided,
}

/// A filter that matches almost only this log.
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

/// Groups ordered logs by their blocks.
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
