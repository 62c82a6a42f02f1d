//! Brings a chain's logs to its head and keeps them there.

use std::sync::Arc;
use std::time::Duration;

use nexum_core::event::{Finality, Position};
use nexum_core::log::EventLog;
use nexum_core::source::ChainLogs;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::filters::Filters;
use super::header::{self, Header};
use super::{ChainSource, FollowError};
use crate::backoff::Backoff;
use crate::endpoint::{self, Endpoint};
use crate::endpoints::BLOCKS_BEHIND_MAX;

/// How long an endpoint that announces heads may be silent before it is asked: a slot of Ethereum and a quarter, so that it is
/// hardly ever asked in vain, and a subscription that died in silence costs no more than a block.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// How often a log is brought nearer to one head, when the chain changes meanwhile, before the endpoint is left alone for a
/// while. Each round ends a reorg, and no chain has that many at once.
const ROUNDS_MAX: usize = 16;

/// One run of [`EventSource::follow`](nexum_core::source::EventSource::follow).
pub(super) struct Follower<'a> {
    pub(super) source: &'a ChainSource,
    pub(super) logs: &'a ChainLogs,
    /// The chain up to its head, which the other logs follow. There is one even if no module reads it.
    pub(super) latest: Arc<EventLog>,
    pub(super) filters: Filters,
    backoff: Backoff,
    /// Whether the failure in hand has been reported, so that an outage fills no log.
    reported: bool,
    /// Whether it has been reported that an endpoint does not know a tag.
    pub(super) untagged: bool,
}

/// What became of an attempt to reach a head.
pub(super) enum Step {
    /// The log is at the head, or there is no reason to move it.
    Done,
    /// The log is as near to the head as it can be now: the endpoint does not have the blocks in between yet.
    Waiting,
    /// The log and the chain part at or below this number.
    Forked(u64),
}

impl<'a> Follower<'a> {
    pub(super) fn new(source: &'a ChainSource, logs: &'a ChainLogs) -> Self {
        let latest = logs.get(Finality::Latest).cloned();
        let latest = latest.unwrap_or_else(|| ChainLogs::new(source.chain_id).open(Finality::Latest));
        Self {
            source,
            logs,
            latest,
            filters: Filters::new(&logs.filters()),
            backoff: Backoff::default(),
            reported: false,
            untagged: false,
        }
    }

    /// Follows for ever. Returns what waiting cannot mend.
    pub(super) async fn follow(mut self) -> FollowError {
        loop {
            let endpoint = self.source.endpoints.preferred();
            let before = self.latest.head();
            let Err(error) = self.session(&endpoint).await else {
                continue;
            };
            if error.is_final() {
                return error;
            }
            if self.latest.head() != before {
                self.backoff.reset();
            }
            self.blame(&endpoint, &error);
            self.report(&endpoint, &error);
            let wait = self.backoff.next();
            // One that works is gone over to at once; those that do not work are not tried in turn without a pause.
            let better = self.source.endpoints.by_preference().into_iter().next();
            if better.is_none_or(|better| Arc::ptr_eq(&better, &endpoint)) {
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// An endpoint that did not fail in a request may still be at fault.
    fn blame(&self, endpoint: &Endpoint, error: &FollowError) {
        match error {
            FollowError::Request(_) => {}
            FollowError::Stalled(_) => {
                self.source.metrics.stalls.increment(1);
                self.source.endpoints.rest(endpoint, "it has no new heads");
            }
            FollowError::Alone => self
                .source
                .endpoints
                .rest(endpoint, "it is on another fork than the others"),
            // The next connection may lead to another node.
            _ => endpoint.reset(),
        }
    }

    fn report(&mut self, endpoint: &Endpoint, error: &FollowError) {
        let (chain, endpoint) = (self.source.chain_id, endpoint.label());
        if self.reported {
            tracing::debug!(chain, endpoint, %error, "the chain can still not be followed");
        } else {
            tracing::warn!(chain, endpoint, %error, "the chain cannot be followed, trying again until it can");
        }
        self.reported = true;
    }

    /// Follows until something fails, or until another endpoint is better.
    async fn session(&mut self, endpoint: &Arc<Endpoint>) -> Result<(), FollowError> {
        // Subscribed before the head is asked for, so that no block falls between the two.
        let mut heads = Heads {
            pushed: endpoint.heads().await?,
            poll_interval: Duration::from_millis(self.source.config.poll_interval_ms),
            soon: false,
        };
        let mut head = latest(endpoint).await?;
        heads.soon = self.reach(endpoint, &head).await?;
        self.backoff.reset();
        self.reported = false;
        tracing::info!(
            chain = self.source.chain_id,
            endpoint = endpoint.label(),
            head = head.position.number,
            pushed = heads.pushed.is_some(),
            "following the chain"
        );
        let stall = Duration::from_secs(self.source.config.head_stall_seconds);
        let mut stalls_at = Instant::now() + stall;
        loop {
            let next = tokio::select! {
                next = heads.next(endpoint) => next?,
                () = self.source.endpoints.changed(endpoint) => return Ok(()),
                () = tokio::time::sleep_until(stalls_at) => {
                    return Err(FollowError::Stalled(self.source.config.head_stall_seconds));
                }
            };
            if next.position != head.position {
                stalls_at = Instant::now() + stall;
            }
            head = next;
            heads.soon = self.reach(endpoint, &head).await?;
        }
    }

    /// Brings every log as near to the head as it can be. Returns whether something is missing that should come soon.
    async fn reach(&mut self, endpoint: &Arc<Endpoint>, head: &Header) -> Result<bool, FollowError> {
        let source = self.source;
        source.endpoints.saw_head(endpoint, head.position.number);
        let is_far_behind = |tip: u64| head.position.number.saturating_add(BLOCKS_BEHIND_MAX) < tip;
        if self.latest.head().is_some_and(|tip| is_far_behind(tip.number)) {
            tracing::debug!(
                chain = source.chain_id,
                head = head.position.number,
                "the endpoint is behind: its head is ignored"
            );
            return Ok(false);
        }
        let waiting = self.reach_latest(endpoint, head).await?;
        if let Some(tip) = self.latest.head() {
            source.metrics.head_number.set(tip.number as f64);
        }
        source
            .metrics
            .head_timestamp_seconds
            .set(head.timestamp_ms as f64 / 1e3);
        self.settle(endpoint).await?;
        Ok(waiting)
    }

    async fn reach_latest(&self, endpoint: &Arc<Endpoint>, head: &Header) -> Result<bool, FollowError> {
        for _ in 0..ROUNDS_MAX {
            let step = match self.latest.head() {
                None => self.begin(endpoint, head).await?,
                Some(tip) if head.position.number > tip.number => self.extend(endpoint, head).await?,
                Some(_) => self.compare(endpoint, head).await?,
            };
            match step {
                Step::Done => return Ok(false),
                Step::Waiting => return Ok(true),
                Step::Forked(number) => {
                    if !self.revert(endpoint, number, head).await? {
                        return Ok(false);
                    }
                }
            }
        }
        Err(FollowError::Unsettled)
    }

    /// Begins the log with a head, on top of as much of its past as a reorganisation may take back: modules may know that.
    async fn begin(&self, endpoint: &Arc<Endpoint>, head: &Header) -> Result<Step, FollowError> {
        let depth = self.source.config.reorg_depth_max.min(head.position.number);
        let mut known: Vec<Position> = Vec::new();
        let mut next = head.position.number - depth;
        while next < head.position.number {
            let headers = header::chain_of(endpoint, next..=head.position.number - 1).await?;
            let follows = |header: &Header| known.last().is_none_or(|last| header.parent_hash == last.hash);
            match headers.first() {
                None => return Err(FollowError::NoBlock(next)),
                Some(first) if !follows(first) => return Err(FollowError::Unsettled),
                Some(_) => known.extend(headers.iter().map(|header| header.position)),
            }
            next = known.last().map_or(next, |last| last.number + 1);
        }
        if known.last().is_some_and(|last| head.parent_hash != last.hash) {
            return Err(FollowError::Unsettled);
        }
        // Read before anything is changed, so that a failure leaves the log empty.
        let blocks = self
            .source
            .with_logs(endpoint, vec![head.clone()], &self.filters)
            .await?;
        self.latest.seed(&known);
        blocks.into_iter().for_each(|block| self.latest.append(block));
        Ok(Step::Done)
    }

    /// Appends the blocks up to a head that is above the log's.
    async fn extend(&self, endpoint: &Arc<Endpoint>, head: &Header) -> Result<Step, FollowError> {
        while let Some(tip) = self.latest.head() {
            let next = tip.number.saturating_add(1);
            if next >= head.position.number {
                if head.parent_hash != tip.hash {
                    return Ok(Step::Forked(tip.number));
                }
                self.append(endpoint, vec![head.clone()]).await?;
                return Ok(Step::Done);
            }
            let headers = header::chain_of(endpoint, next..=head.position.number - 1).await?;
            match headers.first() {
                None => return Ok(Step::Waiting),
                Some(first) if first.parent_hash != tip.hash => return Ok(Step::Forked(tip.number)),
                Some(_) => self.append(endpoint, headers).await?,
            }
        }
        Ok(Step::Done)
    }

    /// Appends blocks to the log of the head, once their logs are known.
    async fn append(&self, endpoint: &Arc<Endpoint>, headers: Vec<Header>) -> Result<(), FollowError> {
        let blocks = self.source.with_logs(endpoint, headers, &self.filters).await?;
        blocks.into_iter().for_each(|block| self.latest.append(block));
        Ok(())
    }

    /// Looks at a head that is not above the log's. Most are duplicates, or late.
    async fn compare(&self, endpoint: &Endpoint, head: &Header) -> Result<Step, FollowError> {
        let number = head.position.number;
        match self.latest.hash_at(number) {
            Some(held) if held != head.position.hash => {}
            _ => return Ok(Step::Done),
        }
        let canonical = header::numbered(endpoint, number).await?;
        let is_canonical = canonical.is_some_and(|block| block.position == head.position);
        Ok(if is_canonical { Step::Forked(number) } else { Step::Done })
    }
}

/// Where heads come from.
struct Heads {
    pushed: Option<endpoint::Heads>,
    poll_interval: Duration,
    /// Whether blocks are missing that should come soon, head or no head.
    soon: bool,
}

impl Heads {
    /// The next head, new or not.
    async fn next(&mut self, endpoint: &Endpoint) -> Result<Header, FollowError> {
        /// How soon an endpoint is asked again that has announced a head before it had the blocks below.
        const SOON: Duration = Duration::from_millis(200);
        let wait = match (self.soon, &self.pushed) {
            (true, _) => SOON.min(self.poll_interval),
            (false, Some(_)) => SILENCE_MAX,
            (false, None) => self.poll_interval,
        };
        let Some(pushed) = &mut self.pushed else {
            tokio::time::sleep(wait).await;
            return latest(endpoint).await;
        };
        loop {
            match tokio::time::timeout(wait, pushed.recv()).await {
                Err(_) => return latest(endpoint).await,
                Ok(Ok(head)) => return Header::parse(&head)?.ok_or(FollowError::BadHeader),
                // The heads lost are read by number when the next one comes.
                Ok(Err(RecvError::Lagged(_))) => {}
                Ok(Err(RecvError::Closed)) => return Err(FollowError::HeadsEnded),
            }
        }
    }
}

async fn latest(endpoint: &Endpoint) -> Result<Header, FollowError> {
    header::tagged(endpoint, "latest").await?.ok_or(FollowError::BadHeader)
}
