//! Connects to an endpoint, one connection at a time, and never to another chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::U64;
use alloy_rpc_client::RpcClient;
use nexum_config::topic::ChainId;
use nexum_net::Backoff;
use parking_lot::{Mutex, MutexGuard};
use serde_json::value::to_raw_value;
use tokio::time::Instant;

use super::connection::{Connection, Oversize};
use super::health::Health;
use super::http::BoundedHttp;
use super::parse;
use super::pubsub::ConnectOnce;
use crate::config::endpoint_url::{Address, EndpointUrl};
use crate::config::{ChainConfig, EndpointConfig};
use crate::error::RequestError;
use crate::metrics::EndpointMetrics;
use crate::redact::Secrets;
use nexum_net::HttpHeaders;

/// The connection to an endpoint. It connects at the first request, and reconnects without limit at
/// the first request after a lost connection. The wait after each failure is at most
/// [`WAIT_MAX`](nexum_net::WAIT_MAX).
#[derive(Debug)]
pub(super) struct Connector {
    chain_id: ChainId,
    url: EndpointUrl,
    headers: HttpHeaders,
    secrets: Secrets,
    label: String,
    response_bytes_max: usize,
    use_proxy: bool,
    /// Whether a connection must confirm the chain id. A place that takes transactions alone is not asked: the
    /// signature of a transaction contains the chain id.
    checks_chain_id: bool,
    /// The connection in use. Invariant: it has confirmed the chain id, if it must.
    connection: Mutex<Option<Connection>>,
    connecting: tokio::sync::Mutex<Connecting>,
    was_connected: AtomicBool,
    metrics: Arc<EndpointMetrics>,
}

/// The state of connecting. It is locked during an attempt, so that there is one at a time.
#[derive(Debug, Default)]
struct Connecting {
    /// The http client survives failures: it keeps no connection that could be faulty.
    http: Option<RpcClient>,
    backoff: Backoff,
    /// The failure of the last attempt, and the time until which all callers receive it.
    failure: Option<(RequestError, Instant)>,
}

impl Connector {
    pub(super) fn new(
        chain: &ChainConfig,
        endpoint: &EndpointConfig,
        label: String,
        metrics: Arc<EndpointMetrics>,
    ) -> Self {
        Self {
            chain_id: chain.chain_id,
            url: endpoint.url.clone(),
            headers: endpoint.headers.clone(),
            secrets: Secrets::new(&endpoint.url, &endpoint.headers),
            label,
            response_bytes_max: chain.response_bytes_max,
            use_proxy: chain.use_proxy,
            checks_chain_id: true,
            connection: Mutex::new(None),
            connecting: tokio::sync::Mutex::default(),
            was_connected: AtomicBool::new(false),
            metrics,
        }
    }

    /// The connector for a place that takes transactions alone.
    pub(super) fn without_check(mut self) -> Self {
        self.checks_chain_id = false;
        self
    }

    /// Whether a connection of this connector serves for the other one.
    pub(super) fn connects_as(&self, other: &Self) -> bool {
        self.url == other.url
            && self.headers == other.headers
            && self.response_bytes_max == other.response_bytes_max
            && self.use_proxy == other.use_proxy
    }

    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The bound on an answer, in bytes.
    pub(super) fn response_bytes_max(&self) -> u64 {
        self.response_bytes_max as u64
    }

    /// Drops the connection. Requests in flight on it continue.
    pub(super) fn reset(&self) {
        *self.current() = None;
    }

    /// The connection in use, or a new one that has confirmed the chain id, if it must.
    pub(super) async fn connect(&self, health: &Health) -> Result<Connection, RequestError> {
        match self.usable() {
            Some(connection) => Ok(connection),
            // Boxed, because the future is dozens of times larger than that of other requests, and
            // every request would reserve its memory.
            None => Box::pin(self.connect_first(health)).await,
        }
    }

    /// As [`Self::connect`], if no connection is in use.
    async fn connect_first(&self, health: &Health) -> Result<Connection, RequestError> {
        let mut connecting = self.connecting.lock().await;
        if let Some(connection) = self.usable() {
            return Ok(connection);
        }
        if let Some((error, until)) = &connecting.failure
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        match self.connect_anew(&mut connecting, health).await {
            Ok(connection) => {
                connecting.backoff.reset();
                connecting.failure = None;
                if self.was_connected.swap(true, Ordering::Relaxed) {
                    self.metrics.reconnect();
                }
                *self.current() = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                let until = Instant::now() + connecting.backoff.after_failure();
                connecting.failure = Some((error.clone(), until));
                Err(error)
            }
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock()
    }

    /// The connection in use, unless it is no longer usable.
    fn usable(&self) -> Option<Connection> {
        let mut current = self.current();
        if current.as_ref().is_some_and(Connection::is_spent) {
            *current = None;
        }
        current.clone()
    }

    async fn connect_anew(&self, connecting: &mut Connecting, health: &Health) -> Result<Connection, RequestError> {
        let bytes_max = self.response_bytes_max;
        let dead = Arc::default();
        let oversize = Arc::new(Oversize::new(bytes_max));
        let client = match self.url.address() {
            Address::Http(url) => match &connecting.http {
                Some(client) => client.clone(),
                None => {
                    let transport = BoundedHttp::new(url.clone(), &self.headers, bytes_max, self.use_proxy)?;
                    connecting.http.insert(RpcClient::new(transport, false)).clone()
                }
            },
            Address::Ws(url) => {
                self.dial(ConnectOnce::ws(url, &self.headers, bytes_max, &dead, &oversize))
                    .await?
            }
            Address::Ipc(path) => self.dial(ConnectOnce::ipc(path, bytes_max, &dead, &oversize)).await?,
        };
        let connection = Connection::new(client, dead, oversize);
        if self.checks_chain_id {
            self.check_chain_id(&connection, health).await?;
        }
        Ok(connection)
    }

    async fn dial(&self, connect: ConnectOnce) -> Result<RpcClient, RequestError> {
        let client = RpcClient::connect_pubsub(connect).await;
        client.map_err(|error| RequestError::from_alloy(error, &self.secrets))
    }

    async fn check_chain_id(&self, connection: &Connection, health: &Health) -> Result<(), RequestError> {
        let params = to_raw_value(&[(); 0]).map_err(|_| RequestError::Internal)?;
        let answer = connection.call(&("eth_chainId".into(), params), &self.secrets).await;
        let answer = answer.map_err(RequestError::into_trouble)?;
        let actual = parse::<U64>(&answer)?.to::<u64>();
        let expected = self.chain_id;
        let wrong = (actual != expected).then_some(RequestError::WrongChain { expected, actual });
        let was_right = health.says_chain(wrong.as_ref());
        let Some(wrong) = wrong else { return Ok(()) };
        if was_right {
            tracing::error!(
                chain = expected,
                endpoint = %self.label,
                expected,
                actual,
                "the endpoint serves another chain and is not used"
            );
        }
        Err(wrong)
    }
}
