//! The endpoints of a chain: the choice between them, and the reaction to a failure.
//!
//! Requests go to the best working endpoint with the lowest priority number. An endpoint that fails
//! rests, longer after each failure in a row, and is used again after its rest, so that requests
//! return to the primary. It rests from all uses, from following the chain, or from one method of
//! modules' reads: see [`Health`]. Only [`RequestError::retry`] decides which endpoints may receive
//! a failed request again.

mod ready;
mod replace;
mod report;
mod retry;
mod tend;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::topic::ChainId;
use serde_json::value::RawValue;
use tokio::time::Instant;

pub use self::ready::NotReady;
pub(crate) use self::report::Down;
use crate::config::endpoint_url::EndpointUrl;
use crate::config::{ChainConfig, EndpointConfig};
use crate::error::RequestError;
use crate::metrics::ChainMetrics;
use crate::rpc::endpoint::read::ReadRequest;
use crate::rpc::endpoint::{Answer, Endpoint, Failure, Fitness, Health, RpcRequest, Signal};

/// The most blocks that an endpoint may be behind the best of the others without losing its rank.
/// The delay of blocks causes a smaller difference even on a chain with four blocks per second. On
/// Ethereum it is minutes, and a node that far behind is syncing.
pub const BLOCKS_BEHIND_MAX: u64 = 16;

/// The endpoints of one chain, at least one. Modules' requests and the chain's source share them.
#[derive(Debug)]
pub struct Endpoints {
    chain_id: ChainId,
    /// In the order of the configuration. Never empty.
    all: Vec<Arc<Endpoint>>,
    retries: u32,
    startup_timeout: Duration,
    signal: Arc<Signal>,
    metrics: Arc<ChainMetrics>,
}

impl Endpoints {
    /// Creates the endpoints of `config`. Does not use the network.
    pub fn new(config: &ChainConfig) -> Self {
        let signal = Arc::default();
        let labels = labels(config, &[]);
        let endpoint =
            |(index, (config_of_one, label))| Arc::new(Endpoint::new(config, config_of_one, index, label, &signal));
        let all = config.endpoints().iter().zip(labels).enumerate().map(endpoint);
        Self::of(
            config,
            all.collect(),
            &signal,
            Arc::new(ChainMetrics::new(config.chain_id)),
        )
    }

    fn of(config: &ChainConfig, all: Vec<Arc<Endpoint>>, signal: &Arc<Signal>, metrics: Arc<ChainMetrics>) -> Self {
        Self {
            chain_id: config.chain_id,
            all,
            retries: config.retries,
            startup_timeout: Duration::from_millis(config.startup_timeout_ms),
            signal: Arc::clone(signal),
            metrics,
        }
    }

    /// The chain's id.
    pub fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// Sends one request to the best endpoint, with the parameters' text unchanged. Retries after a
    /// failure, up to `retries` times: at an endpoint that has not been asked or, if the failure is
    /// temporary, after a growing wait at one that has. Retries a method outside
    /// [`READ_METHODS`](crate::methods::READ_METHODS) only if no endpoint can have received the
    /// request.
    ///
    /// Takes at most `retries` + 1 times `request_timeout_ms`, and one `request_timeout_ms` more
    /// for an attempt that started in time. Waits for `requests_per_second` come on top.
    ///
    /// # Errors
    ///
    /// The failure of the last attempt. If that is a refusal by an HTTP status, the JSON-RPC error
    /// with which another endpoint refused the request, if one did.
    pub async fn request(&self, request: &RpcRequest) -> Answer {
        self.request_for(Asked::Request(request)).await
    }

    /// As [`Self::request`], for a module's read. An attempt by number takes up to three more times
    /// `request_timeout_ms`.
    pub(crate) async fn read(&self, read: &ReadRequest) -> Answer {
        self.request_for(Asked::Read(read)).await
    }

    /// As [`Self::batch`], for modules' reads.
    pub(crate) async fn read_batch(&self, reads: &[ReadRequest], bytes_max: u64) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = vec![None; reads.len()];
        let requests: Vec<RpcRequest> = reads.iter().map(|read| read.request.clone()).collect();
        let best = self.best(&requests);
        // Indexes of the reads.
        let together: Vec<usize> = (0..reads.len())
            .filter(|place| !best.takes_by_number(&reads[*place]))
            .collect();
        let requests: Vec<RpcRequest> = together.iter().map(|place| requests[*place].clone()).collect();
        let mut left = bytes_max;
        for (place, answer) in together.into_iter().zip(self.batch_within(&requests, bytes_max).await) {
            let is_usable = match &answer {
                Ok(result) => Asked::Read(&reads[place]).allows(result),
                Err(error) => !best.may_lack_hashes(&reads[place], error),
            };
            left = left.saturating_sub(bytes_of(&answer));
            answers[place] = is_usable.then_some(answer);
        }
        // Reads by number, and reads that have no answer from the batch.
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

    /// Sends several requests together, over http as one batch. Sends a request with effects
    /// separately, as [`Self::request`] does. Returns one answer per request, in order. Retries
    /// temporary failures as [`Self::request`] does.
    pub async fn batch(&self, requests: &[RpcRequest]) -> Vec<Answer> {
        self.batch_within(requests, u64::MAX).await
    }

    /// As [`Self::batch`]. Above `bytes_max` bytes of results, stops collecting, and the requests
    /// without a result fail with [`RequestError::OverBudget`].
    pub(crate) async fn batch_within(&self, requests: &[RpcRequest], bytes_max: u64) -> Vec<Answer> {
        Box::pin(self.batch_with_retries(requests, bytes_max)).await
    }

    /// The endpoint to follow now: the best working one, or else the least bad.
    pub fn preferred(&self) -> Arc<Endpoint> {
        Arc::clone(self.least(|endpoint| rank(endpoint, endpoint.health().standing_to_follow())))
    }

    /// All working endpoints, best first. None of them rests, serves another chain, or is behind
    /// the others.
    pub fn by_preference(&self) -> Vec<Arc<Endpoint>> {
        let mut usable = self.ranked(Health::standing_to_follow);
        usable.retain(|endpoint| endpoint.health().standing_to_follow().is_good());
        usable
    }

    /// The endpoints for requests for history, in this order; at least one. They include an
    /// endpoint that refused to follow the chain or to answer for history, because it may be the
    /// only one with the answer.
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

    /// Waits until another endpoint than `following` is preferred. Returns at once if one is.
    pub async fn changed(&self, following: &Endpoint) {
        self.until(|| self.preferred().index() != following.index()).await;
    }

    /// Waits until an endpoint works, if none works now. Otherwise never returns.
    pub(crate) async fn comes_back(&self) {
        if !self.by_preference().is_empty() {
            return std::future::pending().await;
        }
        self.until(|| !self.by_preference().is_empty()).await;
    }

    /// Waits until a condition holds that changes only with the health of the endpoints.
    async fn until(&self, holds: impl Fn() -> bool) {
        loop {
            let changed = self.signal.changed.notified();
            tokio::pin!(changed);
            // No change after this line is missed.
            changed.as_mut().enable();
            if holds() {
                return;
            }
            changed.await;
        }
    }

    /// Records that the chain cannot be followed over an endpoint, because of this method if one
    /// failed. The source follows other endpoints until a probe succeeds. No effect if there is no
    /// other endpoint.
    pub(crate) fn stop_following(&self, endpoint: &Endpoint, method: Option<&'static str>, error: &dyn fmt::Display) {
        if self.all.len() == 1 {
            return;
        }
        let failures = endpoint.health().cannot_be_followed(method, error);
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

    /// Rests an endpoint, as after a failure, because the source found it at fault.
    pub fn rest(&self, endpoint: &Endpoint, why: &str) {
        if endpoint.health().found_at_fault(why) {
            endpoint.reset();
            let (chain, endpoint) = (self.chain_id, endpoint.label());
            tracing::warn!(chain, endpoint, why, "the endpoint is rested");
        }
    }

    /// Records the head of an endpoint. An endpoint more than [`BLOCKS_BEHIND_MAX`] behind another
    /// one ranks after the others until it has caught up.
    pub async fn saw_head(&self, endpoint: &Endpoint, number: u64) {
        endpoint.health().saw_head(number);
        self.compare(endpoint).await;
    }

    pub(crate) fn metrics(&self) -> &ChainMetrics {
        &self.metrics
    }

    /// Every endpoint, working or not, in the configured order.
    pub fn all(&self) -> &[Arc<Endpoint>] {
        &self.all
    }

    /// Checks whether an endpoint is far behind another one. A claimed head is not enough, because
    /// one false claim would take every other endpoint out of use: the other endpoint must return a
    /// block that far ahead.
    async fn compare(&self, endpoint: &Endpoint) {
        let Some(head) = endpoint.health().head() else { return };
        let level = head.saturating_add(BLOCKS_BEHIND_MAX);
        // The claim may be old, and the chain has grown since.
        let others = self.all.iter().filter(|other| other.index() != endpoint.index());
        let claims =
            others.filter_map(|other| Some((other, other.health().head().filter(|claimed| *claimed > level)?)));
        let mut behind = None;
        for (other, claimed) in claims {
            // The number above the level may have no block.
            if other.has_block(level.saturating_add(1)).await || other.has_block(claimed).await {
                behind = Some(format!(
                    "its head is block {head}, and {} has block {claimed}",
                    other.label()
                ));
                break;
            }
            // nexum checks the other endpoint after its next claim, not at each head of this
            // endpoint.
            other.health().saw_head(level);
        }
        endpoint.health().set_behind(behind);
    }

    /// The endpoint for the next request, or for requests that are sent together.
    fn best(&self, requests: &[RpcRequest]) -> &Arc<Endpoint> {
        match &*self.all {
            [only] => only,
            _ => self.least(|endpoint| request_rank(endpoint, requests)),
        }
    }

    /// The endpoint that the next request of a method goes to first.
    pub(crate) fn first_for(&self, method: &str) -> &Arc<Endpoint> {
        self.best(&[(method.to_owned().into(), RawValue::NULL.to_owned())])
    }

    fn ranked(&self, standing: fn(&Health) -> Fitness) -> Vec<Arc<Endpoint>> {
        let mut ranked = self.all.clone();
        ranked.sort_by_key(|endpoint| rank(endpoint, standing(endpoint.health())));
        ranked
    }

    /// The first of several equal ones.
    fn least<K: Ord>(&self, key: impl Fn(&Endpoint) -> K) -> &Arc<Endpoint> {
        let least = self.all.iter().min_by_key(|endpoint| key(endpoint));
        // There is at least one.
        least.unwrap_or(&self.all[0])
    }

    /// The time after which no further attempt starts.
    fn deadline(&self, began: Instant) -> Instant {
        let attempts = self.retries.saturating_add(1);
        began + self.all[0].timeout().saturating_mul(attempts)
    }
}

/// A request for any of the endpoints.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Request(&'a RpcRequest),
    /// A module's read, whose answer has more meaning.
    Read(&'a ReadRequest),
}

impl<'a> Asked<'a> {
    fn request(self) -> &'a RpcRequest {
        match self {
            Self::Request(request) => request,
            Self::Read(read) => &read.request,
        }
    }

    /// Sends the request once to this endpoint.
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

    /// False for a null result that means that the endpoint does not have the block, which another
    /// one may have.
    fn allows(self, result: &RawValue) -> bool {
        match self {
            Self::Request(_) => true,
            Self::Read(read) => !read.null_is_unknown || result.get() != "null",
        }
    }
}

type Rank = (Fitness, u32, u32);

/// The rank of an endpoint: fitness, then priority, then failures in a row.
fn rank(endpoint: &Endpoint, standing: Fitness) -> Rank {
    (standing, endpoint.priority(), endpoint.health().failures())
}

/// As [`rank`], but a paused endpoint comes after those that work.
fn request_rank(endpoint: &Endpoint, requests: &[RpcRequest]) -> (Fitness, bool, Rank) {
    let standing = endpoint.health().standing_for(requests);
    let is_paused = endpoint.health().paused_until().is_some();
    (standing, is_paused, rank(endpoint, standing))
}

/// Scheme, host and port of each endpoint, with numbers where they are equal. An endpoint of
/// `before` keeps its label.
fn labels(config: &ChainConfig, before: &[Arc<Endpoint>]) -> Vec<String> {
    let kept = |endpoint: &EndpointConfig| {
        let before = before.iter().find(|before| before.config().url == endpoint.url)?;
        Some(before.label().to_owned())
    };
    let kept: Vec<_> = config.endpoints().iter().map(kept).collect();
    let mut taken: BTreeSet<String> = kept.iter().flatten().cloned().collect();
    let label = |(endpoint, kept): (&EndpointConfig, Option<String>)| {
        kept.unwrap_or_else(|| unique_label(&endpoint.url, &mut taken))
    };
    config.endpoints().iter().zip(kept).map(label).collect()
}

/// Scheme, host and port of an address, with a number if the label is taken. Takes the label.
pub(crate) fn unique_label(url: &EndpointUrl, taken: &mut BTreeSet<String>) -> String {
    let url = url.to_string();
    let mut label = url.clone();
    for number in 2.. {
        if taken.insert(label.clone()) {
            break;
        }
        label = format!("{url}#{number}");
    }
    label
}

/// The bytes of a result, or 0 for an error.
fn bytes_of(answer: &Answer) -> u64 {
    answer.as_ref().map_or(0, |result| result.get().len() as u64)
}
