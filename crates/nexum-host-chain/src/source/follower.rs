//! Brings a log to an endpoint's head and keeps it there.

use alloy_pubsub::RawSubscription;
use nexum_core::event::Position;
use nexum_core::log::EventLog;
use tokio::sync::broadcast::error::RecvError;

use super::header::Header;
use super::{BlockSource, FollowError};
use crate::backoff::Backoff;
use crate::config::REORG_DEPTH_MAX;

/// How often the log is brought nearer to one head, when the chain changes meanwhile, before the endpoint is left alone for a
/// while. Each round ends a reorg, and no chain has that many at once.
const ROUNDS_MAX: usize = 16;

/// One run of [`BlockSource::follow`](nexum_core::source::EventSource::follow).
pub(super) struct Follower<'a> {
    source: &'a BlockSource,
    log: &'a EventLog,
    /// The number of the block that this run began the log with. Nobody has been told of a block below it.
    first: Option<u64>,
    backoff: Backoff,
    /// Whether the failure in hand has been reported, so that an outage fills no log.
    reported: bool,
}

/// What became of an attempt to reach a head.
enum Step {
    /// The log is at the head, or as near as it can be now.
    Done,
    /// The log and the chain part at or below this number.
    Forked(u64),
}

impl<'a> Follower<'a> {
    pub(super) fn new(source: &'a BlockSource, log: &'a EventLog) -> Self {
        Self {
            source,
            log,
            first: None,
            backoff: Backoff::default(),
            reported: false,
        }
    }

    /// Follows for ever. Returns what waiting cannot mend.
    pub(super) async fn follow(mut self) -> FollowError {
        loop {
            let Err(error) = self.session().await;
            if error.is_final() {
                return error;
            }
            self.source.endpoint.reset();
            let wait = self.backoff.next();
            self.report(&error);
            tokio::time::sleep(wait).await;
        }
    }

    fn report(&mut self, error: &FollowError) {
        let (chain, endpoint) = (self.source.chain_id, self.source.endpoint.url());
        if self.reported {
            tracing::debug!(chain, %endpoint, %error, "the chain can still not be followed");
        } else {
            tracing::warn!(chain, %endpoint, %error, "the chain cannot be followed, trying again until it can");
        }
        self.reported = true;
    }

    /// Follows until something fails.
    async fn session(&mut self) -> Result<std::convert::Infallible, FollowError> {
        // Subscribed before the head is asked for, so that no block falls between the two.
        let heads = self.source.endpoint.heads().await?;
        let head = self.source.latest().await?;
        self.reach(head).await?;
        self.backoff.reset();
        self.reported = false;
        let pushed = heads.is_some();
        tracing::info!(
            chain = self.source.chain_id,
            endpoint = %self.source.endpoint.url(),
            head = head.position.number,
            pushed,
            "following the chain"
        );
        match heads {
            Some(heads) => self.take_pushed(heads).await,
            None => self.ask().await,
        }
    }

    async fn take_pushed(&mut self, mut heads: RawSubscription) -> Result<std::convert::Infallible, FollowError> {
        loop {
            match heads.recv().await {
                Ok(head) => self.reach(Header::parse(&head)?.ok_or(FollowError::BadHeader)?).await?,
                // The heads lost are read by number when the next one comes.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(FollowError::HeadsEnded),
            }
        }
    }

    async fn ask(&mut self) -> Result<std::convert::Infallible, FollowError> {
        loop {
            tokio::time::sleep(self.source.poll_interval).await;
            let head = self.source.latest().await?;
            self.reach(head).await?;
        }
    }

    /// Brings the log to a head. When it cannot be reached now, because the endpoint has not got all of its blocks or has left
    /// it behind already, the next head does it.
    async fn reach(&mut self, head: Header) -> Result<(), FollowError> {
        for _ in 0..ROUNDS_MAX {
            let Some(tip) = self.log.head() else {
                self.first = Some(head.position.number);
                self.append(&head);
                return Ok(());
            };
            let step = if head.position.number > tip.number {
                self.extend(tip, &head).await?
            } else {
                self.compare(&head).await?
            };
            match step {
                Step::Done => return Ok(()),
                // Where the log's own head is canonical, this head no longer is.
                Step::Forked(number) if !self.revert(number).await? => return Ok(()),
                Step::Forked(_) => {}
            }
        }
        Err(FollowError::Unsettled)
    }

    /// Appends the blocks after `tip` up to and with `head`.
    async fn extend(&self, mut tip: Position, head: &Header) -> Result<Step, FollowError> {
        while tip.number + 1 < head.position.number {
            let blocks = self.source.blocks(tip.number + 1..=head.position.number - 1).await?;
            if blocks.is_empty() {
                return Ok(Step::Done);
            }
            for block in &blocks {
                if block.parent_hash != tip.hash {
                    return Ok(Step::Forked(tip.number));
                }
                self.append(block);
                tip = block.position;
            }
        }
        if head.parent_hash != tip.hash {
            return Ok(Step::Forked(tip.number));
        }
        self.append(head);
        Ok(Step::Done)
    }

    /// Looks at a head that is not above the log's. Most are duplicates, or late.
    async fn compare(&self, head: &Header) -> Result<Step, FollowError> {
        let Position { number, hash } = head.position;
        match self.log.hash_at(number) {
            Some(held) if held != hash => {}
            _ => return Ok(Step::Done),
        }
        let canonical = self.source.block(number).await?;
        let is_canonical = canonical.is_some_and(|block| block.position == head.position);
        Ok(if is_canonical { Step::Forked(number) } else { Step::Done })
    }

    /// Reverts the log to the newest block, at or below `number`, that it has in common with the chain. Returns false if that is
    /// the log's own head.
    async fn revert(&self, number: u64) -> Result<bool, FollowError> {
        let Some(tip) = self.log.head() else { return Ok(false) };
        let lowest = tip.number.saturating_sub(REORG_DEPTH_MAX);
        for number in (lowest..=number).rev() {
            let held = self.log.hash_at(number);
            // Below the first block everything is as good as held.
            let untold = held.is_none() && self.first.is_some_and(|first| number < first);
            if held.is_none() && !untold {
                break;
            }
            let Some(block) = self.source.block(number).await? else {
                continue;
            };
            if block.position == tip {
                return Ok(false);
            }
            if untold || held == Some(block.position.hash) {
                let depth = tip.number - number;
                tracing::info!(chain = self.source.chain_id, depth, from = %tip, to = %block.position, "the chain was reorganised");
                self.log.revert(block.position);
                return Ok(true);
            }
        }
        Err(FollowError::TooDeep { tip })
    }

    fn append(&self, block: &Header) {
        self.log.append(block.advance(self.source.chain_id));
    }
}
