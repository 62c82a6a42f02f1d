//! The last event of each of a module's subscriptions.

use nexum_config::manifest::Subscription;
use nexum_config::topic::{ChainTopic, Topic};

use crate::event::{Log, Position};

/// A subscription, and the last event that matched it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionMatch {
    /// The subscription.
    pub subscription: Subscription,
    /// The last event that matched it. `None` since the start of the process, or since a reload that
    /// added the subscription.
    pub last: Option<EventMatch>,
}

/// An event that matched a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventMatch {
    /// The event's block. For a tick, its number is the time of the tick in milliseconds since the
    /// Unix epoch.
    pub position: Position,
    /// The time at which nexum passed the event to the module, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// The last match of each subscription, in the order of the manifest.
#[derive(Debug)]
pub(super) struct Matches(Vec<SubscriptionMatch>);

impl Matches {
    pub(super) fn new(subscriptions: &[Subscription]) -> Self {
        let none = |subscription: &Subscription| SubscriptionMatch {
            subscription: subscription.clone(),
            last: None,
        };
        Self(subscriptions.iter().map(none).collect())
    }

    pub(super) fn all(&self) -> &[SubscriptionMatch] {
        &self.0
    }

    /// Replaces the subscriptions. A subscription that stays keeps its match.
    pub(super) fn replace(&mut self, subscriptions: &[Subscription]) {
        let earlier = std::mem::replace(self, Self::new(subscriptions));
        for new in &mut self.0 {
            let known = earlier.0.iter().find(|known| known.subscription == new.subscription);
            new.last = known.and_then(|known| known.last);
        }
    }

    /// Records the parts of a block that a module gets: its logs, and whether it gets the block
    /// event. `live_from` is the start of subscriptions without a block number. A block that comes
    /// again keeps the time of its first match. Returns a bit for each of the first 64 subscriptions, which is set if it
    /// matches.
    pub(super) fn block(
        &mut self,
        topic: ChainTopic,
        position: Position,
        (logs, block_event): (&[Log], bool),
        live_from: u64,
        now_ms: impl Fn() -> u64,
    ) -> u64 {
        let (mut bits, mut bit) = (0, 1_u64);
        for one in &mut self.0 {
            let matches = match &one.subscription {
                Subscription::Block(block) => block_event && block.topic == topic,
                Subscription::Logs(wanted) => {
                    wanted.topic == topic
                        && position.number >= wanted.from_block.unwrap_or(live_from)
                        && logs.iter().any(|log| wanted.filter.matches(&log.address, &log.topics))
                }
                _ => false,
            };
            if matches && one.last.is_none_or(|last| last.position != position) {
                let at_ms = now_ms();
                one.last = Some(EventMatch { position, at_ms });
            }
            bits |= if matches { bit } else { 0 };
            bit = bit.checked_shl(1).unwrap_or_default();
        }
        bits
    }

    /// Records a tick of a schedule.
    pub(super) fn tick(&mut self, topic: Topic, position: Position, now_ms: impl Fn() -> u64) {
        let ticks = |one: &&mut SubscriptionMatch| {
            matches!(one.subscription, Subscription::Cron(_)) && one.subscription.topic() == topic
        };
        for one in self.0.iter_mut().filter(ticks) {
            if one.last.is_none_or(|last| last.position != position) {
                let at_ms = now_ms();
                one.last = Some(EventMatch { position, at_ms });
            }
        }
    }
}
