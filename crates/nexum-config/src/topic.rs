//! Topics: a chain at some finality, or a schedule.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// An EIP-155 chain id.
pub type ChainId = u64;

/// How final a block has to be before a module gets it.
///
/// Cursors store the variant's number, so a new variant goes last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Finality {
    /// As soon as the block is the head.
    #[default]
    Latest,
    /// As soon as this many blocks follow it.
    Confirmations(NonZeroU64),
    /// As soon as the node reports the block as safe: two thirds of the validators have attested to
    /// it.
    Safe,
    /// As soon as the node reports the block as finalized: no reorganisation can revert it.
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

/// The blocks of a chain at some finality: one sequence that a module can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainTopic {
    /// The chain.
    pub chain_id: ChainId,
    /// The finality of the blocks.
    pub finality: Finality,
}

impl ChainTopic {
    /// A chain up to its head.
    pub fn latest(chain_id: ChainId) -> Self {
        Self {
            chain_id,
            finality: Finality::Latest,
        }
    }
}

impl fmt::Display for ChainTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.finality {
            Finality::Latest => write!(f, "{}", self.chain_id),
            finality => write!(f, "{} ({finality})", self.chain_id),
        }
    }
}

/// A sequence of events that a module can follow, with its own cursor. Cursors store the variant's
/// number, so a new variant goes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Topic {
    /// The blocks and logs of a chain.
    Chain(ChainTopic),
    /// Ticks at the times of a schedule.
    Schedule(ScheduleId),
}

/// A short identifier of a schedule: the first eight bytes of the SHA-256 of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScheduleId(pub u64);

impl Topic {
    /// The chain. `None` for a schedule.
    pub fn chain_id(self) -> Option<ChainId> {
        match self {
            Self::Chain(topic) => Some(topic.chain_id),
            Self::Schedule(_) => None,
        }
    }

    /// Whether a reorganisation can revert events of the topic.
    pub fn has_reorganisations(self) -> bool {
        match self {
            Self::Chain(topic) => topic.finality != Finality::Finalized,
            Self::Schedule(_) => false,
        }
    }
}

impl From<ChainTopic> for Topic {
    fn from(topic: ChainTopic) -> Self {
        Self::Chain(topic)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(topic) => topic.fmt(f),
            Self::Schedule(ScheduleId(id)) => write!(f, "cron {id:016x}"),
        }
    }
}
