//! The endpoints of a chain: which of them to use, and what to do when one fails.
//!
//! Requests go to the best endpoint of the lowest priority number that works. One that fails rests, for longer and longer
//! while it goes on failing, and is used again after its rest, so that requests go back to the primary. It rests for all that it
//! is used for, for following the chain, or for one method of modules' reads: see [`Health`]. [`RequestError::retry`] alone
//! decides where a failed request may be sent again.

mod ready;
mod retry;
mod tend;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::topic::ChainId;
use serde_json::value::RawValue;
use tokio::time::Instant;

pub use self::ready::NotReady;
use crate::config::ChainConfig;
use crate::error::RequestError;
use crate::metrics::ChainMetrics;
use crate::rpc::endpoint::read::Read;
use crate::rpc::endpoint::{Answer, Endpoint, Failure, Fitness, Health, Request, Signal};

/// How many blocks an endpoint may be behind the best of the others and still be preferred to them: more than differ by the
/// time that a block takes to travel, on a chain with four blocks a second, and minutes on Ethereum, where a node so far
/// behind is syncing.
pub const BLOCKS_BEHIND_MAX: u64 = 16;

/// The endpoints of one chain, at least one, shared by modules' requests and the chain's source.
#[derive(Debug)]
pub struct Endpoints {
    chain_id: ChainId,
    /// In the order of the configuration. Never empty.
    all: Vec<Arc<Endpoint>>,
    retries: u32,
    startup_timeout: Duration,
    signal: Arc<Signal>,
    metrics: ChainMetrics,
}

impl Endpoints {
    /// The endpoints of `config`. Touches no network.
    pub fn new(config: &ChainConfig) -> Self {
        let signal = Arc::default();
        let labels = labels(config);
        let endpoint =
            |(index, (config_of_one, label))| Arc::new(Endpoint::new(config, config_of_one, index, label, &signal));
        let all = config
            .endpoints()
            .iter()
            .zip(labels)
            .enumerate()
            .map(endpoint)
            .collect();
        Self {
            chain_id: config.chain_id,
            all,
            retries: config.retries,
            startup_timeout: Duration::from_millis(config.startup_timeout_ms),
            metrics: ChainMetrics::new(config.chain_id),
            signal,
        }
    }

    /// The chain's id.
    pub fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// Sends one request, with the parameters' text as it is, to the best endpoint. After a failure it is sent to an endpoint
    /// that has not been asked or, if the failure may pass, to one that has, after a wait that grows, up to `retries` times. What
    /// is not among [`READ_METHODS`](crate::methods::READ_METHODS) is sent again only if no endpoint can have got it.
    ///
    /// It takes at most `retries` + 1 times `request_timeout_ms`, and one `request_timeout_ms` more for what was begun in
    /// time, without the time that it waits for `requests_per_second`, where nothing is refused.
    ///
    /// # Errors
    ///
    /// Why there is no result at the last endpoint asked; or, if that one refused the request by an HTTP status, the error with
    /// which another one refused it.
    pub async fn request(&self, request: &Request) -> Answer {
        self.request_for(Asked::Request(request)).await
    }

    /// As [`Self::request`], for a module's read. An attempt by number takes up to three times `request_timeout_ms` more.
    pub(crate) async fn read(&self, read: &Read) -> Answer {
        self.request_for(Asked::Read(read)).await
    }

    /// As [`Self::batch`], for modules' reads.
    pub(crate) async fn read_batch(&self, reads: &[Read], bytes_max: u64) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = vec![None; reads.len()];
        let requests: Vec<Request> = reads.iter().map(|read| read.request.clone()).collect();
        let best = self.best(&requests);
        // By their places among the reads.
        let together: Vec<usize> = (0..reads.len())
            .filter(|place| !best.takes_by_number(&reads[*place]))
            .collect();
        let requests: Vec<Request> = together.iter().map(|place| requests[*place].clone()).collect();
        let mut left = bytes_max;
        for (place, answer) in together.into_iter().zip(self.batch_within(&requests, bytes_max).await) {
            let is_usable = match &answer {
                Ok(result) => Asked::Read(&reads[place]).allows(result),
                Err(error) => !best.may_lack_hashes(&reads[place], error),
            };
            left = left.saturating_sub(bytes_of(&answer));
            answers[place] = is_usable.then_some(answer);
        }
        // Reads by number, and those that the batch left without an answer.
        for (read, answer) in reads.iter().zip(&mut answers) {
            if answer.is_none() {
                let one = match left {
                    0 => Err(RequestError::OverBudget { bytes_max }),
                    _ => self.read(read).await,
                };
                left = left.saturating_sub(bytes_of(&one));
                *answer = Some(one);
            }
        }
        let answer = |answer: Option<Answer>| answer.unwrap_or(Err(RequestError::Internal));
        answers.into_iter().map(answer).collect()
    }

    async fn request_for(&self, asked: Asked<'_>) -> Answer {
        let began = Instant::now();
        let first = self.best(std::slice::from_ref(asked.request()));
        match asked.attempt(first, self.deadline(began)).await {
            Ok(answer) => Ok(answer),
            Err(failure) => Box::pin(self.request_again(asked, first, failure, began)).await,
        }
    }

    /// Sends several requests together, as one over http. What has side effects is sent by itself, as in [`Self::request`].
    /// There is one answer for each request, in their order. Those that fail and may pass are sent again, as in
    /// [`Self::request`].
    pub async fn batch(&self, requests: &[Request]) -> Vec<Answer> {
        self.batch_within(requests, u64::MAX).await
    }

    /// As [`Self::batch`]. When the results have more than `bytes_max` bytes, nothing more is collected, and the requests without
    /// a result fail with [`RequestError::OverBudget`].
    pub(crate) async fn batch_within(&self, requests: &[Request], bytes_max: u64) -> Vec<Answer> {
        Box::pin(self.batch_with_retries(requests, bytes_max)).await
    }

    /// The endpoint to follow now: the best of those that work, or the one that is least bad.
    pub fn preferred(&self) -> Arc<Endpoint> {
        Arc::clone(self.least(|endpoint| rank(endpoint, endpoint.health().standing_to_follow())))
    }

    /// All endpoints that work now, best first. None of them rests, serves another chain, or is behind the others.
    pub fn by_preference(&self) -> Vec<Arc<Endpoint>> {
        let mut usable = self.ranked(Health::standing_to_follow);
        usable.retain(|endpoint| endpoint.health().standing_to_follow().is_good());
        usable
    }

    /// The endpoints to ask for history, in this order; at least one. One that refused to follow the chain or to answer for
    /// history is among them, because it may be the only one that has what is asked for.
    pub(crate) fn for_history(&self) -> Vec<Arc<Endpoint>> {
        let ranked = self.ranked(Health::standing_for_history);
        let usable = |endpoint: &&Arc<Endpoint>| endpoint.health().standing_for_history().is_usable();
        let usable: Vec<_> = ranked.iter().filter(usable).cloned().collect();
        if usable.is_empty() {
            vec![self.preferred()]
        } else {
            usable
        }
    }

    /// Waits until another endpoint than `following` is preferred. Returns at once if that is so already.
    pub async fn changed(&self, following: &Endpoint) {
        loop {
            let changed = self.signal.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if self.preferred().index() != following.index() {
                return;
            }
            changed.await;
        }
    }

    /// The chain cannot be followed over an endpoint, for what came of this method, if it was one: others are followed until a
    /// probe has shown that this one can be. Where there is no other, nothing changes.
    pub(crate) fn stop_following(&self, endpoint: &Endpoint, method: Option<&'static str>, error: &dyn fmt::Display) {
        if self.all.len() == 1 {
            return;
        }
        let failures = endpoint.health().cannot_be_followed(method);
        if failures.is_some() {
            endpoint.reset();
        }
        let (chain, endpoint) = (self.chain_id, endpoint.label());
        if failures == Some(1) {
            tracing::warn!(chain, endpoint, method, %error, "the chain cannot be followed over the endpoint, which is rested");
        } else {
            tracing::debug!(chain, endpoint, method, %error, "the chain can still not be followed over the endpoint");
        }
    }

    /// The source has found an endpoint at fault, and says why: it rests as after a failure.
    pub fn rest(&self, endpoint: &Endpoint, why: &str) {
        if endpoint.health().found_at_fault() {
            endpoint.reset();
            let (chain, endpoint) = (self.chain_id, endpoint.label());
            tracing::warn!(chain, endpoint, why, "the endpoint is rested");
        }
    }

    /// Records that an endpoint has this head. One that is more than [`BLOCKS_BEHIND_MAX`] behind another endpoint is not
    /// preferred to the others until its head is seen again and is not.
    pub async fn saw_head(&self, endpoint: &Endpoint, number: u64) {
        endpoint.health().saw_head(number);
        self.compare(endpoint).await;
    }

    pub(crate) fn metrics(&self) -> &ChainMetrics {
        &self.metrics
    }

    /// Every endpoint, working or not, in the order of the configuration.
    pub fn all(&self) -> &[Arc<Endpoint>] {
        &self.all
    }

    /// Finds out whether an endpoint is far behind another one. A claimed head is no evidence, because one false claim would
    /// take every other endpoint out of use: the other endpoint has to give a block that is so far above.
    async fn compare(&self, endpoint: &Endpoint) {
        let Some(head) = endpoint.health().head() else { return };
        let level = head.saturating_add(BLOCKS_BEHIND_MAX);
        // The claim may be old. The chain has grown since.
        let others = self.all.iter().filter(|other| other.index() != endpoint.index());
        let claims =
            others.filter_map(|other| Some((other, other.health().head().filter(|claimed| *claimed > level)?)));
        let mut is_behind = false;
        for (other, claimed) in claims {
            // The number above the level may have no block.
            if other.has_block(level.saturating_add(1)).await || other.has_block(claimed).await {
                is_behind = true;
                break;
            }
            // It is asked again after its next claim, not with each head of this endpoint.
            other.health().saw_head(level);
        }
        endpoint.health().set_behind(is_behind);
    }

    /// The endpoint for the next request, or requests that are sent together.
    fn best(&self, requests: &[Request]) -> &Arc<Endpoint> {
        match &*self.all {
            [only] => only,
            _ => self.least(|endpoint| request_rank(endpoint, requests)),
        }
    }

    fn ranked(&self, standing: fn(&Health) -> Fitness) -> Vec<Arc<Endpoint>> {
        let mut ranked = self.all.clone();
        ranked.sort_by_key(|endpoint| rank(endpoint, standing(endpoint.health())));
        ranked
    }

    /// Of several that are equal, the first.
    fn least<K: Ord>(&self, key: impl Fn(&Endpoint) -> K) -> &Arc<Endpoint> {
        let least = self.all.iter().min_by_key(|endpoint| key(endpoint));
        // It has at least one.
        least.unwrap_or(&self.all[0])
    }

    /// When no further attempt is begun.
    fn deadline(&self, began: Instant) -> Instant {
        let attempts = self.retries.saturating_add(1);
        began + self.all[0].timeout().saturating_mul(attempts)
    }
}

/// A request to be answered by one endpoint or another.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Request(&'a Request),
    /// A module's read, whose answer means more.
    Read(&'a Read),
}

impl<'a> Asked<'a> {
    fn request(self) -> &'a Request {
        match self {
            Self::Request(request) => request,
            Self::Read(read) => &read.request,
        }
    }

    /// Asks this endpoint once.
    async fn attempt(self, endpoint: &Endpoint, deadline: Instant) -> Result<Box<RawValue>, Failure> {
        let answer = match self {
            Self::Request(request) => endpoint.attempt(request, deadline).await,
            Self::Read(read) => endpoint.attempt_read(read, deadline).await,
        };
        match answer {
            Ok(result) if !self.allows(&result) => Err(Failure {
                error: RequestError::unknown_block(),
                sent: true,
            }),
            answer => answer,
        }
    }

    /// False for a null that says that the endpoint does not have what another one may have.
    fn allows(self, result: &RawValue) -> bool {
        match self {
            Self::Request(_) => true,
            Self::Read(read) => !read.null_is_unknown || result.get() != "null",
        }
    }
}

type Rank = (Fitness, u32, u32);

/// Orders endpoints: whether they work, then priority, then how often they have failed in a row.
fn rank(endpoint: &Endpoint, standing: Fitness) -> Rank {
    (standing, endpoint.priority(), endpoint.health().failures())
}

/// As [`rank`], but one that has asked to be left alone comes after those that work.
fn request_rank(endpoint: &Endpoint, requests: &[Request]) -> (Fitness, bool, Rank) {
    let standing = endpoint.health().standing_for(requests);
    let is_paused = endpoint.health().paused_until().is_some();
    (standing, is_paused, rank(endpoint, standing))
}

/// Scheme, host and port of each endpoint, those that look alike numbered.
fn labels(config: &ChainConfig) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let label = |url: String| {
        let count = seen.entry(url.clone()).or_default();
        *count += 1;
        if *count == 1 { url } else { format!("{url}#{count}") }
    };
    let urls = config.endpoints().iter().map(|endpoint| endpoint.url.to_string());
    urls.map(label).collect()
}

/// The bytes of a result, or 0 for an error.
fn bytes_of(answer: &Answer) -> u64 {
    answer.as_ref().map_or(0, |result| result.get().len() as u64)
}
