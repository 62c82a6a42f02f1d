//! What a module subscribes to.

use std::fmt;

use serde::Deserialize;

use crate::log_filter::LogFilter;
use crate::schedule::Schedule;
use crate::topic::{ChainId, ChainTopic, Finality, Topic};

/// Events that a module gets.
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

/// Blocks of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSubscription {
    /// The chain, as far as it is settled.
    pub topic: ChainTopic,
    /// The first block. None: the first that the chain grows by when the module is first started.
    pub from_block: Option<u64>,
    /// What becomes of blocks that the module has missed.
    pub catch_up: CatchUp,
}

/// Logs of contracts, block by block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSubscription {
    /// The chain, as far as it is settled.
    pub topic: ChainTopic,
    /// The first block. None: the first that the chain grows by when the module is first started.
    pub from_block: Option<u64>,
    /// Which logs.
    pub filter: LogFilter,
}

/// Ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronSubscription {
    /// When.
    pub schedule: Schedule,
    /// What becomes of times at which the module did not run.
    pub missed: Missed,
}

/// What becomes of ticks whose time came while the module did not run, because nexum was off, or the module dead or stopped.
/// Those that come while it is busy or fails all wait for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// The module does not get them.
    #[default]
    Skip,
    /// The module gets the last of them.
    Once,
}

/// What becomes of blocks that a module has missed, because nexum was off or the module is slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CatchUp {
    /// The module gets each of them.
    #[default]
    All,
    /// The module gets a block only while it is the newest.
    Latest,
}

impl Subscription {
    /// What the events are of.
    pub fn topic(&self) -> Topic {
        match self {
            Self::Block(block) => block.topic.into(),
            Self::Logs(logs) => logs.topic.into(),
            Self::Cron(cron) => Topic::Schedule(cron.schedule.id()),
        }
    }

    /// The chain that the events are of, if they are of one.
    pub fn chain_id(&self) -> Option<ChainId> {
        self.topic().chain_id()
    }

    /// The first block, if the manifest names one.
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
