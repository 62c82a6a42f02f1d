//! How a request names a block.

use alloy_primitives::B256;

/// A block of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BlockId {
    /// The newest block, or the event's block with `pin = "event"`.
    #[default]
    Latest,
    /// The newest block that is safe from most reorganisations.
    Safe,
    /// The newest final block.
    Finalized,
    /// The first block.
    Earliest,
    /// The block with this number.
    Number(u64),
    /// The block with this hash. A read fails if a reorganisation removed the block.
    Hash(B256),
}

impl From<u64> for BlockId {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<B256> for BlockId {
    fn from(hash: B256) -> Self {
        Self::Hash(hash)
    }
}
