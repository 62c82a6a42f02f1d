//! A connection to an endpoint, and what is asked over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use alloy_provider::network::Ethereum;
use alloy_provider::{DynProvider, Provider, RootProvider};
use alloy_rpc_client::{BatchRequest, RpcClient};
use serde_json::value::RawValue;

use super::RpcRequest;
use crate::error::RequestError;
use crate::redact::Secrets;

/// How many bytes of requests that were given up may wait in a connection for their answers before the connection is given
/// up too: the client below holds each until it is answered, which for an endpoint that answers nothing is for ever.
const ABANDONED_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// What an abandoned request takes beside its parameters.
const REQUEST_OVERHEAD_BYTES: usize = 512;

/// How many requests wait for answers over ws or ipc, and whether a message over the bound ended the connection.
#[derive(Debug)]
pub(super) struct Oversize {
    bytes_max: usize,
    in_flight: AtomicUsize,
    /// How many requests were waiting when the message came; 0 if none has.
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

    /// A message has more than the bound.
    pub(super) fn found(&self) {
        let waiting = self.in_flight.load(Ordering::Relaxed);
        self.found_with.store(waiting.max(1), Ordering::Relaxed);
    }

    /// The reason of a failure, where it is the size of a message. Its size is known before its id, so that of several requests
    /// any may be the one.
    fn explain(&self, error: RequestError) -> RequestError {
        let bytes_max = self.bytes_max;
        match (&error, self.found_with.load(Ordering::Relaxed)) {
            (RequestError::Lost { .. }, 1) => RequestError::TooLarge { bytes_max },
            (RequestError::Lost { .. }, 2..) => RequestError::CutOff { bytes_max },
            _ => error,
        }
    }
}

/// A provider, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) provider: DynProvider,
    /// Set once it has died. One over http does not.
    dead: Arc<AtomicBool>,
    oversize: Arc<Oversize>,
    /// How many bytes of requests have been abandoned on it.
    abandoned_bytes: Arc<AtomicUsize>,
}

impl Connection {
    /// A connection over `client`, which sets `dead` when it has died, and says in `oversize` if a message was too large.
    pub(super) fn new(client: RpcClient, dead: Arc<AtomicBool>, oversize: Arc<Oversize>) -> Self {
        Self {
            provider: RootProvider::<Ethereum>::new(client).erased(),
            dead,
            oversize,
            abandoned_bytes: Arc::default(),
        }
    }

    /// Whether it has died, or holds too much that nobody waits for.
    pub(super) fn is_spent(&self) -> bool {
        self.dead.load(Ordering::Relaxed) || self.abandoned_bytes.load(Ordering::Relaxed) > ABANDONED_BYTES_MAX
    }

    /// Sends one request, with the parameters' text as it is.
    pub(super) async fn call(&self, request: &RpcRequest, secrets: &Secrets) -> Result<Box<RawValue>, RequestError> {
        let (method, params) = request;
        let flight = Flight::new(self, params.get().len());
        let answer = self.provider.raw_request_dyn(method.clone(), params).await;
        flight.landed();
        answer.map_err(|error| self.oversize.explain(RequestError::from_alloy(error, secrets)))
    }

    /// Sends several requests together. There is one answer for each, in their order, unless all failed together.
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

/// Counts a request as abandoned if it is dropped before it has landed.
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
