//! The source of block events: follows an endpoint's heads into the core's log.

mod follower;
mod header;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexum_core::event::{Advance, ChainId, Position};
use nexum_core::log::EventLog;
use nexum_core::source::{EventSource, SourceError};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use self::follower::Follower;
use self::header::Header;
use crate::config::{ChainConfig, REORG_DEPTH_MAX};
use crate::endpoint::{Endpoint, Request};
use crate::endpoints::Endpoints;
use crate::error::RequestError;

/// How many blocks are asked for at once. A block with the hashes of its transactions takes up to 40 kB on most chains, so
/// that an answer is far below every bound on its size, and a round trip is shared by enough of them not to matter.
const BLOCKS_PER_BATCH: u64 = 32;

/// Follows one chain over its endpoint: over ws and ipc by `newHeads`, over http by asking for the latest block.
///
/// It believes no subscription to be complete. A head only says where the chain is; each block that is appended to the log has
/// been checked to be the child of the one before it, blocks in between are read by number, and when the parent of a new block
/// is not in the log, the newest block that both have in common is looked for and reverted to.
#[derive(Debug)]
pub struct BlockSource {
    chain_id: ChainId,
    endpoint: Arc<Endpoint>,
    poll_interval: Duration,
}

/// Why a chain could not be followed.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the endpoint's block cannot be read")]
    BadHeader,
    #[error("the endpoint does not have block {0}")]
    NoBlock(u64),
    #[error("the endpoint's subscription ended")]
    HeadsEnded,
    #[error("the chain changed while it was read")]
    Unsettled,
    #[error("the chain has no block in common with the {REORG_DEPTH_MAX} up to {tip} that were followed")]
    TooDeep { tip: Position },
}

impl FollowError {
    /// Whether it stays so however long one waits.
    fn is_final(&self) -> bool {
        matches!(
            self,
            Self::TooDeep { .. } | Self::Request(RequestError::WrongChain { .. })
        )
    }
}

impl BlockSource {
    pub(crate) fn new(config: &ChainConfig, endpoints: Arc<Endpoints>) -> Self {
        let poll_interval = Duration::from_millis(config.poll_interval_ms);
        Self {
            chain_id: config.chain_id,
            endpoint: endpoints.preferred(),
            poll_interval,
        }
    }

    async fn latest(&self) -> Result<Header, FollowError> {
        let answer = self.endpoint.request(&block_request("latest")?).await?;
        Header::parse(&answer)?.ok_or(FollowError::BadHeader)
    }

    /// The canonical block of this number, if the endpoint has it.
    async fn block(&self, number: u64) -> Result<Option<Header>, FollowError> {
        let answer = self.endpoint.request(&block_request(&format!("{number:#x}"))?).await?;
        read_block(number, &answer)
    }

    /// The canonical blocks of the first [`BLOCKS_PER_BATCH`] of these numbers, up to the first that the endpoint does not have.
    async fn blocks(&self, numbers: RangeInclusive<u64>) -> Result<Vec<Header>, FollowError> {
        let count = BLOCKS_PER_BATCH.min(numbers.end().saturating_sub(*numbers.start()).saturating_add(1));
        let numbers: Vec<u64> = numbers.take(usize::try_from(count).unwrap_or(usize::MAX)).collect();
        let requests: Result<Vec<Request>, _> = numbers
            .iter()
            .map(|number| block_request(&format!("{number:#x}")))
            .collect();
        let answers = self.endpoint.batch(&requests?).await;
        let mut blocks = Vec::with_capacity(numbers.len());
        for (number, answer) in numbers.into_iter().zip(answers) {
            match read_block(number, &answer?)? {
                Some(block) => blocks.push(block),
                None => break,
            }
        }
        Ok(blocks)
    }

    async fn read_range(&self, numbers: RangeInclusive<u64>) -> Result<Vec<Arc<Advance>>, FollowError> {
        let first = *numbers.start();
        let blocks = self.blocks(numbers).await?;
        if blocks.is_empty() {
            return Err(FollowError::NoBlock(first));
        }
        if blocks
            .windows(2)
            .any(|pair| pair[1].parent_hash != pair[0].position.hash)
        {
            return Err(FollowError::Unsettled);
        }
        Ok(blocks.iter().map(|block| block.advance(self.chain_id)).collect())
    }

    fn error(&self, reason: &str, source: FollowError) -> SourceError {
        let mut error = SourceError::new(self.chain_id, reason);
        error.source = Some(Box::new(source));
        error
    }
}

#[async_trait]
impl EventSource for BlockSource {
    fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    fn describe(&self) -> String {
        self.endpoint.url().to_string()
    }

    async fn follow(&self, log: &EventLog, stop: &CancellationToken) -> Result<(), SourceError> {
        // Nothing that is dropped half way leaves the log half changed: each of its calls is whole.
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            error = Follower::new(self, log).follow() => Err(self.error("cannot be followed any longer", error)),
        }
    }

    async fn replay(&self, numbers: RangeInclusive<u64>) -> Result<Vec<Arc<Advance>>, SourceError> {
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        self.read_range(numbers)
            .await
            .map_err(|error| self.error("cannot be read", error))
    }
}

/// Asks for a block, by number or tag, without its transactions.
fn block_request(block: &str) -> Result<Request, FollowError> {
    let params = RawValue::from_string(format!(r#"["{block}",false]"#)).map_err(|_| RequestError::Internal)?;
    Ok(("eth_getBlockByNumber".into(), params))
}

fn read_block(number: u64, answer: &RawValue) -> Result<Option<Header>, FollowError> {
    match Header::parse(answer)? {
        Some(header) if header.position.number != number => Err(FollowError::BadHeader),
        header => Ok(header),
    }
}
