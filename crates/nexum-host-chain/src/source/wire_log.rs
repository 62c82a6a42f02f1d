//! Logs in the format of endpoints, and their order within a block.

use alloy_primitives::{Address, B256, Bytes, LogData, U64};
use nexum_config::topic::ChainId;
use nexum_core::source::{BlockHash, Log, Position};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::FollowError;
use super::filters::Filters;

/// A log in the format of endpoints.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: Option<U64>,
    block_hash: Option<B256>,
    transaction_hash: Option<B256>,
    transaction_index: Option<U64>,
    log_index: Option<U64>,
    #[serde(default)]
    removed: bool,
}

/// A log, and the block that it names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RawLog {
    pub(super) block: Position,
    /// The index of the log's transaction in the block. 0 if the endpoint omits it.
    pub(super) transaction_index: u64,
    pub(super) log: Log,
}

impl WireLog {
    /// The part of the log that its receipt's root covers.
    pub(super) fn consensus(&self) -> alloy_primitives::Log {
        alloy_primitives::Log {
            address: self.address,
            data: LogData::new_unchecked(self.topics.clone(), self.data.clone()),
        }
    }
}

impl RawLog {
    /// Fails for a log without a position in the chain.
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
        if wire.topics.len() > nexum_config::log_filter::TOPICS_MAX {
            return Err(bad);
        }
        let number = number.to::<u64>();
        Ok(Self {
            block: Position { number, hash: hash.0 },
            transaction_index: wire.transaction_index.unwrap_or_default().to(),
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

/// Parses an answer of `eth_getLogs`. Drops logs that are marked as removed by a reorg.
pub(super) fn parse(answer: &RawValue, chain_id: ChainId) -> Result<Vec<RawLog>, FollowError> {
    let logs = serde_json::from_str::<Vec<WireLog>>(answer.get()).map_err(|_| FollowError::BadLogs)?;
    let logs = logs.into_iter().filter(|log| !log.removed);
    logs.map(|log| RawLog::read(log, chain_id)).collect()
}

/// The wanted logs, without duplicates, ordered by transaction and index. On some networks the
/// index counts within the transaction, so that only both together identify a log.
pub(super) fn in_order(logs: Vec<RawLog>, filters: &Filters) -> Vec<RawLog> {
    let mut logs: Vec<_> = logs.into_iter().filter(|raw| filters.wants(&raw.log)).collect();
    let place = |raw: &RawLog| (raw.log.block_number, raw.transaction_index, raw.log.log_index);
    let by_place = |a: &RawLog, b: &RawLog| place(a).cmp(&place(b));
    logs.sort_by(|a, b| by_place(a, b).then_with(|| a.log.transaction_hash.cmp(&b.log.transaction_hash)));
    logs.dedup();
    logs
}

/// The hash of the block with this number, in its first log.
pub(super) fn hash_of(logs: &[RawLog], number: u64) -> Option<BlockHash> {
    logs.iter()
        .find(|raw| raw.block.number == number)
        .map(|raw| raw.block.hash)
}
