//! Where a chain's heads come from: announced by an endpoint, or asked for.

use std::time::Duration;

use nexum_core::source::Position;
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::header::{self, Header};
use super::{BLOCKS_PER_BATCH, FollowError};
use crate::rpc::endpoint::{self, Endpoint};

/// How long an endpoint that announces heads may be silent before it is asked: a slot of Ethereum and a quarter, so that it is
/// hardly ever asked in vain, and a subscription that died in silence costs no more than a block.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A head, and the blocks below it that were announced before it and not looked at yet.
pub(super) struct Announced {
    pub(super) head: Header,
    /// Oldest first, each the parent of the one after it.
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

    /// Puts a block on top if it is the head's child, and gives it back otherwise.
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
    /// One that has been announced and is not the child of the one before it.
    next: Option<Header>,
    poll_interval: Duration,
    /// Whether blocks are missing that should come soon, head or no head.
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

    /// The next head, new or not. Of several that were announced meanwhile it is the newest of those that follow each other, so
    /// that their logs can be asked for together.
    ///
    /// Nothing is lost if this is dropped while it waits.
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

    /// What an endpoint announces is a hint until one of its heads has been its block of that number: some networks announce
    /// headers with other hashes than their blocks have.
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

    /// The oldest head that was announced; none when it is time to ask.
    async fn first(&mut self) -> Result<Option<Header>, FollowError> {
        /// How soon an endpoint is asked again that has announced a head before it had the blocks below.
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
                // The heads lost are read by number when the next one comes.
                Ok(Err(RecvError::Lagged(_))) => {}
                Ok(Err(RecvError::Closed)) => return Err(FollowError::HeadsEnded),
            }
        }
    }

    /// The next head that has been announced already, if heads were announced without a gap.
    fn waiting(&mut self) -> Result<Option<Header>, FollowError> {
        let Some(pushed) = &mut self.pushed else {
            return Ok(None);
        };
        match pushed.try_recv() {
            Ok(head) => read(&head).map(Some),
            // Whoever waits for the next one hears of it.
            Err(TryRecvError::Empty | TryRecvError::Closed | TryRecvError::Lagged(_)) => Ok(None),
        }
    }
}

fn read(head: &RawValue) -> Result<Header, FollowError> {
    Header::parse(head)?.ok_or(FollowError::BadHeader)
}
