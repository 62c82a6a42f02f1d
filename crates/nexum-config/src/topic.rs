//! What can be followed: a chain, as far as it is settled, and a schedule.

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

/// One sequence of blocks that a module can follow: a chain, as far as it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainTopic {
    /// The chain.
    pub chain_id: ChainId,
    /// How settled its blocks are.
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

/// One sequence of events that a module can follow, with a cursor of its own. Stored with cursors, as [`Finality`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Topic {
    /// What happens on a chain.
    Chain(ChainTopic),
    /// Ticks at the times of a schedule.
    Schedule(ScheduleId),
}

/// What a schedule is known by where its text is too long: the beginning of that text's SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScheduleId(pub u64);

impl Topic {
    /// The chain, if it is about one.
    pub fn chain_id(self) -> Option<ChainId> {
        match self {
            Self::Chain(topic) => Some(topic.chain_id),
            Self::Schedule(_) => None,
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
