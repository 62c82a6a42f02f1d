//! A block's header as an endpoint tells it.

use std::sync::Arc;

use alloy_primitives::{B256, U64};
use nexum_core::event::{Advance, BlockHash, ChainId, Position};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::FollowError;

const MS_PER_SECOND: u64 = 1_000;

/// What of a header the source needs. Nothing in it has been compared with anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) position: Position,
    pub(super) parent_hash: BlockHash,
    pub(super) timestamp_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
}

impl Header {
    /// Reads a block or header; `None` is JSON's null, with which endpoints say that they do not have it.
    pub(super) fn parse(json: &RawValue) -> Result<Option<Self>, FollowError> {
        let Some(raw) = serde_json::from_str::<Option<Raw>>(json.get()).map_err(|_| FollowError::BadHeader)? else {
            return Ok(None);
        };
        let position = Position {
            number: raw.number.to(),
            hash: raw.hash.0,
        };
        let timestamp_ms = raw
            .timestamp
            .to::<u64>()
            .checked_mul(MS_PER_SECOND)
            .ok_or(FollowError::BadHeader)?;
        Ok(Some(Self {
            position,
            parent_hash: raw.parent_hash.0,
            timestamp_ms,
        }))
    }

    /// The entry that tells the log of it.
    pub(super) fn advance(&self, chain_id: ChainId) -> Arc<Advance> {
        Advance::new(chain_id, self.position, self.parent_hash, self.timestamp_ms)
    }
}
