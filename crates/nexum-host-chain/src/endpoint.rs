//! One JSON-RPC endpoint: its connection, and what is asked over it.

mod http;
mod ipc;
mod pubsub;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy_primitives::{B256, U64};
use alloy_provider::network::Ethereum;
use alloy_provider::{DynProvider, Provider, RootProvider};
use alloy_pubsub::RawSubscription;
use alloy_rpc_client::{BatchRequest, RpcClient};
use nexum_core::event::ChainId;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use self::http::BoundedHttp;
use self::pubsub::ConnectOnce;
use crate::backoff::Backoff;
use crate::config::ChainConfig;
use crate::endpoint_url::{Address, EndpointUrl};
use crate::error::RequestError;

/// How many heads a subscription holds for a source that is filling a gap. Heads that do not fit are lost without harm,
/// because the gap is filled by number; an hour of one-second blocks fits, in some 4 MB.
const HEADS_BUFFERED_MAX: usize = 4_096;

/// How many bytes of requests that were given up may wait in a connection for their answers before the connection is given
/// up too: the client below holds each until it is answered, which for an endpoint that answers nothing is for ever.
const ABANDONED_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// What an abandoned request takes beside its parameters.
const REQUEST_OVERHEAD_BYTES: usize = 512;

/// A method's name and the text of its parameters.
pub(crate) type Request = (Cow<'static, str>, Box<RawValue>);

/// An endpoint. Nothing touches the network before the first request.
#[derive(Debug)]
pub(crate) struct Endpoint {
    chain_id: ChainId,
    url: EndpointUrl,
    timeout: Duration,
    response_bytes_max: usize,
    /// The connection in use. Invariant: it has said the right chain id.
    connection: Mutex<Option<Connection>>,
    connecting: tokio::sync::Mutex<Connecting>,
    /// Whether it has refused a batch, so that it is asked one by one from then on.
    refuses_batches: AtomicBool,
}

/// A provider, and what is known of it.
#[derive(Clone, Debug)]
struct Connection {
    provider: DynProvider,
    /// Set once it has died. One over http does not.
    dead: Arc<AtomicBool>,
    /// How many bytes of requests have been abandoned on it.
    abandoned_bytes: Arc<AtomicUsize>,
}

impl Connection {
    fn is_spent(&self) -> bool {
        self.dead.load(Ordering::Relaxed) || self.abandoned_bytes.load(Ordering::Relaxed) > ABANDONED_BYTES_MAX
    }
}

/// What is known from earlier attempts to connect. Held locked while one is made, so that there is one at a time.
#[derive(Debug, Default)]
struct Connecting {
    /// The http client outlives what is known about the endpoint: it has no connection of its own that could be wrong.
    http: Option<RpcClient>,
    backoff: Backoff,
    /// Why the last attempt failed, and until when its answer holds for everyone.
    failure: Option<(RequestError, Instant)>,
}

impl Endpoint {
    pub(crate) fn new(config: &ChainConfig) -> Self {
        Self {
            chain_id: config.chain_id,
            url: config.rpc_url.clone(),
            timeout: Duration::from_millis(config.request_timeout_ms),
            response_bytes_max: config.response_bytes_max,
            connection: Mutex::new(None),
            connecting: tokio::sync::Mutex::default(),
            refuses_batches: AtomicBool::new(false),
        }
    }

    /// Shows scheme and host only.
    pub(crate) fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// Sends one request, with the parameters' text as it is.
    pub(crate) async fn request(&self, request: &Request) -> Result<Box<RawValue>, RequestError> {
        self.within_timeout(async {
            let connection = self.connect().await?;
            self.call(&connection, request).await
        })
        .await
    }

    /// Sends several requests: over http as one, over ws and ipc each by itself and without waiting for the one before. There
    /// is one answer for each request, in their order.
    pub(crate) async fn batch(&self, requests: &[Request]) -> Vec<Result<Box<RawValue>, RequestError>> {
        if requests.len() == 1 || self.refuses_batches.load(Ordering::Relaxed) {
            return self.one_by_one(requests).await;
        }
        match self.within_timeout(self.call_batch(requests)).await {
            Ok(answers) => answers,
            Err(error @ RequestError::Answer { .. }) if !error.is_rate_limit() => {
                tracing::info!(chain = self.chain_id, endpoint = %self.url, "the endpoint refuses batches");
                self.refuses_batches.store(true, Ordering::Relaxed);
                self.one_by_one(requests).await
            }
            Err(error) => vec![Err(error); requests.len()],
        }
    }

    /// Subscribes to new heads; `None` where the transport cannot push.
    pub(crate) async fn heads(&self) -> Result<Option<RawSubscription>, RequestError> {
        if matches!(self.url.address(), Address::Http(_)) {
            return Ok(None);
        }
        self.within_timeout(async {
            let connection = self.connect().await?;
            let client = connection.provider.client();
            let frontend = client.pubsub_frontend().ok_or(RequestError::Internal)?;
            frontend.set_channel_size(HEADS_BUFFERED_MAX);
            let params = to_raw_value(&["newHeads"]).map_err(|_| RequestError::Internal)?;
            let answer = self.call(&connection, &("eth_subscribe".into(), params)).await?;
            let id = parse::<B256>(&answer)?;
            let subscription = frontend.get_subscription(id).await;
            subscription
                .map(Some)
                .map_err(|error| RequestError::from_alloy(error, &self.url))
        })
        .await
    }

    /// Forgets the connection, so that the next request makes a new one and looks at the chain id again. Requests in flight
    /// on the old one go on.
    pub(crate) fn reset(&self) {
        *self.current() = None;
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn one_by_one(&self, requests: &[Request]) -> Vec<Result<Box<RawValue>, RequestError>> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(self.request(request).await);
        }
        answers
    }

    async fn call(&self, connection: &Connection, request: &Request) -> Result<Box<RawValue>, RequestError> {
        let (method, params) = request;
        let flight = Flight::new(connection, params.get().len());
        let answer = connection.provider.raw_request_dyn(method.clone(), params).await;
        flight.landed();
        answer.map_err(|error| RequestError::from_alloy(error, &self.url))
    }

    async fn call_batch(&self, requests: &[Request]) -> Result<Vec<Result<Box<RawValue>, RequestError>>, RequestError> {
        let connection = self.connect().await?;
        let failed = |error| RequestError::from_alloy(error, &self.url);
        let mut batch = BatchRequest::new(connection.provider.client());
        let mut waiters = Vec::with_capacity(requests.len());
        for (method, params) in requests {
            waiters.push(
                batch
                    .add_call::<_, Box<RawValue>>(method.clone(), params)
                    .map_err(failed)?,
            );
        }
        let flight = Flight::new(&connection, requests.iter().map(|(_, params)| params.get().len()).sum());
        let sent = batch.send().await;
        flight.landed();
        sent.map_err(failed)?;
        let mut answers = Vec::with_capacity(requests.len());
        for waiter in waiters {
            answers.push(waiter.await.map_err(failed));
        }
        Ok(answers)
    }

    /// Bounds the time of whatever is asked, and forgets a connection that may be at fault.
    async fn within_timeout<T>(&self, asked: impl Future<Output = Result<T, RequestError>>) -> Result<T, RequestError> {
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let answer = tokio::time::timeout(self.timeout, asked).await;
        let answer = answer.unwrap_or(Err(RequestError::Timeout { timeout_ms }));
        if answer.as_ref().is_err_and(RequestError::is_outage) {
            self.reset();
        }
        answer
    }

    /// The connection in use, or a new one that has said the right chain id.
    async fn connect(&self) -> Result<Connection, RequestError> {
        if let Some(connection) = self.usable() {
            return Ok(connection);
        }
        let mut connecting = self.connecting.lock().await;
        if let Some(connection) = self.usable() {
            return Ok(connection);
        }
        if let Some((error, until)) = &connecting.failure
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        match self.connect_anew(&mut connecting).await {
            Ok(connection) => {
                connecting.backoff.reset();
                connecting.failure = None;
                *self.current() = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                let until = Instant::now() + connecting.backoff.next();
                connecting.failure = Some((error.clone(), until));
                Err(error)
            }
        }
    }

    /// The connection in use, unless it has died or holds too much that nobody waits for.
    fn usable(&self) -> Option<Connection> {
        let mut current = self.current();
        current.take_if(|connection| connection.is_spent());
        current.clone()
    }

    async fn connect_anew(&self, connecting: &mut Connecting) -> Result<Connection, RequestError> {
        let bytes_max = self.response_bytes_max;
        let dead = Arc::default();
        let client = match self.url.address() {
            Address::Http(url) => match &connecting.http {
                Some(client) => client.clone(),
                None => {
                    let transport = BoundedHttp::new(url.clone(), bytes_max)?;
                    connecting.http.insert(RpcClient::new(transport, false)).clone()
                }
            },
            Address::Ws(url) => self.dial(ConnectOnce::ws(url, bytes_max, &dead)).await?,
            Address::Ipc(path) => self.dial(ConnectOnce::ipc(path, bytes_max, &dead)).await?,
        };
        let connection = Connection {
            provider: RootProvider::<Ethereum>::new(client).erased(),
            dead,
            abandoned_bytes: Arc::default(),
        };
        self.check_chain_id(&connection).await?;
        Ok(connection)
    }

    async fn dial(&self, connect: ConnectOnce) -> Result<RpcClient, RequestError> {
        let client = RpcClient::connect_pubsub(connect).await;
        client.map_err(|error| RequestError::from_alloy(error, &self.url))
    }

    async fn check_chain_id(&self, connection: &Connection) -> Result<(), RequestError> {
        let params = to_raw_value(&[(); 0]).map_err(|_| RequestError::Internal)?;
        let answer = self.call(connection, &("eth_chainId".into(), params)).await?;
        let actual = parse::<U64>(&answer)?.to::<u64>();
        let expected = self.chain_id;
        if actual == expected {
            Ok(())
        } else {
            Err(RequestError::WrongChain { expected, actual })
        }
    }
}

/// Reads a result that the host itself asked for.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(answer: &RawValue) -> Result<T, RequestError> {
    serde_json::from_str(answer.get()).map_err(|_| RequestError::Malformed)
}

/// Counts a request as abandoned if it is dropped before it has landed.
struct Flight<'a> {
    abandoned_bytes: &'a AtomicUsize,
    bytes: usize,
}

impl<'a> Flight<'a> {
    fn new(connection: &'a Connection, params_bytes: usize) -> Self {
        let bytes = params_bytes.saturating_add(REQUEST_OVERHEAD_BYTES);
        Self {
            abandoned_bytes: &connection.abandoned_bytes,
            bytes,
        }
    }

    fn landed(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.abandoned_bytes.fetch_add(self.bytes, Ordering::Relaxed);
    }
}
