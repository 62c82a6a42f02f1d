//! One JSON-RPC endpoint: what is asked of it, within its limits, and how it fares.

mod connect;
mod connection;
mod heads;
mod health;
mod http;
mod ipc;
mod limit;
mod pubsub;
mod ws;

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy_primitives::{B256, U64};
use alloy_provider::Provider as _;
use futures_util::StreamExt as _;
use nexum_core::event::ChainId;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use self::connect::Connector;
use self::connection::Connection;
pub use self::heads::Heads;
pub(crate) use self::health::{Health, RETRY_AFTER_MAX, Signal, Standing};
use self::limit::RateLimit;
use crate::config::{ChainConfig, EndpointConfig};
use crate::endpoint_url::Address;
use crate::error::{AnswerKind, RequestError};
use crate::metrics::EndpointMetrics;

/// How many heads a subscription holds for a source that is filling a gap. Heads that do not fit are lost without harm,
/// because the gap is filled by number; an hour of one-second blocks fits, in some 4 MB.
const HEADS_BUFFERED_MAX: usize = 4_096;

/// How many calls of a batch are under way at once at an endpoint that refuses batches: enough to hide the time that each
/// takes to travel, and not so many that they look like an attack.
const CALLS_AT_ONCE_MAX: usize = 8;

/// A method's name and the text of its parameters.
pub type Request = (Cow<'static, str>, Box<RawValue>);

/// The result of a request: JSON text as it came in.
pub type Answer = Result<Box<RawValue>, RequestError>;

/// One endpoint of a chain. Nothing touches the network before the first request.
///
/// Its own methods try once. They wait for its rate limit, are measured, and count for its health.
#[derive(Debug)]
pub struct Endpoint {
    chain_id: ChainId,
    index: usize,
    label: String,
    priority: u32,
    max_log_range_blocks: Option<NonZeroU64>,
    supports_push: bool,
    timeout: Duration,
    connector: Connector,
    rate_limit: Option<RateLimit>,
    /// Whether it has refused a batch, so that it is asked one by one from then on.
    refuses_batches: AtomicBool,
    health: Health,
    metrics: Arc<EndpointMetrics>,
}

/// Why an attempt has failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: RequestError,
    /// Whether the endpoint may have got the request.
    pub(crate) sent: bool,
}

impl Failure {
    fn unsent(error: RequestError) -> Self {
        Self { error, sent: false }
    }
}

impl Endpoint {
    /// `index` is its place among its chain's endpoints, and `label` tells it from them.
    pub(crate) fn new(
        chain: &ChainConfig,
        config: &EndpointConfig,
        index: usize,
        label: String,
        signal: &Arc<Signal>,
    ) -> Self {
        let metrics = Arc::new(EndpointMetrics::new(chain.chain_id, &label));
        Self {
            chain_id: chain.chain_id,
            index,
            priority: config.priority,
            max_log_range_blocks: config.max_log_range_blocks,
            supports_push: !matches!(config.url.address(), Address::Http(_)),
            timeout: Duration::from_millis(chain.request_timeout_ms),
            connector: Connector::new(chain, config, label.clone(), Arc::clone(&metrics)),
            label,
            rate_limit: config.requests_per_second.map(RateLimit::new),
            refuses_batches: AtomicBool::new(false),
            health: Health::new(Arc::clone(signal)),
            metrics,
        }
    }

    /// Scheme and host, made unique among the chain's endpoints: its name in logs, errors and metrics.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// How many blocks one `eth_getLogs` may span, if the operator says so.
    pub fn max_log_range_blocks(&self) -> Option<u64> {
        self.max_log_range_blocks.map(NonZeroU64::get)
    }

    /// Whether it announces heads by itself.
    pub fn supports_push(&self) -> bool {
        self.supports_push
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn priority(&self) -> u32 {
        self.priority
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Sends one request, with the parameters' text as it is, once.
    ///
    /// # Errors
    ///
    /// When there is no result.
    pub async fn request(&self, request: &Request) -> Answer {
        let answer = self.attempt(request, self.patience()).await;
        answer.map_err(|failure| failure.error)
    }

    /// Sends several requests, each once: over http as one, over ws and ipc each by itself and without waiting for the one
    /// before. There is one answer for each request, in their order.
    pub async fn batch(&self, requests: &[Request]) -> Vec<Answer> {
        let answers = self.attempt_batch(requests, self.patience()).await;
        answers
            .into_iter()
            .map(|answer| answer.map_err(|failure| failure.error))
            .collect()
    }

    /// Subscribes to new heads; `None` where the transport cannot push.
    ///
    /// # Errors
    ///
    /// When it cannot be subscribed to.
    pub async fn heads(&self) -> Result<Option<Heads>, RequestError> {
        if !self.supports_push {
            return Ok(None);
        }
        let subscribe = self.admit(1, self.patience());
        subscribe.await.map_err(|failure| failure.error)?;
        let started = Started::new(self);
        let sent = AtomicBool::new(false);
        let heads = self.within_timeout(&sent, self.subscribe(&sent)).await;
        self.settle(
            &started,
            &["eth_subscribe"],
            heads.as_ref().err().map(|failure| &failure.error),
        );
        heads.map(Some).map_err(|failure| failure.error)
    }

    /// Forgets the connection, so that the next request makes a new one and looks at the chain id again. Requests in flight
    /// on the old one go on.
    pub(crate) fn reset(&self) {
        self.connector.reset();
    }

    /// Connects if there is no connection, so that the endpoint has said the right chain id.
    pub(crate) async fn reach(&self) -> Result<(), RequestError> {
        let started = Started::new(self);
        let reached = self
            .within_timeout(&AtomicBool::new(false), self.connector.connect(&self.health))
            .await;
        let reached = reached.map(drop).map_err(|failure| failure.error);
        if let Err(error) = &reached {
            self.settle(&started, &[], Some(error));
        }
        reached
    }

    /// Asks for the number of its newest block and keeps it, unless it wants to be left alone now.
    pub(crate) async fn look_at_head(&self) -> Result<(), RequestError> {
        let params = to_raw_value(&[(); 0]).map_err(|_| RequestError::Internal)?;
        let request = ("eth_blockNumber".into(), params);
        let answer = self.attempt(&request, Instant::now()).await;
        let head = parse::<U64>(&answer.map_err(|failure| failure.error)?)?;
        self.health.saw_head(head.to());
        Ok(())
    }

    /// As [`Self::request`], without waiting for a pause of the endpoint that goes on until after `deadline`.
    pub(crate) async fn attempt(&self, request: &Request, deadline: Instant) -> Result<Box<RawValue>, Failure> {
        self.admit(1, deadline).await?;
        let started = Started::new(self);
        let sent = AtomicBool::new(false);
        let answer = self
            .within_timeout(&sent, async {
                let connection = self.connect(&sent).await?;
                connection.call(request, self.connector.secrets()).await
            })
            .await;
        self.settle(
            &started,
            &[&request.0],
            answer.as_ref().err().map(|failure| &failure.error),
        );
        answer
    }

    /// As [`Self::batch`], without waiting for a pause of the endpoint that goes on until after `deadline`.
    pub(crate) async fn attempt_batch(
        &self,
        requests: &[Request],
        deadline: Instant,
    ) -> Vec<Result<Box<RawValue>, Failure>> {
        // What is over the limit of a second can never be sent together.
        let calls_max = self.rate_limit.as_ref().map_or(usize::MAX, RateLimit::calls_max);
        let mut answers = Vec::with_capacity(requests.len());
        for requests in requests.chunks(calls_max) {
            answers.extend(self.attempt_together(requests, deadline).await);
        }
        answers
    }

    async fn attempt_together(&self, requests: &[Request], deadline: Instant) -> Vec<Result<Box<RawValue>, Failure>> {
        if requests.len() == 1 || self.refuses_batches.load(Ordering::Relaxed) {
            return self.one_by_one(requests, deadline).await;
        }
        if let Err(failure) = self.admit(requests.len(), deadline).await {
            return vec![Err(failure); requests.len()];
        }
        let started = Started::new(self);
        let sent = AtomicBool::new(false);
        let answers = self
            .within_timeout(&sent, async {
                let connection = self.connect(&sent).await?;
                connection.call_batch(requests, self.connector.secrets()).await
            })
            .await;
        match answers {
            Ok(answers) => {
                for ((method, _), answer) in requests.iter().zip(&answers) {
                    self.settle(&started, &[method], answer.as_ref().err());
                }
                let failure = |error| Failure { error, sent: true };
                answers.into_iter().map(|answer| answer.map_err(failure)).collect()
            }
            Err(failure) if is_refusal(&failure.error) => {
                tracing::info!(chain = self.chain_id, endpoint = %self.label, "the endpoint refuses batches");
                self.refuses_batches.store(true, Ordering::Relaxed);
                self.one_by_one(requests, deadline).await
            }
            Err(failure) => {
                let methods: Vec<&str> = requests.iter().map(|(method, _)| &**method).collect();
                self.settle(&started, &methods, Some(&failure.error));
                vec![Err(failure); requests.len()]
            }
        }
    }

    async fn one_by_one(&self, requests: &[Request], deadline: Instant) -> Vec<Result<Box<RawValue>, Failure>> {
        // A closure within the stream would not be general enough for the compiler.
        let calls: Vec<_> = requests.iter().map(|request| self.attempt(request, deadline)).collect();
        futures_util::stream::iter(calls)
            .buffered(CALLS_AT_ONCE_MAX)
            .collect()
            .await
    }

    /// A connection over which something is to be sent now.
    async fn connect(&self, sent: &AtomicBool) -> Result<Connection, RequestError> {
        let connection = self.connector.connect(&self.health).await?;
        sent.store(true, Ordering::Relaxed);
        Ok(connection)
    }

    async fn subscribe(&self, sent: &AtomicBool) -> Result<Heads, RequestError> {
        let connection = self.connect(sent).await?;
        let client = connection.provider.client();
        let frontend = client.pubsub_frontend().ok_or(RequestError::Internal)?;
        frontend.set_channel_size(HEADS_BUFFERED_MAX);
        let params = to_raw_value(&["newHeads"]).map_err(|_| RequestError::Internal)?;
        let secrets = self.connector.secrets();
        let answer = connection.call(&("eth_subscribe".into(), params), secrets).await?;
        let subscription = frontend.get_subscription(parse::<B256>(&answer)?).await;
        let subscription = subscription.map_err(|error| RequestError::from_alloy(error, secrets))?;
        Ok(Heads::new(subscription, connection.provider.weak_client()))
    }

    /// Whoever asks without an own bound waits out every pause.
    fn patience(&self) -> Instant {
        Instant::now() + RETRY_AFTER_MAX
    }

    /// Waits until so many calls may be sent.
    async fn admit(&self, calls: usize, deadline: Instant) -> Result<(), Failure> {
        if let Some(until) = self.health.paused_until() {
            if until > deadline {
                let retry_after = Some(until.saturating_duration_since(Instant::now()));
                return Err(Failure::unsent(RequestError::Status {
                    status: 429,
                    retry_after,
                }));
            }
            let began = Instant::now();
            tokio::time::sleep_until(until).await;
            self.metrics.rate_limit_wait(began.elapsed());
        }
        if let Some(rate_limit) = &self.rate_limit {
            let began = Instant::now();
            if rate_limit.admit(calls).await {
                self.metrics.rate_limit_wait(began.elapsed());
            }
        }
        Ok(())
    }

    /// Bounds the time of whatever is asked, which sets `sent` before it sends anything that counts.
    async fn within_timeout<T>(
        &self,
        sent: &AtomicBool,
        asked: impl Future<Output = Result<T, RequestError>>,
    ) -> Result<T, Failure> {
        let answer = tokio::time::timeout(self.timeout, asked).await;
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        answer
            .unwrap_or(Err(RequestError::Timeout { timeout_ms }))
            .map_err(|error| Failure {
                sent: sent.load(Ordering::Relaxed) && !matches!(error, RequestError::Unreachable { .. }),
                error,
            })
    }

    /// Measures calls that were sent together, and lets them count for the endpoint's health.
    fn settle(&self, started: &Started, methods: &[&str], error: Option<&RequestError>) {
        let took = started.at.elapsed();
        for method in methods {
            self.metrics.request(method, error, took);
        }
        match error {
            Some(error) if error.is_endpoints_fault() => {
                // An endpoint that has answered others meanwhile does work: what it was asked takes long.
                let is_heavy =
                    matches!(error, RequestError::Timeout { .. }) && self.health.answers() != started.answers;
                if !is_heavy {
                    self.connector.reset();
                    let is_first = self.health.failed(error);
                    self.report(error, is_first);
                }
            }
            Some(error) if error.is_rate_limit() => self.health.pause(error.retry_after()),
            Some(RequestError::Refused { .. } | RequestError::Internal) => {}
            _ => self.health.answered(),
        }
    }

    /// Said once, so that an outage fills no log. One of the wrong chain has been named already.
    fn report(&self, error: &RequestError, is_first: bool) {
        let (chain, endpoint) = (self.chain_id, &self.label);
        if is_first && !matches!(error, RequestError::WrongChain { .. }) {
            tracing::warn!(chain, %endpoint, %error, "the endpoint has failed and is rested");
        } else {
            tracing::debug!(chain, %endpoint, %error, "the endpoint has failed again");
        }
    }
}

/// When something was sent, and how much the endpoint had answered by then.
struct Started {
    at: Instant,
    answers: u64,
}

impl Started {
    fn new(endpoint: &Endpoint) -> Self {
        Self {
            at: Instant::now(),
            answers: endpoint.health.answers(),
        }
    }
}

/// Whether one error in answer to a whole batch says that there are no batches.
fn is_refusal(error: &RequestError) -> bool {
    let RequestError::Answer { kind, .. } = error else {
        return false;
    };
    matches!(
        kind,
        AnswerKind::Invalid | AnswerKind::NoMethod | AnswerKind::TooMuch | AnswerKind::Other
    )
}

/// Reads a result that the host itself asked for.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(answer: &RawValue) -> Result<T, RequestError> {
    serde_json::from_str(answer.get()).map_err(|_| RequestError::Malformed)
}
