//! A module's subscriptions to one topic.

use std::sync::Arc;

use nexum_config::log_filter::LogFilter;
use nexum_config::manifest::{CatchUp, Subscription};
use nexum_config::topic::ChainTopic;

use crate::event::{Advance, Log};

/// A module's subscriptions to one topic.
///
/// A subscription starts at the block that it names. Without one, it starts at `live_from`: the
/// first new block of the chain after the module's first start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionSet {
    topic: ChainTopic,
    blocks: Option<Blocks>,
    logs: Vec<Logs>,
}

#[derive(Debug, PartialEq, Eq)]
struct Blocks {
    from: Option<u64>,
    catch_up: CatchUp,
}

#[derive(Debug, PartialEq, Eq)]
struct Logs {
    from: Option<u64>,
    filter: LogFilter,
}

impl SubscriptionSet {
    pub(crate) fn of(subscriptions: &[Subscription], topic: ChainTopic) -> Self {
        let mut set = Self {
            topic,
            blocks: None,
            logs: Vec::new(),
        };
        for subscription in subscriptions
            .iter()
            .filter(|subscription| subscription.topic() == topic.into())
        {
            match subscription {
                Subscription::Block(block) => {
                    set.blocks = Some(Blocks {
                        from: block.from_block,
                        catch_up: block.catch_up,
                    });
                }
                Subscription::Logs(logs) => set.logs.push(Logs {
                    from: logs.from_block,
                    filter: logs.filter.clone(),
                }),
                _ => {}
            }
        }
        set
    }

    pub(crate) fn filters(&self) -> impl Iterator<Item = &LogFilter> {
        self.logs.iter().map(|logs| &logs.filter)
    }

    /// The first block of any of these subscriptions.
    pub(crate) fn first(&self, live_from: u64) -> u64 {
        let blocks = self.blocks.iter().map(|blocks| blocks.from);
        let starts = blocks.chain(self.logs.iter().map(|logs| logs.from));
        starts.map(|from| from.unwrap_or(live_from)).min().unwrap_or(live_from)
    }

    /// Whether the module subscribes to the block event of this block number. `head` returns the
    /// newest known number.
    pub(crate) fn wants_block(&self, number: u64, live_from: u64, head: impl Fn() -> Option<u64>) -> bool {
        self.blocks.as_ref().is_some_and(|blocks| {
            number >= blocks.from.unwrap_or(live_from)
                && (blocks.catch_up == CatchUp::All || head().is_none_or(|head| number >= head))
        })
    }

    /// Whether a module that catches up needs every missed block, not only the blocks with its
    /// logs.
    pub(super) fn wants_every_block(&self) -> bool {
        self.blocks
            .as_ref()
            .is_some_and(|blocks| blocks.catch_up == CatchUp::All)
    }

    pub(super) fn wants_logs(&self) -> bool {
        !self.logs.is_empty()
    }

    /// The module's logs of a block. The logs at `places` match at least one of its filters.
    pub(super) fn pick(&self, block: &Arc<Advance>, places: &[u32], live_from: u64) -> Vec<Log> {
        let begun = |logs: &Logs| block.position.number >= logs.from.unwrap_or(live_from);
        let all_begun = self.logs.iter().all(begun);
        let found = places
            .iter()
            .filter_map(|place| usize::try_from(*place).ok().and_then(|place| block.logs.get(place)));
        let wanted = |log: &&Log| {
            all_begun
                || self
                    .logs
                    .iter()
                    .any(|logs| begun(logs) && logs.filter.matches(&log.address, &log.topics))
        };
        found.filter(wanted).cloned().collect()
    }

    /// Does the work of [`pick`](Self::pick) for a block whose logs no router has matched.
    pub(crate) fn pick_unrouted(&self, block: &Arc<Advance>, live_from: u64) -> Vec<Log> {
        let matches = |log: &Log| self.filters().any(|filter| filter.matches(&log.address, &log.topics));
        let places: Vec<u32> = (0..)
            .zip(&block.logs)
            .filter(|(_, log)| matches(log))
            .map(|(place, _)| place)
            .collect();
        self.pick(block, &places, live_from)
    }
}
