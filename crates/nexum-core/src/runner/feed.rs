//! A runner's position in one topic.

mod chain;
mod schedule;

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::manifest::Subscription;
use nexum_config::topic::{ChainTopic, Topic};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::place::Place;
use super::subscription_set::SubscriptionSet;
use crate::bus::log::Origin;
use crate::bus::source::{SourceError, TopicHandle};
use crate::event::{Advance, Log, Position};
use crate::module::loader::Module;
use crate::state::{Cursor, Cursors, ModuleId, Progress};
use crate::store::{StateStore, StoreError};

use chain::ChainFeed;
use schedule::ScheduleFeed;

/// A module's position in a topic, and the source of its next event there.
#[derive(Debug)]
pub(super) enum Feed {
    Chain(Box<ChainFeed>),
    Schedule(Box<ScheduleFeed>),
}

/// The next step of a feed for its runner.
#[derive(Debug)]
pub(super) enum Next {
    /// A block, with the parts of it that the module subscribes to.
    Block(Delivery),
    /// A time of the schedule has come, in milliseconds since the Unix epoch.
    Tick(u64),
    /// The module has passed every block up to this one, and there was no event for it.
    Passed(Position),
    /// A reorganisation removed the blocks after this one.
    Revert(Position),
    /// There is no event yet. The log wakes the runner, or [`Feed::due_ms`] gives the next time.
    Pending,
    /// The cursor's block is not on the canonical chain, and neither is any older block that nexum
    /// knows.
    Diverged { known: Position, canonical: Position },
    /// The source cannot replay now. The feed has reported it.
    Failed(SourceError),
    /// The store cannot read the blocks before the cursor's.
    Unknown(StoreError),
    /// The source has given up.
    Closed(Arc<str>),
}

/// The events of a block for a module.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) block: Arc<Advance>,
    /// The logs of the logs event. Empty if there is no such event.
    pub(super) logs: Vec<Log>,
    /// Whether there is a `block` event.
    pub(super) block_event: bool,
    /// The time at which the block arrived. `None` for a replayed block.
    pub(super) arrived: Option<Instant>,
    /// The endpoint that reported the block, if the source says it.
    pub(super) origin: Option<Arc<Origin>>,
}

/// A module's position in the store, and the notification that wakes its runner.
pub(super) struct Anchor<'a> {
    pub(super) module: ModuleId,
    pub(super) cursors: &'a Cursors,
    pub(super) store: &'a Arc<dyn StateStore>,
    pub(super) wake: &'a Arc<Notify>,
    /// Whether a module without a cursor begins with the first block of the run.
    pub(super) is_initial: bool,
}

impl Feed {
    /// Creates a feed for each of a module's topics, positioned after its cursor. A feed of `old`
    /// with unchanged subscriptions keeps its position.
    pub(super) fn of(
        module: &Module,
        mut old: Vec<Self>,
        anchor: &Anchor<'_>,
        followed: &BTreeMap<ChainTopic, TopicHandle>,
    ) -> Vec<Self> {
        let mut feeds = Vec::new();
        for topic in topics(module) {
            let subscriptions = SubscriptionSet::of(&module.subscriptions, topic);
            let serves = |feed: &Self| matches!(feed, Self::Chain(feed) if feed.serves(&subscriptions));
            if let Some(index) = old.iter().position(serves) {
                feeds.push(old.swap_remove(index));
            } else if let Some(followed) = followed.get(&topic) {
                let feed = ChainFeed::new(followed.clone(), subscriptions, anchor, &module.meta);
                feeds.push(Self::Chain(Box::new(feed)));
            }
        }
        for subscription in &module.subscriptions {
            let Subscription::Cron(wanted) = subscription else {
                continue;
            };
            let serves = |feed: &Self| matches!(feed, Self::Schedule(feed) if feed.serves(wanted));
            if let Some(index) = old.iter().position(serves) {
                feeds.push(old.swap_remove(index));
            } else {
                let cursor = anchor.cursors.get(subscription.topic());
                let clock = module.meta.clock.clone();
                let feed = ScheduleFeed::new(wanted.clone(), cursor, clock);
                feeds.push(Self::Schedule(Box::new(feed)));
            }
        }
        feeds
    }

    pub(super) fn topic(&self) -> Topic {
        match self {
            Self::Chain(feed) => feed.topic().into(),
            Self::Schedule(feed) => feed.topic(),
        }
    }

    /// The number at which the topic starts for the module, once it is known.
    pub(super) fn live_from(&mut self) -> Option<u64> {
        match self {
            Self::Chain(feed) => feed.live_from(),
            Self::Schedule(feed) => Some(feed.live_from()),
        }
    }

    /// Returns to the position after the cursor.
    pub(super) fn resume(&mut self) {
        match self {
            Self::Chain(feed) => feed.resume(),
            Self::Schedule(_) => {}
        }
    }

    /// Returns to the position after `cursor`, which a reorganisation has moved.
    pub(super) fn rewind(&mut self, cursor: Option<Cursor>) {
        match self {
            Self::Chain(feed) => feed.resume(),
            Self::Schedule(feed) => feed.rewind(cursor),
        }
    }

    /// Records that the module was dead or stopped until now.
    pub(super) fn was_off(&mut self) {
        match self {
            Self::Chain(_) => {}
            Self::Schedule(feed) => feed.was_off(),
        }
    }

    /// The next step after the event that was handled last.
    pub(super) async fn next(&mut self, last: Option<Progress>) -> Next {
        match self {
            Self::Chain(feed) => feed.next(last).await,
            Self::Schedule(feed) => feed.next(last),
        }
    }

    /// Updates the position in the module's status.
    pub(super) fn reach(&self, last: Option<Progress>) {
        match self {
            Self::Chain(feed) => feed.reach(last),
            Self::Schedule(feed) => feed.reach(last),
        }
    }

    /// The position, for the module's status.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Chain(feed) => Place::Chain(feed.place().clone()),
            Self::Schedule(feed) => Place::Schedule(feed.place().clone()),
        }
    }

    /// The time of the next event, if it is known, in milliseconds since the Unix epoch.
    pub(super) fn due_ms(&self) -> Option<u64> {
        match self {
            Self::Chain(_) => None,
            Self::Schedule(feed) => feed.due_ms(),
        }
    }

    /// Whether the feed's chain does not advance or cannot be read now.
    pub(super) fn has_trouble(&self) -> bool {
        match self {
            Self::Chain(feed) => feed.has_trouble(),
            Self::Schedule(_) => false,
        }
    }

    /// Whether the last event is a replayed one, and more of them follow.
    pub(super) fn is_replaying(&self) -> bool {
        match self {
            Self::Chain(feed) => feed.is_replaying(),
            Self::Schedule(_) => false,
        }
    }

    /// The number of the newest final block. `None` for a schedule: nexum reverts a tick only
    /// together with the blocks before it.
    pub(super) fn settled(&self) -> Option<u64> {
        match self {
            Self::Chain(feed) => Some(feed.settled()),
            Self::Schedule(_) => None,
        }
    }
}

/// All chains that a module subscribes to.
pub(crate) fn topics(module: &Module) -> std::collections::BTreeSet<ChainTopic> {
    let topic = |subscription: &Subscription| match subscription.topic() {
        Topic::Chain(topic) => Some(topic),
        Topic::Schedule(_) => None,
    };
    module.subscriptions.iter().filter_map(topic).collect()
}

/// For each topic, returns the number of the newest final block. A chain that the module no longer
/// follows counts as one that stands still: a reorganisation may revert its last block before the
/// module follows it again.
pub(super) fn settled(feeds: &[Feed]) -> impl Fn(Topic) -> Option<u64> + Sync + '_ {
    |topic| match feeds.iter().find(|feed| feed.topic() == topic) {
        Some(feed) => feed.settled(),
        None => topic.has_reorganisations().then_some(0),
    }
}
