//! A runner's place in one topic.

mod chain;
mod schedule;

use std::collections::BTreeMap;
use std::sync::Arc;

use nexum_config::manifest::Subscription;
use nexum_config::topic::{ChainTopic, Topic};
use tokio::time::Instant;

use super::catch_up::CatchingUp;
use super::interest::Interest;
use super::status::ModuleStatus;
use super::transaction::Ledger;
use crate::bus::source::{Followed, SourceError};
use crate::event::{Advance, Log, Position};
use crate::module::loader::Module;
use crate::state::{Cursor, Progress};
use crate::store::StoreError;

use chain::ChainFeed;
use schedule::ScheduleFeed;

/// Where a module is in a topic, and what comes next there.
#[derive(Debug)]
pub(super) enum Feed {
    Chain(Box<ChainFeed>),
    Schedule(Box<ScheduleFeed>),
}

/// What a feed has for its runner.
#[derive(Debug)]
pub(super) enum Next {
    /// A block, with what the module wants of it.
    Block(Delivery),
    /// This time has come, in milliseconds since the Unix epoch.
    Tick(u64),
    /// Everything up to this block is done, and there was nothing in it.
    Passed(Position),
    /// What came after this block never happened.
    Revert(Position),
    /// Nothing yet: the log wakes the runner, or [`Feed::due_ms`] says when to ask again.
    Pending,
    /// The cursor's block is not on the chain that goes on, nor is any that is still known.
    Diverged { known: Position, canonical: Position },
    /// The source cannot replay now.
    Failed(SourceError),
    /// The store cannot say which blocks came before the cursor's.
    Unknown(StoreError),
    /// The source has given up.
    Closed(Arc<str>),
}

/// What a module gets of a block.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) block: Arc<Advance>,
    /// Empty: no event.
    pub(super) logs: Vec<Log>,
    /// Whether there is a `block` event.
    pub(super) block_event: bool,
    /// When the block came; none where it is history.
    pub(super) arrived: Option<Instant>,
}

impl Feed {
    /// A feed for each of a module's topics, each after its cursor. Those of `old` that read what is wanted stay where they are.
    pub(super) fn of(
        module: &Module,
        mut old: Vec<Self>,
        ledger: &Ledger,
        followed: &BTreeMap<ChainTopic, Followed>,
        status: &ModuleStatus,
    ) -> Vec<Self> {
        let mut feeds = Vec::new();
        for topic in topics(module) {
            let interest = Interest::of(&module.subscriptions, topic);
            let serves = |feed: &Self| matches!(feed, Self::Chain(feed) if feed.serves(&interest));
            if let Some(index) = old.iter().position(serves) {
                feeds.push(old.swap_remove(index));
            } else if let Some(followed) = followed.get(&topic) {
                let cursor = ledger.cursors().get(topic.into());
                let (id, store) = (ledger.id(), ledger.store().clone());
                let feed = ChainFeed::new(followed.clone(), interest, cursor, id, store, status);
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
                let cursor = ledger.cursors().get(subscription.topic());
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

    /// Where the topic begins for the module, once that is known.
    pub(super) fn live_from(&mut self) -> Option<u64> {
        match self {
            Self::Chain(feed) => feed.live_from(),
            Self::Schedule(feed) => Some(feed.live_from()),
        }
    }

    /// Goes back to what comes after the cursor.
    pub(super) fn resume(&mut self) {
        match self {
            Self::Chain(feed) => feed.resume(),
            Self::Schedule(_) => {}
        }
    }

    /// Goes back to what comes after a cursor that a reorganisation has moved.
    pub(super) fn rewind(&mut self, cursor: Option<Cursor>) {
        match self {
            Self::Chain(feed) => feed.resume(),
            Self::Schedule(feed) => feed.rewind(cursor),
        }
    }

    /// The module has not run for a while, because the operator wanted that or did not know that it was dead.
    pub(super) fn was_off(&mut self) {
        match self {
            Self::Chain(_) => {}
            Self::Schedule(feed) => feed.was_off(),
        }
    }

    /// What comes after what was handled last.
    pub(super) async fn next(&mut self, last: Option<Progress>) -> Next {
        match self {
            Self::Chain(feed) => feed.next(last).await,
            Self::Schedule(feed) => feed.next(last),
        }
    }

    /// When there will be something, if that is known: in milliseconds since the Unix epoch.
    pub(super) fn due_ms(&self) -> Option<u64> {
        match self {
            Self::Chain(_) => None,
            Self::Schedule(feed) => feed.due_ms(),
        }
    }

    /// Whether what was handed out last is history, with more of it to come.
    pub(super) fn is_replaying(&self) -> bool {
        match self {
            Self::Chain(feed) => feed.is_replaying(),
            Self::Schedule(_) => false,
        }
    }

    /// The number of the newest block that cannot be taken back. A tick is taken back with the blocks before it alone.
    pub(super) fn settled(&self) -> Option<u64> {
        match self {
            Self::Chain(feed) => Some(feed.settled()),
            Self::Schedule(_) => None,
        }
    }

    /// Has the module's status say how far it has come.
    pub(super) fn show(&self, last: Option<Progress>, status: &ModuleStatus) {
        if let Self::Chain(feed) = self {
            status.set_replaying(feed.topic(), feed.catching_up().map(CatchingUp::range));
            feed.show_behind(last);
        }
    }
}

/// Each chain that a module subscribes to.
pub(crate) fn topics(module: &Module) -> std::collections::BTreeSet<ChainTopic> {
    let topic = |subscription: &Subscription| match subscription.topic() {
        Topic::Chain(topic) => Some(topic),
        Topic::Schedule(_) => None,
    };
    module.subscriptions.iter().filter_map(topic).collect()
}
