//! Subscriptions of a module.

use std::fmt;

use serde::Deserialize;

use crate::log_filter::LogFilter;
use crate::schedule::Schedule;
use crate::topic::{ChainId, ChainTopic, Finality, Topic};

/// A request for events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subscription {
    /// Blocks of a chain.
    Block(BlockSubscription),
    /// Logs of contracts.
    Logs(LogSubscription),
    /// Ticks at the times of a schedule.
    Cron(CronSubscription),
}

/// A subscription to the blocks of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSubscription {
    /// The chain, and the finality of its blocks.
    pub topic: ChainTopic,
    /// The first block. `None` starts with the first new block after the module's first start.
    pub from_block: Option<u64>,
    /// Which missed blocks the module gets.
    pub catch_up: CatchUp,
}

/// A subscription to logs of contracts. A module gets the logs of one block in one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSubscription {
    /// The chain, and the finality of its blocks.
    pub topic: ChainTopic,
    /// The first block. `None` starts with the first new block after the module's first start.
    pub from_block: Option<u64>,
    /// The logs to match.
    pub filter: LogFilter,
}

/// A subscription to ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronSubscription {
    /// The times of the ticks.
    pub schedule: Schedule,
    /// Which missed ticks the module gets.
    pub missed: Missed,
}

/// Which missed ticks a module gets. A module misses a tick if its time passes while nexum is off,
/// or while the module is dead or stopped. A module that is busy or failing misses no tick: the
/// ticks wait for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// The module gets none of them.
    #[default]
    Skip,
    /// The module gets only the last one.
    Once,
}

/// Which missed blocks a module gets. A module misses blocks while nexum is off, or if it is slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CatchUp {
    /// The module gets all of them.
    #[default]
    All,
    /// The module gets a block only if it is the newest.
    Latest,
}

impl Subscription {
    /// The topic of the events.
    pub fn topic(&self) -> Topic {
        match self {
            Self::Block(block) => block.topic.into(),
            Self::Logs(logs) => logs.topic.into(),
            Self::Cron(cron) => Topic::Schedule(cron.schedule.id()),
        }
    }

    /// The chain of the events. `None` for ticks.
    pub fn chain_id(&self) -> Option<ChainId> {
        self.topic().chain_id()
    }

    /// The first block, if the manifest sets one.
    pub fn from_block(&self) -> Option<u64> {
        match self {
            Self::Block(block) => block.from_block,
            Self::Logs(logs) => logs.from_block,
            Self::Cron(_) => None,
        }
    }
}

impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, topic) = match self {
            Self::Block(block) => ("blocks", block.topic),
            Self::Logs(logs) => ("logs", logs.topic),
            Self::Cron(cron) => return write!(f, "ticks at {}", cron.schedule),
        };
        let ChainTopic { chain_id, finality } = topic;
        write!(f, "{what} of {chain_id}")?;
        if finality != Finality::Latest {
            write!(f, ", {finality}")?;
        }
        match self.from_block() {
            Some(from) => write!(f, ", from {from}"),
            None => Ok(()),
        }
    }
}
