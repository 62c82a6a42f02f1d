//! The header of a block.

use alloy_primitives::{Address, B256, U256};
use serde::Deserialize;

use super::codec::serde_number;

/// The header of a block: the fields that modules use. [`Chain::request`](super::Chain::request)
/// reads others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The block's number.
    #[serde(with = "serde_number")]
    pub number: u64,
    /// The block's hash.
    pub hash: B256,
    /// The hash of the block below.
    pub parent_hash: B256,
    /// The time of the block, in **seconds** since the Unix epoch.
    #[serde(rename = "timestamp", with = "serde_number")]
    pub timestamp_seconds: u64,
    /// The account that gets the tips.
    #[serde(rename = "miner")]
    pub beneficiary: Address,
    /// The gas that the block's transactions used.
    #[serde(with = "serde_number")]
    pub gas_used: u64,
    /// The limit of gas.
    #[serde(with = "serde_number")]
    pub gas_limit: u64,
    /// The price of gas that is burnt, in wei. `None` before the London fork.
    #[serde(default)]
    pub base_fee_per_gas: Option<U256>,
}
