//! The logs of single blocks: asked for by hash, and checked against the block's header.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, LogData, U64};
use futures_util::{StreamExt as _, stream};
use nexum_core::event::{Advance, BlockHash, ChainId, Log, Position};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::filters::{self, Filters};
use super::header::Header;
use super::receipts::{self, Checked};
use super::{ChainSource, FollowError, LOG_REQUESTS_MAX, Purpose};
use crate::config::VerifyLogs;
use crate::endpoint::Endpoint;
use crate::error::{RequestError, Retry};

/// A log as endpoints write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: Option<U64>,
    block_hash: Option<B256>,
    transaction_hash: Option<B256>,
    log_index: Option<U64>,
    #[serde(default)]
    removed: bool,
}

/// A log, and the block that it says it is in.
#[derive(Debug)]
pub(super) struct RawLog {
    pub(super) block: Position,
    pub(super) log: Log,
}

impl WireLog {
    /// The part of it that its receipt's root covers.
    pub(super) fn consensus(&self) -> alloy_primitives::Log {
        alloy_primitives::Log {
            address: self.address,
            data: LogData::new_unchecked(self.topics.clone(), self.data.clone()),
        }
    }
}

impl RawLog {
    /// A log without a place in the chain, or taken back, is none.
    pub(super) fn read(wire: WireLog, chain_id: ChainId) -> Result<Self, FollowError> {
        let bad = FollowError::BadLogs;
        let (Some(number), Some(hash), Some(transaction), Some(index)) = (
            wire.block_number,
            wire.block_hash,
            wire.transaction_hash,
            wire.log_index,
        ) else {
            return Err(bad);
        };
        if wire.removed || wire.topics.len() > nexum_core::filter::TOPICS_MAX {
            return Err(bad);
        }
        let number = number.to::<u64>();
        Ok(Self {
            block: Position { number, hash: hash.0 },
            log: Log {
                chain_id,
                address: wire.address.to_vec(),
                topics: wire.topics.iter().map(|topic| topic.to_vec()).collect(),
                data: wire.data.to_vec(),
                block_number: number,
                transaction_hash: transaction.to_vec(),
                log_index: u32::try_from(index.to::<u64>()).map_err(|_| bad)?,
            },
        })
    }
}

/// Reads an answer of `eth_getLogs`.
pub(super) fn parse(answer: &RawValue, chain_id: ChainId) -> Result<Vec<RawLog>, FollowError> {
    let logs = serde_json::from_str::<Vec<WireLog>>(answer.get()).map_err(|_| FollowError::BadLogs)?;
    logs.into_iter().map(|log| RawLog::read(log, chain_id)).collect()
}

/// Puts the logs that are wanted into their order, each once.
pub(super) fn in_order(logs: Vec<RawLog>, filters: &Filters) -> Vec<RawLog> {
    let mut logs: Vec<_> = logs.into_iter().filter(|raw| filters.wants(&raw.log)).collect();
    let place = |raw: &RawLog| (raw.log.block_number, raw.log.log_index);
    logs.sort_by_key(place);
    logs.dedup_by_key(|raw| place(raw));
    logs
}

/// How the logs of one block came out.
enum Found {
    Logs(Vec<Log>),
    /// There may be some, and the endpoint has none.
    NoneWhereSomeMayBe,
}

impl ChainSource {
    /// Reads the logs of these blocks, some at a time, and makes the entries for a log of them: of as many blocks, from the
    /// first one, as can be had now. What was read before a failure is kept, so that an endpoint that answers only so much at
    /// a time gets there in the end.
    ///
    /// Fails if not even the first block's can be read.
    pub(super) async fn with_logs(
        &self,
        endpoint: &Arc<Endpoint>,
        headers: Vec<Header>,
        filters: &Filters,
        purpose: Purpose,
    ) -> Result<Vec<Arc<Advance>>, FollowError> {
        let mut blocks = Vec::with_capacity(headers.len());
        let push = |block| blocks.push(block);
        self.each_with_logs(endpoint, headers, filters, purpose, push).await?;
        Ok(blocks)
    }

    /// As [`Self::with_logs`], and hands over each block, in order, as soon as its logs are there.
    pub(super) async fn each_with_logs(
        &self,
        endpoint: &Arc<Endpoint>,
        headers: Vec<Header>,
        filters: &Filters,
        purpose: Purpose,
        mut hand_over: impl FnMut(Arc<Advance>),
    ) -> Result<(), FollowError> {
        let read = headers
            .into_iter()
            .map(|header| self.with_its_logs(endpoint, header, filters, purpose));
        let read: Vec<_> = read.collect();
        let mut read = stream::iter(read).buffered(LOG_REQUESTS_MAX);
        let mut is_first = true;
        while let Some(block) = read.next().await {
            match block {
                Ok(block) => hand_over(block),
                Err(error) if is_first => return Err(error),
                Err(_) => break,
            }
            is_first = false;
        }
        Ok(())
    }

    async fn with_its_logs(
        &self,
        endpoint: &Arc<Endpoint>,
        header: Header,
        filters: &Filters,
        purpose: Purpose,
    ) -> Result<Arc<Advance>, FollowError> {
        let logs = self.logs_of(endpoint, &header, filters, purpose).await?;
        Ok(header.advance(self.chain_id, logs).as_of(filters.revision))
    }

    /// The logs of a block, as sure as the operator wants them to be. `endpoint` is asked first, and when it fails or is not
    /// believed the others are: they are asked for a hash, so that all who answer speak of the same block.
    pub(super) async fn logs_of(
        &self,
        endpoint: &Arc<Endpoint>,
        header: &Header,
        filters: &Filters,
        purpose: Purpose,
    ) -> Result<Vec<Log>, FollowError> {
        if filters.is_empty() {
            return Ok(Vec::new());
        }
        if header.bloom.as_deref().is_some_and(|bloom| !filters.may_be_in(bloom)) {
            self.metrics.log_fetches_saved.increment(1);
            return Ok(Vec::new());
        }
        let others = self.endpoints.by_preference();
        let others = others.iter().filter(|other| !Arc::ptr_eq(other, endpoint));
        let mut failure: Option<(&Arc<Endpoint>, FollowError)> = None;
        let mut doubted: Vec<&Arc<Endpoint>> = Vec::new();
        for asked in std::iter::once(endpoint).chain(others) {
            let found = self.ask(asked, header, filters).await;
            if let (Ok(_), Some((failed, error))) = (&found, &failure) {
                self.blame(failed, error, purpose);
            }
            match found {
                Ok(Found::Logs(logs)) if logs.is_empty() || doubted.is_empty() => return Ok(logs),
                Ok(Found::Logs(logs)) => {
                    for liar in doubted {
                        self.metrics.verification_failures.increment(1);
                        self.endpoints.rest(liar, "it has no logs for a block that has some");
                    }
                    return Ok(logs);
                }
                // Two that agree are believed: a bloom may be true by chance.
                Ok(Found::NoneWhereSomeMayBe) if !doubted.is_empty() => return Ok(Vec::new()),
                Ok(Found::NoneWhereSomeMayBe) => doubted.push(asked),
                Err(error) if error.may_pass() => failure = failure.or(Some((asked, error))),
                Err(error) => return Err(error),
            }
        }
        match (doubted.first(), failure) {
            (Some(only), _) => self.logs_of_doubted(only, header, filters).await,
            (None, failure) => Err(failure.map_or(FollowError::BadLogs, |(_, error)| error)),
        }
    }

    /// Another endpoint has answered what this one has not.
    fn blame(&self, endpoint: &Endpoint, error: &FollowError, purpose: Purpose) {
        match purpose {
            Purpose::Replay => endpoint.health().lacks_history(),
            Purpose::Follow if error.is_refusal() || error.request().is_some_and(RequestError::is_rate_limit) => {
                self.endpoints.stop_following(endpoint, error.method(), error)
            }
            Purpose::Follow => endpoint.health().suspects(error.method()),
        }
    }

    async fn ask(&self, endpoint: &Endpoint, header: &Header, filters: &Filters) -> Result<Found, FollowError> {
        if self.config.verify_logs == VerifyLogs::Receipts {
            match self.proven_logs(endpoint, header, filters).await? {
                Some(logs) => return Ok(Found::Logs(logs)),
                None => self.note_unverified(header, "its receipts are of a kind that cannot be checked"),
            }
        }
        let request = filters.of_block(&header.position.hash)?;
        let answer = endpoint
            .request(&request)
            .await
            .map_err(FollowError::asked("eth_getLogs"))?;
        let logs = in_order(parse(&answer, self.chain_id)?, filters);
        if logs.iter().any(|raw| raw.block != header.position) {
            return Err(FollowError::BadLogs);
        }
        let logs: Vec<Log> = logs.into_iter().map(|raw| raw.log).collect();
        if self.config.verify_logs == VerifyLogs::Off {
            return Ok(Found::Logs(logs));
        }
        match header.bloom.as_deref() {
            Some(bloom) if !logs.iter().all(|log| filters::is_in(bloom, log)) => {
                self.metrics.verification_failures.increment(1);
                self.endpoints
                    .rest(endpoint, "it has logs for a block that has none such");
                Err(FollowError::BadLogs)
            }
            Some(_) if logs.is_empty() => Ok(Found::NoneWhereSomeMayBe),
            _ => Ok(Found::Logs(logs)),
        }
    }

    /// There is nobody else to ask: the block's receipts can still prove that it has no such logs.
    async fn logs_of_doubted(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        filters: &Filters,
    ) -> Result<Vec<Log>, FollowError> {
        match self.proven_logs(endpoint, header, filters).await {
            Ok(Some(logs)) => {
                if !logs.is_empty() {
                    self.metrics.verification_failures.increment(1);
                    tracing::warn!(
                        chain = self.chain_id,
                        endpoint = endpoint.label(),
                        block = header.position.number,
                        "the endpoint's eth_getLogs lacks logs that the block's receipts have"
                    );
                }
                Ok(logs)
            }
            Ok(None) => {
                self.note_unverified(header, "its receipts are of a kind that cannot be checked");
                Ok(Vec::new())
            }
            // It would say the same the next time, and the chain would stand still.
            Err(error) if error.request().is_some_and(|error| error.retry() != Retry::Anywhere) => {
                self.note_unverified(header, "the endpoint does not give its receipts");
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// The logs of a block, proven by its receipts; none if they are of an unknown kind.
    async fn proven_logs(
        &self,
        endpoint: &Endpoint,
        header: &Header,
        filters: &Filters,
    ) -> Result<Option<Vec<Log>>, FollowError> {
        let answer = endpoint.request(&receipts::request(header)?).await;
        let answer = answer.map_err(FollowError::asked("eth_getBlockReceipts"))?;
        match receipts::check(answer, header, self.chain_id).await? {
            Checked::Proven(logs) => {
                let logs = in_order(logs, filters);
                Ok(Some(logs.into_iter().map(|raw| raw.log).collect()))
            }
            Checked::Unknown => Ok(None),
            Checked::False => {
                self.metrics.verification_failures.increment(1);
                self.endpoints
                    .rest(endpoint, "the receipts that it has for a block are not the block's");
                Err(FollowError::BadLogs)
            }
        }
    }

    pub(super) fn note_unverified(&self, header: &Header, why: &str) {
        self.metrics.unverified.increment(1);
        tracing::debug!(
            chain = self.chain_id,
            block = header.position.number,
            why,
            "whether the block has logs that are missing could not be verified"
        );
    }
}

/// The hash that all these logs' blocks have, by number.
pub(super) fn hash_of(logs: &[RawLog], number: u64) -> Option<BlockHash> {
    logs.iter()
        .find(|raw| raw.block.number == number)
        .map(|raw| raw.block.hash)
}
