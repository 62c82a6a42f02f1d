//! What blocks can be followed: a chain, as far as it is settled.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// An EIP-155 chain id.
pub type ChainId = u64;

/// How settled a block has to be before a module hears of it.
///
/// It is stored with cursors, by its place among the others: new ones come last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Finality {
    /// As soon as it is the head.
    #[default]
    Latest,
    /// When so many blocks are on top of it.
    Confirmations(NonZeroU64),
    /// When the node calls it safe: two thirds of the validators have attested to it.
    Safe,
    /// When the node calls it finalized: it cannot be taken back.
    Finalized,
}

impl fmt::Display for Finality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Confirmations(count) => write!(f, "{count} confirmations"),
            Self::Safe => f.write_str("safe"),
            Self::Finalized => f.write_str("finalized"),
        }
    }
}

/// One sequence of blocks that a module can follow, with a cursor of its own: a chain, as far as it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Topic {
    /// The chain.
    pub chain_id: ChainId,
    /// How settled its blocks are.
    pub finality: Finality,
}

impl Topic {
    /// A chain up to its head.
    pub fn latest(chain_id: ChainId) -> Self {
        Self {
            chain_id,
            finality: Finality::Latest,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.finality {
            Finality::Latest => write!(f, "{}", self.chain_id),
            finality => write!(f, "{} ({finality})", self.chain_id),
        }
    }
}
