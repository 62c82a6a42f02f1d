//! Advances a chain's logs to its head and keeps them there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::topic::Finality;
use nexum_core::source::{Advance, ChainLogs, EventLog, Extent, Origin, Outage, Position};
use nexum_net::Backoff;
use tokio::time::Instant;

use super::filters::Filters;
use super::header::{self, Header};
use super::heads::{Announced, Heads};
use super::{AtEndpoint, FollowError, Purpose, Reader};
use crate::rpc::endpoint::Endpoint;
use crate::rpc::endpoints::BLOCKS_BEHIND_MAX;

/// How long every head has to be far below the log's before that is trouble of the chain: a load
/// balancer sends some requests to a node that is syncing, and most to others.
const BELOW_AFTER: Duration = Duration::from_secs(10);

/// The most rounds of advancing a log to one head while the chain changes, before nexum waits and
/// retries. Each round ends a reorg, and no chain has that many at once.
const ROUNDS_MAX: usize = 16;

/// One run of [`EventSource::follow`](nexum_core::source::EventSource::follow).
pub(super) struct Follower<'a> {
    pub(super) source: &'a Reader,
    pub(super) logs: &'a ChainLogs,
    /// The log of the chain up to its head, which the other logs follow. It exists even if no
    /// module reads it.
    pub(super) latest: Arc<EventLog>,
    pub(super) filters: Filters,
    backoff: Backoff,
    /// The failures in a row. None before following worked for the first time.
    failures: Option<u32>,
    /// The failures since the chain was followed, except an ordinary first one.
    outage: Outage,
    /// The start of the run, from which the outage's times count.
    begun: Instant,
    /// The index of the endpoint that failed last, if it has not been followed since.
    failed: Option<usize>,
    /// The time since which every head has been far below the log's head.
    below_since: Option<Instant>,
    /// The reported tags that the endpoints do not know, or have no block for.
    pub(super) untagged: BTreeSet<&'static str>,
    /// The way in which blocks come now.
    pub(super) origin: Option<Arc<Origin>>,
}

/// The outcome of an attempt to reach a head.
pub(super) enum Step {
    /// The log is at the head, or there is no reason to move it.
    Done,
    /// The log is as near to the head as possible now: the endpoint does not have the blocks in
    /// between yet.
    Waiting,
    /// The log and the chain part below this block, which the log does not have.
    Forked(Header),
}

/// The continuation of the log on the chain of an endpoint.
pub(super) enum Following {
    /// Blocks, of which the first one is the block's child.
    Chain(Vec<Header>),
    /// The block is not part of the chain, which has this block above its place.
    Fork(Header),
    /// Nothing yet: the endpoint does not have the blocks in between, or there are none to come.
    Missing,
}

impl<'a> Follower<'a> {
    pub(super) fn new(source: &'a Reader, logs: &'a ChainLogs) -> Self {
        Self {
            source,
            logs,
            latest: logs.open(Finality::Latest),
            filters: Filters::of(&logs.subscribed()),
            backoff: Backoff::default(),
            failures: None,
            outage: Outage::default(),
            begun: Instant::now(),
            failed: None,
            below_since: None,
            untagged: BTreeSet::new(),
            origin: None,
        }
    }

    /// Follows without end. Returns only a failure that no retry can repair.
    pub(super) async fn follow(mut self) -> AtEndpoint {
        loop {
            let endpoint = self.source.endpoints.preferred();
            let before = self.latest.head();
            let began = Instant::now();
            let Err(error) = self.session(&endpoint).await else {
                continue;
            };
            if error.is_final() {
                return error.at(&endpoint);
            }
            if self.latest.head() != before {
                self.backoff.reset();
            }
            self.blame(&endpoint, &error);
            let wait = self.backoff.after_failure();
            // nexum changes to a working endpoint at once. Without one, it waits between attempts.
            let better = self.source.endpoints.by_preference().into_iter().next();
            let has_better = better.is_some_and(|better| !Arc::ptr_eq(&better, &endpoint));
            let next_try = Instant::now() + if has_better { Duration::ZERO } else { wait };
            self.source.condition.failed(endpoint.label(), &error, began, next_try);
            self.report(&endpoint, &error, has_better);
            if !has_better {
                tokio::select! {
                    () = tokio::time::sleep_until(next_try) => {}
                    () = self.source.endpoints.comes_back() => {}
                }
            }
        }
    }

    /// Counts a failure against an endpoint that may be at fault without a failed request.
    fn blame(&mut self, endpoint: &Endpoint, error: &FollowError) {
        let failed = self.failed.replace(endpoint.index());
        match error {
            FollowError::Stalled(_) => {
                self.source.metrics.stalls.increment(1);
                self.source.endpoints.rest(endpoint, "it has no new heads");
            }
            FollowError::Below { .. } => {
                self.source.metrics.stalls.increment(1);
                self.source
                    .endpoints
                    .rest(endpoint, "its heads are far below the blocks that were followed");
            }
            FollowError::Withheld { .. } => {
                self.source.metrics.stalls.increment(1);
                self.source
                    .endpoints
                    .rest(endpoint, "it has new heads, and not the blocks below them");
            }
            FollowError::Alone => self
                .source
                .endpoints
                .rest(endpoint, "it is on another fork than the others"),
            // A short wait does not change a refusal. After any other failure, nexum tries the
            // endpoint once more.
            _ if error.is_refusal() || failed == Some(endpoint.index()) => {
                self.source.endpoints.stop_following(endpoint, error.method(), error);
            }
            FollowError::Request(_) | FollowError::Asked { .. } | FollowError::Range { .. } => {
                endpoint.health().suspects(error.method())
            }
            // The next connection may lead to another node.
            _ => endpoint.reset(),
        }
    }

    fn report(&mut self, endpoint: &Endpoint, error: &FollowError, has_better: bool) {
        let down = self.source.endpoints.down();
        let (chain, endpoint) = (self.source.chain_id, endpoint.label());
        if has_better {
            tracing::debug!(chain, endpoint, %error, "the chain cannot be followed over this endpoint, and is over another");
            return;
        }
        // A connection that its server closes, or a node that is slightly behind, is normal: nexum
        // retries at once.
        let is_ordinary = self.failures == Some(0) && !error.is_stall();
        self.failures = self.failures.map(|failures| failures.saturating_add(1));
        if is_ordinary {
            tracing::info!(chain, endpoint, %error, "an attempt to read the chain failed: nexum reconnects");
        } else if let Some(Extent { seconds, attempts }) = self.outage.failed(self.begun.elapsed()) {
            tracing::warn!(
                chain,
                endpoint,
                %error,
                endpoints = down.all,
                endpoints_down = down.count,
                seconds,
                attempts,
                "the chain cannot be followed: nexum retries until it can"
            );
        } else {
            tracing::debug!(chain, endpoint, %error, "the chain can still not be followed");
        }
    }

    /// Follows until a failure, or until another endpoint is better.
    async fn session(&mut self, endpoint: &Arc<Endpoint>) -> Result<(), FollowError> {
        // Subscribes before it requests the head, so that no block is missed in between.
        let poll_interval = Duration::from_millis(self.source.config.poll_interval_ms);
        let begin = async {
            let pushed = endpoint.heads().await.map_err(FollowError::asked("eth_subscribe"))?;
            Ok::<_, FollowError>((pushed, Announced::latest(endpoint).await?))
        };
        let (pushed, mut announced) = tokio::select! {
            begun = begin => begun?,
            // In an outage, another endpoint may be back while this one hangs.
            () = self.source.endpoints.comes_back() => return Ok(()),
        };
        let mut heads = Heads::new(pushed, poll_interval);
        let stall = Duration::from_secs(self.source.config.head_stall_seconds);
        let mut stalls_at = Instant::now() + stall;
        let (mut is_new, mut is_followed) = (true, false);
        loop {
            let before = self.latest.head();
            self.origin = Some(heads.origin(endpoint, self.origin.take()));
            heads.soon = self.reach(endpoint, &announced).await?;
            if !heads.soon && !is_followed && self.below_since.is_none() {
                is_followed = true;
                self.followed(endpoint, &announced, heads.are_pushed());
            }
            // A new head is no progress while the blocks below it are missing.
            if self.latest.head() != before || (is_new && !heads.soon) {
                stalls_at = Instant::now() + stall;
            }
            let below_at = self.below_since.map(|since| since + stall);
            let next = tokio::select! {
                next = heads.next(endpoint) => next?,
                () = self.source.endpoints.changed(endpoint) => return Ok(()),
                () = tokio::time::sleep_until(below_at.map_or(stalls_at, |at| at.min(stalls_at))) => {
                    return Err(self.stalled(announced.head.position, heads.soon));
                }
            };
            is_new = next.head.position != announced.head.position;
            announced = next;
        }
    }

    /// Ends an outage: the log is at the head of this endpoint.
    fn followed(&mut self, endpoint: &Endpoint, announced: &Announced, pushed: bool) {
        self.backoff.reset();
        self.failures = Some(0);
        self.failed = None;
        // Without another endpoint, this one has answered everything. Its last probe is older.
        if self.source.endpoints.by_preference().is_empty() {
            endpoint.health().recovered();
        }
        let (chain, endpoint) = (self.source.chain_id, endpoint.label());
        if self.source.condition.follows(endpoint, pushed) {
            self.source.metrics.follow_failovers.increment(1);
        }
        self.source.show();
        let head = announced.head.position.number;
        if let Some(Extent { seconds, attempts }) = self.outage.ended(self.begun.elapsed()) {
            tracing::info!(
                chain,
                endpoint,
                seconds,
                attempts,
                "the chain can be followed again: the outage is over"
            );
        }
        tracing::info!(chain, endpoint, head, pushed, "following the chain");
    }

    /// The reason why the log has stood still for `head_stall_seconds`. `waiting` says whether blocks below the head are missing.
    fn stalled(&mut self, theirs: Position, waiting: bool) -> FollowError {
        let seconds = self.source.config.head_stall_seconds;
        let is_below = self.below_since.take().is_some();
        match self.latest.head() {
            Some(ours) if is_below => FollowError::Below { ours, theirs },
            Some(ours) if waiting => {
                let head = theirs.number;
                let error = FollowError::Withheld { ours, head, seconds };
                self.source.condition.stalled(&error, Duration::from_secs(seconds));
                error
            }
            _ => FollowError::Stalled(seconds),
        }
    }

    /// Records that the head of the endpoint is far below the log's.
    fn is_below(&mut self, endpoint: &Endpoint, ours: Position, theirs: Position) {
        tracing::debug!(
            chain = self.source.chain_id,
            endpoint = endpoint.label(),
            head = theirs.number,
            "the endpoint is behind: its head is ignored"
        );
        self.below_since.get_or_insert_with(Instant::now);
        let after = BELOW_AFTER.min(Duration::from_secs(self.source.config.head_stall_seconds));
        let error = FollowError::Below { ours, theirs };
        self.source.condition.below(endpoint.label(), &error, after);
    }

    /// Advances every log as far as possible towards the head. Returns whether blocks are missing
    /// that should arrive soon.
    async fn reach(&mut self, endpoint: &Arc<Endpoint>, announced: &Announced) -> Result<bool, FollowError> {
        let (source, head) = (self.source, &announced.head);
        if self.filters.revision != self.logs.revision() {
            self.filters = Filters::of(&self.logs.subscribed());
        }
        source.endpoints.saw_head(endpoint, head.position.number).await;
        let is_far_below = |tip: &Position| head.position.number.saturating_add(BLOCKS_BEHIND_MAX) < tip.number;
        if let Some(tip) = self.latest.head().filter(is_far_below) {
            self.is_below(endpoint, tip, head.position);
            return Ok(false);
        }
        self.below_since = None;
        source.condition.is_not_below();
        let waiting = self.reach_latest(endpoint, announced).await?;
        if let Some(tip) = self.latest.head() {
            source.metrics.head_number.set(tip.number as f64);
        }
        source
            .metrics
            .head_timestamp_seconds
            .set(head.timestamp_ms as f64 / 1e3);
        if !waiting {
            self.source.condition.advances();
        }
        self.settle(endpoint).await?;
        if !waiting {
            endpoint.health().is_followed();
        }
        Ok(waiting)
    }

    async fn reach_latest(&self, endpoint: &Arc<Endpoint>, announced: &Announced) -> Result<bool, FollowError> {
        let head = &announced.head;
        for _ in 0..ROUNDS_MAX {
            let step = match self.latest.head() {
                None => self.begin(endpoint, head).await?,
                Some(tip) if head.position.number > tip.number => self.extend(endpoint, announced).await?,
                Some(_) => self.compare(endpoint, head).await?,
            };
            match step {
                Step::Done => return Ok(false),
                Step::Waiting => return Ok(true),
                Step::Forked(theirs) => {
                    if !self.revert(endpoint, &theirs).await? {
                        return Ok(false);
                    }
                }
            }
        }
        Err(FollowError::Unsettled)
    }

    /// Appends the blocks up to a head above the log's.
    async fn extend(&self, endpoint: &Arc<Endpoint>, announced: &Announced) -> Result<Step, FollowError> {
        let mut ahead = None;
        while let Some(tip) = self
            .latest
            .head()
            .filter(|tip| tip.number < announced.head.position.number)
        {
            // Headers that were read ahead are useless if not all earlier blocks could be appended.
            let headers = match ahead.take().filter(|(after, _)| *after == tip) {
                Some((_, following)) => following,
                None => self.after(endpoint, tip, announced).await?,
            };
            let headers = match headers {
                Following::Chain(headers) => headers,
                Following::Fork(theirs) => return Ok(Step::Forked(theirs)),
                Following::Missing => return Ok(Step::Waiting),
            };
            let last = headers.last().map_or(tip, |last| last.position);
            let following = self.after(endpoint, last, announced);
            let (appended, following) = tokio::join!(self.append(endpoint, headers), following);
            appended?;
            ahead = Some((last, following?));
        }
        Ok(Step::Done)
    }

    /// Appends blocks to the log of the head, each as soon as its logs are known.
    async fn append(&self, endpoint: &Arc<Endpoint>, headers: Vec<Header>) -> Result<(), FollowError> {
        let append = |block: Arc<Advance>| {
            self.source.condition.appended(&block);
            self.latest.append_from(self.origin.clone(), block);
        };
        self.source
            .each_with_logs(endpoint, headers, &self.filters, Purpose::Follow, append)
            .await
    }

    /// Handles a head that is not above the log's. Most are duplicates, or late.
    async fn compare(&self, endpoint: &Endpoint, head: &Header) -> Result<Step, FollowError> {
        let number = head.position.number;
        match self.latest.at_or_below(number) {
            Some(held) if held != head.position => {}
            _ => return Ok(Step::Done),
        }
        let canonical = header::numbered(endpoint, number).await?;
        let is_canonical = canonical.is_some_and(|block| block.position == head.position);
        Ok(if is_canonical {
            Step::Forked(head.clone())
        } else {
            Step::Done
        })
    }
}
