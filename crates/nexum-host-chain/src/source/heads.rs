//! The heads of a chain: announced by an endpoint, or polled.

use std::sync::Arc;
use std::time::Duration;

use nexum_core::source::{Origin, Position};
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::header::{self, Header};
use super::{BLOCKS_PER_BATCH, FollowError};
use crate::rpc::endpoint::{self, Endpoint};

/// The longest silence of an endpoint that announces heads before nexum requests the head: a slot
/// of Ethereum and a quarter. So the request is seldom needless, and a subscription that died
/// silently costs at most one block.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A head, and the unread blocks below it that were announced before it.
pub(super) struct Announced {
    pub(super) head: Header,
    /// Oldest first, each the parent of the next.
    below: Vec<Header>,
}

impl Announced {
    /// The endpoint's latest block.
    pub(super) async fn latest(endpoint: &Endpoint) -> Result<Self, FollowError> {
        let head = header::tagged(endpoint, "latest")
            .await?
            .ok_or(FollowError::BadHeader)?;
        let below = Vec::new();
        Ok(Self { head, below })
    }

    /// The position of the oldest of these blocks.
    pub(super) fn first(&self) -> Position {
        self.below.first().unwrap_or(&self.head).position
    }

    /// The oldest of these blocks above this number, or the head.
    pub(super) fn above(&self, number: u64) -> &Header {
        let is_above = |block: &&Header| block.position.number > number;
        self.below.iter().find(is_above).unwrap_or(&self.head)
    }

    /// The child of this block and what comes after it. Empty if its child is not among these blocks.
    pub(super) fn after(&self, parent: Position) -> Vec<Header> {
        let blocks = self.below.iter().chain([&self.head]);
        blocks.skip_while(|block| !block.follows(parent)).cloned().collect()
    }

    /// Adds a block on top if it is the head's child, else returns it.
    fn push(&mut self, block: Header) -> Option<Header> {
        if !block.follows(self.head.position) {
            return Some(block);
        }
        self.below.push(std::mem::replace(&mut self.head, block));
        None
    }
}

/// The heads of one endpoint.
pub(super) struct Heads {
    pushed: Option<endpoint::Heads>,
    /// An announced head that is not the child of the one before it.
    next: Option<Header>,
    poll_interval: Duration,
    /// Whether blocks are missing that should arrive soon, with or without a new head.
    pub(super) soon: bool,
}

impl Heads {
    pub(super) fn new(pushed: Option<endpoint::Heads>, poll_interval: Duration) -> Self {
        Self {
            pushed,
            next: None,
            poll_interval,
            soon: false,
        }
    }

    /// Whether the endpoint announces its heads.
    pub(super) fn are_pushed(&self) -> bool {
        self.pushed.is_some()
    }

    /// How the endpoint's blocks come: `earlier` if nothing has changed.
    pub(super) fn origin(&self, endpoint: &Endpoint, earlier: Option<Arc<Origin>>) -> Arc<Origin> {
        let (label, pushed) = (endpoint.label(), self.are_pushed());
        let earlier = earlier.filter(|origin| origin.endpoint == label && origin.pushed == pushed);
        earlier.unwrap_or_else(|| {
            let endpoint = label.to_owned();
            Arc::new(Origin { endpoint, pushed })
        })
    }

    /// The next head, new or not. If several consecutive heads were announced meanwhile, the newest
    /// of them, so that their logs can be requested together.
    ///
    /// Cancel-safe: dropping the future while it waits loses nothing.
    pub(super) async fn next(&mut self, endpoint: &Endpoint) -> Result<Announced, FollowError> {
        let Some(head) = self.first().await? else {
            return Announced::latest(endpoint).await;
        };
        let below = Vec::new();
        let mut announced = Announced { head, below };
        while (announced.below.len() as u64) < BLOCKS_PER_BATCH - 1
            && let Some(block) = self.waiting()?
        {
            self.next = announced.push(block);
            if self.next.is_some() {
                break;
            }
        }
        match endpoint.announces_truly() {
            true => Ok(announced),
            false => Self::verified(endpoint, announced).await,
        }
    }

    /// Checks an announced head, until one of the endpoint's heads has proved to be its block of
    /// that number: some networks announce headers with other hashes than their blocks have.
    async fn verified(endpoint: &Endpoint, announced: Announced) -> Result<Announced, FollowError> {
        match header::numbered(endpoint, announced.head.position.number).await? {
            Some(block) if block.position == announced.head.position => {
                endpoint.announced_truly();
                Ok(announced)
            }
            Some(head) => {
                let below = Vec::new();
                Ok(Announced { head, below })
            }
            None => Announced::latest(endpoint).await,
        }
    }

    /// The oldest announced head. None if it is time to poll.
    async fn first(&mut self) -> Result<Option<Header>, FollowError> {
        /// The wait before the next poll of an endpoint that announced a head before it had the
        /// blocks below.
        const SOON: Duration = Duration::from_millis(200);
        if let Some(next) = self.next.take() {
            return Ok(Some(next));
        }
        let wait = match (self.soon, &self.pushed) {
            (true, _) => SOON.min(self.poll_interval),
            (false, Some(_)) => SILENCE_MAX,
            (false, None) => self.poll_interval,
        };
        let Some(pushed) = &mut self.pushed else {
            tokio::time::sleep(wait).await;
            return Ok(None);
        };
        loop {
            match tokio::time::timeout(wait, pushed.recv()).await {
                Err(_) => return Ok(None),
                Ok(Ok(head)) => return read(&head).map(Some),
                // The source reads lost heads by number after the next head.
                Ok(Err(RecvError::Lagged(_))) => {}
                Ok(Err(RecvError::Closed)) => return Err(FollowError::HeadsEnded),
            }
        }
    }

    /// The next head that is already announced, if no head was lost before it.
    fn waiting(&mut self) -> Result<Option<Header>, FollowError> {
        let Some(pushed) = &mut self.pushed else {
            return Ok(None);
        };
        match pushed.try_recv() {
            Ok(head) => read(&head).map(Some),
            // The next wait for a head reports the condition.
            Err(TryRecvError::Empty | TryRecvError::Closed | TryRecvError::Lagged(_)) => Ok(None),
        }
    }
}

fn read(head: &RawValue) -> Result<Header, FollowError> {
    Header::parse(head)?.ok_or(FollowError::BadHeader)
}
