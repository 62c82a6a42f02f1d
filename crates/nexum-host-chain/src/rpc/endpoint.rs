//! One JSON-RPC endpoint: its requests, its limits and its health.

mod attempt;
mod batches;
mod by_number;
mod connect;
mod connection;
mod heads;
mod health;
mod http;
mod ipc;
mod limit;
mod loose;
mod probe;
mod pubsub;
pub(crate) mod read;
mod refused;
mod report;
mod rest;
mod usage;
mod ws;

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy_primitives::{B256, U64};
use alloy_provider::Provider as _;
use nexum_config::topic::ChainId;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

pub(crate) use self::attempt::Attempted;
pub(crate) use self::attempt::Failure;
use self::attempt::Started;
use self::batches::Batches;
use self::by_number::BlockForms;
use self::connect::Connector;
pub use self::heads::Heads;
use self::health::PAUSE;
pub(crate) use self::health::{Fitness, Health, RETRY_AFTER_MAX, Signal};
use self::limit::RateLimit;
use self::usage::Usage;
use crate::config::endpoint_url::Address;
use crate::config::{ChainConfig, EndpointConfig, SubmitConfig};
use crate::error::RequestError;
use crate::metrics::EndpointMetrics;

/// The most heads that a subscription buffers for a source that fills a gap: an hour of one-second
/// blocks, in about 4 MB. A dropped head is harmless, because the source fills the gap by number.
const HEADS_BUFFERED_MAX: usize = 4_096;

/// A method's name and the text of its parameters.
pub type RpcRequest = (Cow<'static, str>, Box<RawValue>);

/// The result of a request, as unchanged JSON text.
pub type Answer = Result<Box<RawValue>, RequestError>;

/// One endpoint of a chain. Nothing uses the network before the first request.
///
/// Its own methods try a request once. Requests wait for the rate limit, are measured, and count
/// for the endpoint's health.
#[derive(Debug)]
pub struct Endpoint {
    chain_id: ChainId,
    index: usize,
    label: String,
    priority: u32,
    /// Whether the chain has other endpoints.
    has_others: bool,
    max_log_range_blocks: Option<NonZeroU64>,
    max_addresses: Option<NonZeroU64>,
    supports_push: bool,
    timeout: Duration,
    config: EndpointConfig,
    /// The connection for the source.
    following: Arc<Connector>,
    /// The connection for modules. Messages of one connection are sequential, so a large answer or
    /// a burst of small ones would delay a head on a shared connection. None if each request has
    /// its own connection.
    asking: Option<Arc<Connector>>,
    rate_limit: Option<Arc<RateLimit>>,
    /// How the endpoint answers batches.
    batches: Arc<Batches>,
    /// Whether an announced head of the endpoint was its block of that number.
    announces_truly: Arc<AtomicBool>,
    /// Whether the log says that nexum polls the endpoint, since the last subscription.
    reported_polled: Arc<AtomicBool>,
    block_forms: Arc<BlockForms>,
    health: Arc<Health>,
    usage: Arc<Usage>,
    metrics: Arc<EndpointMetrics>,
}

impl Endpoint {
    /// `index` is the endpoint's position in the configuration of its chain, and `label` is unique
    /// in the chain.
    pub(crate) fn new(
        chain: &ChainConfig,
        config: &EndpointConfig,
        index: usize,
        label: String,
        signal: &Arc<Signal>,
    ) -> Self {
        let metrics = Arc::new(EndpointMetrics::new(chain.chain_id, &label));
        Self::with_metrics(chain, config, index, label, signal, metrics)
    }

    /// A place that takes transactions alone. The chain is neither read nor followed over it, and it need not know its
    /// chain id.
    pub(crate) fn for_transactions(
        chain: &ChainConfig,
        config: &SubmitConfig,
        label: String,
        signal: &Arc<Signal>,
    ) -> Self {
        let metrics = Arc::new(EndpointMetrics::without_gauges(chain.chain_id, &label));
        let mut of_endpoint = EndpointConfig::from(config.url.clone());
        of_endpoint.headers = config.headers.clone();
        let connector = Connector::new(chain, &of_endpoint, label.clone(), Arc::clone(&metrics)).without_check();
        Self {
            has_others: false,
            following: Arc::new(connector),
            asking: None,
            ..Self::with_metrics(chain, &of_endpoint, 0, label, signal, metrics)
        }
    }

    fn with_metrics(
        chain: &ChainConfig,
        config: &EndpointConfig,
        index: usize,
        label: String,
        signal: &Arc<Signal>,
        metrics: Arc<EndpointMetrics>,
    ) -> Self {
        let supports_push = !matches!(config.url.address(), Address::Http(_));
        let connector = || Arc::new(Connector::new(chain, config, label.clone(), Arc::clone(&metrics)));
        Self {
            chain_id: chain.chain_id,
            index,
            priority: config.priority,
            has_others: chain.endpoints().len() > 1,
            max_log_range_blocks: config.max_log_range_blocks,
            max_addresses: config.max_addresses,
            supports_push,
            timeout: Duration::from_millis(chain.request_timeout_ms),
            following: connector(),
            asking: supports_push.then(connector),
            label,
            rate_limit: config.requests_per_second.map(|max| Arc::new(RateLimit::new(max))),
            batches: Arc::default(),
            announces_truly: Arc::default(),
            reported_polled: Arc::default(),
            block_forms: Arc::default(),
            health: Arc::new(Health::new(Arc::clone(signal))),
            usage: Arc::new(Usage::new()),
            metrics,
            config: config.clone(),
        }
    }

    /// The endpoint of the same URL with another configuration. It shares what the change does not
    /// concern: the counters, with equal headers also the health, and with equal bounds the
    /// connections.
    pub(crate) fn continued(
        &self,
        chain: &ChainConfig,
        config: &EndpointConfig,
        index: usize,
        signal: &Arc<Signal>,
    ) -> Self {
        let mut next = Self::with_metrics(
            chain,
            config,
            index,
            self.label.clone(),
            signal,
            Arc::clone(&self.metrics),
        );
        next.usage = Arc::clone(&self.usage);
        if config.requests_per_second == self.config.requests_per_second {
            next.rate_limit = self.rate_limit.clone();
        }
        if config.headers != self.config.headers {
            return next;
        }
        next.batches = Arc::clone(&self.batches);
        next.announces_truly = Arc::clone(&self.announces_truly);
        next.reported_polled = Arc::clone(&self.reported_polled);
        next.block_forms = Arc::clone(&self.block_forms);
        next.health = Arc::clone(&self.health);
        if self.following.connects_as(&next.following) {
            next.following = Arc::clone(&self.following);
            next.asking.clone_from(&self.asking);
        }
        next
    }

    /// The validated configuration.
    pub(crate) fn config(&self) -> &EndpointConfig {
        &self.config
    }

    /// The name of the endpoint in logs, errors and metrics: scheme, host and port, made unique
    /// within the chain.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The most blocks in one `eth_getLogs`, if the operator configured it.
    pub fn max_log_range_blocks(&self) -> Option<u64> {
        self.max_log_range_blocks.map(NonZeroU64::get)
    }

    /// The most addresses in one `eth_getLogs`, if the operator configured it.
    pub fn max_addresses(&self) -> Option<u64> {
        self.max_addresses.map(NonZeroU64::get)
    }

    /// Whether the endpoint can announce heads.
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

    /// Whether an announced head is its block of that number.
    pub(crate) fn announces_truly(&self) -> bool {
        self.announces_truly.load(Ordering::Relaxed)
    }

    /// Records that an announced head was its block of that number.
    pub(crate) fn announced_truly(&self) {
        self.announces_truly.store(true, Ordering::Relaxed);
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Sends one request once, with the parameters' text unchanged.
    ///
    /// # Errors
    ///
    /// If there is no result.
    pub async fn request(&self, request: &RpcRequest) -> Answer {
        let answer = self.attempt_over(&self.following, request, self.patience()).await;
        answer.map_err(|failure| failure.error)
    }

    /// Sends several requests, each once: over http as one batch, over ws and ipc as separate
    /// messages that do not wait for each other. Returns one answer per request, in order. All
    /// results together have at most `response_bytes_max` bytes.
    pub async fn batch(&self, requests: &[RpcRequest]) -> Vec<Answer> {
        let answers = self
            .attempt_batch_over(
                &self.following,
                requests,
                self.patience(),
                self.following.response_bytes_max(),
            )
            .await;
        answers
            .into_iter()
            .map(|answer| answer.map_err(|failure| failure.error))
            .collect()
    }

    /// Subscribes to new heads. `None` if the transport cannot push, or the endpoint does not have
    /// `eth_subscribe`: the source then polls. The only endpoint of a chain is polled after any
    /// refusal.
    ///
    /// # Errors
    ///
    /// If the subscription fails.
    pub async fn heads(&self) -> Result<Option<Heads>, RequestError> {
        if !self.supports_push {
            return Ok(None);
        }
        let subscribe = self.admit(1, self.patience());
        subscribe.await.map_err(|failure| failure.error)?;
        let started = Started::new(self);
        let sent = AtomicBool::new(false);
        let heads = self.within_timeout(&sent, self.subscribe(&sent)).await;
        self.settle(&self.following, &started, &["eth_subscribe"], heads.as_ref().err());
        match heads {
            Err(Failure { error, .. }) if error.is_no_method() || (!self.has_others && error.is_refusal()) => {
                if !self.reported_polled.swap(true, Ordering::Relaxed) {
                    tracing::info!(chain = self.chain_id, endpoint = %self.label, %error, "the endpoint announces no heads: nexum polls it");
                }
                Ok(None)
            }
            heads => {
                if heads.is_ok() {
                    self.reported_polled.store(false, Ordering::Relaxed);
                }
                heads.map(Some).map_err(|failure| failure.error)
            }
        }
    }

    /// Drops the connections, so that the next request connects again and checks the chain id.
    /// Requests in flight on the old connections continue.
    pub(crate) fn reset(&self) {
        self.following.reset();
        self.asking.iter().for_each(|asking| asking.reset());
    }

    /// Connects if there is no connection, which confirms the chain id.
    pub(crate) async fn reach(&self) -> Result<(), RequestError> {
        let started = Started::new(self);
        let reached = self
            .within_timeout(&AtomicBool::new(false), self.following.connect(&self.health))
            .await;
        if let Err(failure) = &reached {
            self.settle(&self.following, &started, &[], Some(failure));
        }
        reached.map(drop).map_err(|failure| failure.error)
    }

    /// Records the number of the endpoint's newest block. Fails during a pause of the endpoint.
    pub(crate) async fn look_at_head(&self) -> Result<(), RequestError> {
        let head = parse::<U64>(&self.ask("eth_blockNumber", "[]".to_owned()).await?)?;
        self.health.saw_head(head.to());
        Ok(())
    }

    /// Whether the endpoint returns the block of this number. False during a pause of the endpoint.
    pub(crate) async fn has_block(&self, number: u64) -> bool {
        #[derive(serde::Deserialize)]
        struct Numbered {
            number: U64,
        }
        let answer = self
            .ask("eth_getBlockByNumber", format!(r#"["{number:#x}",false]"#))
            .await;
        let block = answer.and_then(|answer| parse::<Option<Numbered>>(&answer));
        matches!(block, Ok(Some(block)) if block.number == U64::from(number))
    }

    async fn subscribe(&self, sent: &AtomicBool) -> Result<Heads, RequestError> {
        let connection = self.connect(&self.following, sent).await?;
        let client = connection.provider.client();
        let frontend = client.pubsub_frontend().ok_or(RequestError::Internal)?;
        frontend.set_channel_size(HEADS_BUFFERED_MAX);
        let params = to_raw_value(&["newHeads"]).map_err(|_| RequestError::Internal)?;
        let secrets = self.following.secrets();
        let answer = connection.call(&("eth_subscribe".into(), params), secrets).await?;
        let subscription = frontend.get_subscription(parse::<B256>(&answer)?).await;
        let subscription = subscription.map_err(|error| RequestError::from_alloy(error, secrets))?;
        Ok(Heads::new(subscription, connection.provider.weak_client()))
    }

    /// The deadline of the source's wait for a pause to end: the longest pause or, if there are
    /// other endpoints, an ordinary pause.
    fn patience(&self) -> Instant {
        Instant::now() + if self.has_others { PAUSE } else { RETRY_AFTER_MAX }
    }
}

/// Parses the result of the host's own request.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(answer: &RawValue) -> Result<T, RequestError> {
    serde_json::from_str(answer.get()).map_err(|_| RequestError::Malformed)
}
