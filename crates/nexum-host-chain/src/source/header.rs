//! A block's header in an endpoint's answer.

use std::ops::RangeInclusive;
use std::sync::Arc;

use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_primitives::{B256, Bloom, U64};
use nexum_config::topic::ChainId;
use nexum_core::source::{Advance, BlockHash, Log, Position};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{BLOCKS_PER_BATCH, FollowError};
use crate::error::RequestError;
use crate::rpc::endpoint::{Endpoint, RpcRequest};

const MS_PER_SECOND: u64 = 1_000;

/// The method that returns headers.
const METHOD: &str = "eth_getBlockByNumber";
const METHOD_BY_HASH: &str = "eth_getBlockByHash";

/// The most numbers without a block between a block and its parent: as many as the search for the end of a gap covers in three
/// batches. Filecoin skips one number of 150, rarely two in a row. The bound is an outage of its whole network of eight hours.
pub(super) const SKIPPED_MAX: u64 = BLOCKS_PER_BATCH * BLOCKS_PER_BATCH - 1;

/// The parts of a header that the source needs, unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) position: Position,
    pub(super) parent_hash: BlockHash,
    /// Milliseconds since the Unix epoch. `u64::MAX` for a later time.
    pub(super) timestamp_ms: u64,
    /// None if the endpoint omits it: there may be any logs. A hint, see
    /// [`Blooms`](super::blooms::Blooms).
    pub(super) bloom: Option<Box<Bloom>>,
    pub(super) receipts_root: Option<B256>,
    pub(super) gas_used: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
    #[serde(default, deserialize_with = "known")]
    logs_bloom: Option<Box<Bloom>>,
    #[serde(default, deserialize_with = "known")]
    receipts_root: Option<B256>,
    #[serde(default, deserialize_with = "known")]
    gas_used: Option<U64>,
}

/// Parses a value that serves as a hint. A malformed value, such as the bloom `0x` of some
/// networks, is unknown.
fn known<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(value.get()).ok())
}

impl Header {
    /// Parses a block or header. `None` for JSON's null, which endpoints return for a block that
    /// they lack.
    pub(super) fn parse(json: &RawValue) -> Result<Option<Self>, FollowError> {
        let Some(raw) = serde_json::from_str::<Option<Raw>>(json.get()).map_err(|_| FollowError::BadHeader)? else {
            return Ok(None);
        };
        let position = Position {
            number: raw.number.to(),
            hash: raw.hash.0,
        };
        Ok(Some(Self {
            position,
            parent_hash: raw.parent_hash.0,
            // Some networks count in nanoseconds. A wrong time is not a reason to stop.
            timestamp_ms: raw.timestamp.to::<u64>().saturating_mul(MS_PER_SECOND),
            bloom: raw.logs_bloom,
            receipts_root: raw.receipts_root,
            gas_used: raw.gas_used.map(|gas| gas.to()),
        }))
    }

    /// Whether the block's parent is this one. The numbers between the two have no block.
    pub(super) fn follows(&self, parent: Position) -> bool {
        let distance = self.position.number.saturating_sub(parent.number);
        self.parent_hash == parent.hash && (1..=SKIPPED_MAX + 1).contains(&distance)
    }

    /// Whether a transaction may have run in the block: gas was used, or the root of the receipts
    /// is not the empty one. True if the header has neither.
    pub(super) fn may_have_transactions(&self) -> bool {
        let used_gas = self.gas_used.map(|gas| gas > 0);
        let has_receipts = self.receipts_root.map(|root| root != EMPTY_ROOT_HASH);
        match (used_gas, has_receipts) {
            (None, None) => true,
            (used_gas, has_receipts) => used_gas == Some(true) || has_receipts == Some(true),
        }
    }

    /// The log entry of the block.
    pub(super) fn advance(&self, chain_id: ChainId, logs: Vec<Log>) -> Arc<Advance> {
        Advance::with_logs(chain_id, self.position, self.parent_hash, self.timestamp_ms, logs)
    }
}

/// The endpoint's block for a tag, such as `latest`, without its transactions. None if there is
/// none.
pub(super) async fn tagged(endpoint: &Endpoint, tag: &str) -> Result<Option<Header>, FollowError> {
    let answer = endpoint.request(&block_request(tag)?).await;
    Header::parse(&answer.map_err(FollowError::asked(METHOD))?)
}

/// The endpoint's canonical block of this number. None if there is none.
pub(super) async fn numbered(endpoint: &Endpoint, number: u64) -> Result<Option<Header>, FollowError> {
    let answer = endpoint.request(&block_request(&format!("{number:#x}"))?).await;
    match answer {
        Err(error) if error.is_null_round() => Ok(None),
        answer => read_numbered(number, &answer.map_err(FollowError::asked(METHOD))?),
    }
}

/// The block with this hash. None if the endpoint answers that it does not have it, be it by an error.
pub(super) async fn hashed(endpoint: &Endpoint, hash: &BlockHash) -> Result<Option<Header>, FollowError> {
    let answer = endpoint.request(&request_by_hash(hash)?).await;
    match answer.map_err(FollowError::asked(METHOD_BY_HASH)) {
        Err(error) if error.is_answered() => Ok(None),
        Err(error) => Err(error),
        Ok(answer) => match Header::parse(&answer)? {
            Some(header) if header.position.hash != *hash => Err(FollowError::BadHeader),
            header => Ok(header),
        },
    }
}

/// The parent of a block. None if the endpoint answers that it does not have it.
pub(super) async fn parent_of(endpoint: &Endpoint, header: &Header) -> Result<Option<Header>, FollowError> {
    let Some(parent) = hashed(endpoint, &header.parent_hash).await? else {
        return Ok(None);
    };
    if header.follows(parent.position) {
        return Ok(Some(parent));
    }
    let (from, to) = (parent.position.number, header.position.number);
    Err(FollowError::BadParent { from, to })
}

/// An endpoint's answer about some numbers.
pub(super) struct Numbered {
    /// The blocks, in the order of the request.
    pub(super) headers: Vec<Header>,
    /// Why it refuses the first of the numbers.
    failure: Option<RequestError>,
}

/// The endpoint's canonical blocks of these numbers, without those that are missing or fail. Keeps the
/// blocks beside a failure, so that an endpoint that returns only some at a time makes progress.
///
/// Fails if the endpoint refuses the first number and gives no block.
pub(super) async fn of_numbers(endpoint: &Endpoint, numbers: &[u64]) -> Result<Numbered, FollowError> {
    let requests: Result<Vec<RpcRequest>, _> = numbers
        .iter()
        .map(|number| block_request(&format!("{number:#x}")))
        .collect();
    let answers = endpoint.batch(&requests?).await;
    let mut numbered = Numbered {
        headers: Vec::with_capacity(numbers.len()),
        failure: None,
    };
    for (place, (number, answer)) in numbers.iter().zip(answers).enumerate() {
        match answer {
            Ok(answer) => numbered.headers.extend(read_numbered(*number, &answer)?),
            Err(error) if place == 0 && !error.is_null_round() => numbered.failure = Some(error),
            Err(_) => {}
        }
    }
    match numbered.failure {
        Some(error) if numbered.headers.is_empty() => Err(FollowError::asked(METHOD)(error)),
        _ => Ok(numbered),
    }
}

/// The canonical blocks of the first [`BLOCKS_PER_BATCH`] of these numbers, each the parent of the next, up to the first that the
/// endpoint does not have. The first one is the child of `after`, or the first that the endpoint has.
///
/// Fails if the endpoint refuses the first number, and gives no child of `after`.
pub(super) async fn chain_of(
    endpoint: &Endpoint,
    after: Option<Position>,
    numbers: RangeInclusive<u64>,
) -> Result<Vec<Header>, FollowError> {
    let count = usize::try_from(BLOCKS_PER_BATCH).unwrap_or(usize::MAX);
    let numbers: Vec<u64> = numbers.take(count).collect();
    let Numbered { mut headers, failure } = of_numbers(endpoint, &numbers).await?;
    let follows = |after| headers.first().is_some_and(|first| first.follows(after));
    if let Some(error) = failure.filter(|_| !after.is_none_or(follows)) {
        return Err(FollowError::asked(METHOD)(error));
    }
    let is_cut = |pair: &[Header]| !pair[1].follows(pair[0].position);
    if let Some(cut) = headers.windows(2).position(is_cut) {
        if headers[cut + 1].position.number - headers[cut].position.number == 1 {
            return Err(FollowError::Unsettled);
        }
        headers.truncate(cut + 1);
    }
    Ok(headers)
}

/// A request for a block, by number or tag, without its transactions.
fn block_request(block: &str) -> Result<RpcRequest, FollowError> {
    let params = RawValue::from_string(format!(r#"["{block}",false]"#)).map_err(|_| RequestError::Internal)?;
    Ok((METHOD.into(), params))
}

/// A request for a block by its hash, without its transactions. The answer is null if the endpoint
/// lacks the block.
pub(super) fn request_by_hash(hash: &BlockHash) -> Result<RpcRequest, FollowError> {
    let hash = B256::from(*hash);
    let params = RawValue::from_string(format!(r#"["{hash}",false]"#)).map_err(|_| RequestError::Internal)?;
    Ok((METHOD_BY_HASH.into(), params))
}

fn read_numbered(number: u64, answer: &RawValue) -> Result<Option<Header>, FollowError> {
    match Header::parse(answer)? {
        Some(header) if header.position.number != number => Err(FollowError::BadHeader),
        header => Ok(header),
    }
}
