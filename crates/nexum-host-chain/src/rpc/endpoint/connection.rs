//! A connection to an endpoint, and its requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use alloy_provider::network::Ethereum;
use alloy_provider::{DynProvider, Provider, RootProvider};
use alloy_rpc_client::{BatchRequest, RpcClient};
use serde_json::value::RawValue;

use super::RpcRequest;
use crate::error::RequestError;
use crate::redact::Secrets;

/// The most bytes of abandoned requests in a connection, before nexum abandons the connection too.
/// The client below stores each request until its answer, which may never arrive.
const ABANDONED_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// The memory of an abandoned request beside its parameters, in bytes.
const REQUEST_OVERHEAD_BYTES: usize = 512;

/// The number of requests that wait for answers over ws or ipc, and whether a message above the
/// bound ended the connection.
#[derive(Debug)]
pub(super) struct Oversize {
    bytes_max: usize,
    in_flight: AtomicUsize,
    /// The number of requests that were waiting when the large message arrived. 0 if none has
    /// arrived.
    found_with: AtomicUsize,
}

impl Oversize {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            in_flight: AtomicUsize::new(0),
            found_with: AtomicUsize::new(0),
        }
    }

    /// Records a message above the bound.
    pub(super) fn found(&self) {
        let waiting = self.in_flight.load(Ordering::Relaxed);
        self.found_with.store(waiting.max(1), Ordering::Relaxed);
    }

    /// Replaces a lost connection by its reason, if that is the size of a message. The size is
    /// known before the id, so any of several requests may be the cause.
    fn explain(&self, error: RequestError) -> RequestError {
        let bytes_max = self.bytes_max;
        match (&error, self.found_with.load(Ordering::Relaxed)) {
            (RequestError::Lost { .. }, 1) => RequestError::TooLarge { bytes_max },
            (RequestError::Lost { .. }, 2..) => RequestError::CutOff { bytes_max },
            _ => error,
        }
    }
}

/// A provider, with the state of its connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) provider: DynProvider,
    /// Set after the connection is lost. Never set over http.
    dead: Arc<AtomicBool>,
    oversize: Arc<Oversize>,
    /// The bytes of requests that were abandoned on this connection.
    abandoned_bytes: Arc<AtomicUsize>,
}

impl Connection {
    /// A connection over `client`, which sets `dead` when the connection is lost, and `oversize`
    /// when a message is too large.
    pub(super) fn new(client: RpcClient, dead: Arc<AtomicBool>, oversize: Arc<Oversize>) -> Self {
        Self {
            provider: RootProvider::<Ethereum>::new(client).erased(),
            dead,
            oversize,
            abandoned_bytes: Arc::default(),
        }
    }

    /// Whether the connection is lost, or stores too many abandoned requests.
    pub(super) fn is_spent(&self) -> bool {
        self.dead.load(Ordering::Relaxed) || self.abandoned_bytes.load(Ordering::Relaxed) > ABANDONED_BYTES_MAX
    }

    /// Sends one request, with the parameters' text unchanged.
    pub(super) async fn call(&self, request: &RpcRequest, secrets: &Secrets) -> Result<Box<RawValue>, RequestError> {
        let (method, params) = request;
        let flight = Flight::new(self, params.get().len());
        let answer = self.provider.raw_request_dyn(method.clone(), params).await;
        flight.landed();
        answer.map_err(|error| self.oversize.explain(RequestError::from_alloy(error, secrets)))
    }

    /// Sends several requests together. Returns one answer per request, in order, unless all failed
    /// together.
    pub(super) async fn call_batch(
        &self,
        requests: &[RpcRequest],
        secrets: &Secrets,
    ) -> Result<Vec<Result<Box<RawValue>, RequestError>>, RequestError> {
        let failed = |error| RequestError::from_alloy(error, secrets);
        let mut batch = BatchRequest::new(self.provider.client());
        let mut waiters = Vec::with_capacity(requests.len());
        for (method, params) in requests {
            waiters.push(
                batch
                    .add_call::<_, Box<RawValue>>(method.clone(), params)
                    .map_err(failed)?,
            );
        }
        let flight = Flight::new(self, requests.iter().map(|(_, params)| params.get().len()).sum());
        let sent = batch.send().await;
        flight.landed();
        sent.map_err(failed)?;
        let mut answers = Vec::with_capacity(requests.len());
        for waiter in waiters {
            answers.push(waiter.await.map_err(failed));
        }
        Ok(answers)
    }
}

/// Counts a request as abandoned if it is dropped before its answer.
struct Flight<'a> {
    in_flight: &'a AtomicUsize,
    abandoned_bytes: &'a AtomicUsize,
    bytes: usize,
}

impl<'a> Flight<'a> {
    fn new(connection: &'a Connection, params_bytes: usize) -> Self {
        let bytes = params_bytes.saturating_add(REQUEST_OVERHEAD_BYTES);
        connection.oversize.in_flight.fetch_add(1, Ordering::Relaxed);
        Self {
            in_flight: &connection.oversize.in_flight,
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
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.abandoned_bytes.fetch_add(self.bytes, Ordering::Relaxed);
    }
}
