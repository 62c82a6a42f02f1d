//! The WIT implementation.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use nexum_config::limits::Limit;
use nexum_config::topic::ChainId;
use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::{HostCall, HostCallKind, View};
use tokio::time::Instant;

use crate::bindings::nexum::host::chain::{self, RpcRequest, RpcResult};
use crate::bindings::trigger;
use crate::bindings::trigger::nexum::host::chain::ChainError;
use crate::capability::chain::{CountedChains, ModuleChains};
use crate::capability::effects::Change;
use crate::capability::requests::{check_batch, check_method, check_params};
use crate::error::RequestError;
use crate::methods;

/// The name of a batch in a module's status.
const BATCH: &str = "batch";

/// The name of a method that only `extra_methods` allows in a module's status, which shows no text
/// of the guest.
const OTHER_METHOD: &str = "another method";

impl chain::Host for View<'_, ModuleChains> {
    async fn request(
        &mut self,
        chain_id: u64,
        method: String,
        params: String,
    ) -> wasmtime::Result<Result<String, HostError>> {
        self.scope.spend(Limit::ChainRequests, 1)?;
        if let Some(answer) = handed_over(self, chain_id, &method, &params).await? {
            return Ok(answer);
        }
        let answer = request(self, chain_id, &method, &params).await?;
        Ok(answer.map_err(|error| error.to_host_error()))
    }

    async fn request_batch(
        &mut self,
        chain_id: u64,
        requests: Vec<RpcRequest>,
    ) -> wasmtime::Result<Result<Vec<RpcResult>, HostError>> {
        self.scope.spend(Limit::ChainRequests, requests.len() as u64)?;
        let requests: Vec<_> = requests
            .iter()
            .map(|request| (&*request.method, &*request.params))
            .collect();
        let answers = batch(self, chain_id, &requests).await?;
        Ok(answers.map_err(|error| error.to_host_error()))
    }
}

/// For trigger modules. No other part of the host answers their requests.
impl trigger::nexum::host::chain::Host for View<'_, ModuleChains> {
    async fn request(
        &mut self,
        chain_id: u64,
        method: String,
        params: String,
    ) -> wasmtime::Result<Result<String, ChainError>> {
        self.scope.spend(Limit::ChainRequests, 1)?;
        let answer = request(self, chain_id, &method, &params).await?;
        Ok(answer.map_err(|error| error.to_chain_error()))
    }
}

/// The answer of another part of the host. `None` if no part answers the method.
async fn handed_over(
    view: &mut View<'_, ModuleChains>,
    chain_id: u64,
    method: &str,
    params: &str,
) -> wasmtime::Result<Option<Result<String, HostError>>> {
    let answering = view.state.chains.answering(chain_id, method);
    let checked = answering.and_then(|part| {
        let Some(part) = part else { return Ok(None) };
        check_method(method)?;
        check_params(params)?;
        Ok(Some(part))
    });
    let part = match checked {
        Ok(Some(part)) => part,
        Ok(None) => return Ok(None),
        Err(error) => return Ok(Some(Err(error.to_host_error()))),
    };
    let name = methods::signing(method).or_else(|| methods::read(method));
    let _call = view.host_call(HostCallKind::Chain, name.unwrap_or(OTHER_METHOD));
    let mut nothing = ();
    let of_part = view.without_state(&mut nothing);
    let answer = part.request(of_part, chain_id, method, params).await?;
    let bytes = answer.as_ref().map_or(0, |result| result.len() as u64);
    view.scope.spend(Limit::ResponseBytes, bytes)?;
    Ok(Some(answer))
}

/// Sends a request to the endpoints of the chain.
async fn request(
    view: &mut View<'_, ModuleChains>,
    chain_id: u64,
    method: &str,
    params: &str,
) -> wasmtime::Result<Result<String, RequestError>> {
    if view.state.chains.allows_change(chain_id, method) {
        return change(view, chain_id, method, params).await;
    }
    let call = view.host_call(HostCallKind::Chain, methods::read(method).unwrap_or(OTHER_METHOD));
    let block = view.state.pin.block(view, chain_id);
    let chains = &view.state.chains;
    let answer = chains.request_at(block, chain_id, method, params);
    let answer = naming(&call, chains, (chain_id, method), answer);
    let answer = within(view.scope.answer_by(), answer).await;
    view.scope.spend(Limit::ResponseBytes, bytes(&answer))?;
    Ok(answer)
}

/// Answers a batch. Requests that change something, and those that another part of the host answers, go out first, one
/// by one in their order; the others follow together.
async fn batch(
    view: &mut View<'_, ModuleChains>,
    chain_id: u64,
    requests: &[(&str, &str)],
) -> wasmtime::Result<Result<Vec<RpcResult>, RequestError>> {
    if let Err(error) = check_batch(requests) {
        return Ok(Err(error));
    }
    let mut alone = Vec::with_capacity(requests.len());
    for (method, params) in requests {
        let answer = match handed_over(view, chain_id, method, params).await? {
            Some(answer) => Some(answer.map_or_else(RpcResult::Err, RpcResult::Ok)),
            None if view.state.chains.allows_change(chain_id, method) => {
                Some(rpc_result(change(view, chain_id, method, params).await?))
            }
            None => None,
        };
        alone.push(answer);
    }
    let reads = requests.iter().zip(&alone).filter(|(_, answer)| answer.is_none());
    let reads: Vec<_> = reads.map(|(request, _)| *request).collect();
    let answers = read_batch(view, chain_id, &reads).await?;
    Ok(answers.map(|answers| {
        let mut read = answers.into_iter();
        let answer =
            |alone: Option<_>| alone.unwrap_or_else(|| rpc_result(read.next().unwrap_or(Err(RequestError::Internal))));
        alone.into_iter().map(answer).collect()
    }))
}

/// Sends reads together.
async fn read_batch(
    view: &mut View<'_, ModuleChains>,
    chain_id: u64,
    requests: &[(&str, &str)],
) -> wasmtime::Result<Result<Vec<Result<String, RequestError>>, RequestError>> {
    let call = view.host_call(HostCallKind::Chain, BATCH);
    let block = view.state.pin.block(view, chain_id);
    let left = view.scope.left(Limit::ResponseBytes);
    let chains = &view.state.chains;
    let answers = chains.request_batch_at(block, chain_id, requests, left);
    let method = requests.first().map_or("", |(method, _)| *method);
    let answers = naming(&call, chains, (chain_id, method), answers);
    let answers = within(view.scope.answer_by(), answers).await;
    let received = match &answers {
        // Ends the event: the guest would take a part of the results for all of them.
        Err(RequestError::OverBudget { .. }) => left.saturating_add(1),
        answers => answers.iter().flatten().map(bytes).sum(),
    };
    view.scope.spend(Limit::ResponseBytes, received)?;
    Ok(answers)
}

/// Sends a request that changes something, once.
async fn change(
    view: &mut View<'_, ModuleChains>,
    chain_id: u64,
    method: &str,
    params: &str,
) -> wasmtime::Result<Result<String, RequestError>> {
    let change = match Change::new(chain_id, method, params) {
        Ok(change) => change,
        Err(error) => return Ok(Err(error)),
    };
    let call = view.host_call(HostCallKind::Chain, OTHER_METHOD);
    let journal = view.effect()?;
    let answer = match change.begin(&journal).await? {
        Err(answer) => answer,
        Ok(sending) => {
            let chains = &view.state.chains;
            let answer = chains.request_at(None, chain_id, method, params);
            let answer = naming(&call, chains, (chain_id, method), answer);
            let answer = within(view.scope.answer_by(), answer).await;
            let concluded = change.conclude(chains, answer, sending.is_repeated());
            let (answer, outcome) = concluded.await;
            journal.settle(sending, outcome);
            answer
        }
    };
    view.scope.spend(Limit::ResponseBytes, bytes(&answer))?;
    Ok(answer)
}

/// Waits for an answer. Names the endpoint that the request goes to first, as soon as the answer has
/// to wait for it: an answer from a cache needs none. A retry at another endpoint does not change the
/// name.
async fn naming<T>(
    call: &HostCall<'_>,
    chains: &CountedChains,
    (chain_id, method): (ChainId, &str),
    answer: impl Future<Output = T>,
) -> T {
    let mut answer = pin!(answer);
    let mut is_named = false;
    poll_fn(|context| {
        let polled = answer.as_mut().poll(context);
        if polled.is_pending()
            && !std::mem::replace(&mut is_named, true)
            && let Some(endpoint) = chains.endpoints(chain_id)
        {
            call.endpoint(endpoint.first_for(method).label());
        }
        polled
    })
    .await
}

/// Waits for an answer until this time, and not until the event's deadline: so the guest learns that the
/// node does not answer, and can save its work.
async fn within<T>(by: Instant, answer: impl Future<Output = Result<T, RequestError>>) -> Result<T, RequestError> {
    let time = by.saturating_duration_since(Instant::now());
    let answered = tokio::time::timeout_at(by, answer).await;
    answered.unwrap_or(Err(RequestError::Timeout {
        timeout_ms: whole_ms(time),
    }))
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The bytes of an answer that come from outside. The data of an error has its own bounds.
fn bytes(answer: &Result<String, RequestError>) -> u64 {
    answer.as_ref().map_or(0, |result| result.len() as u64)
}

fn rpc_result(answer: Result<String, RequestError>) -> RpcResult {
    match answer {
        Ok(result) => RpcResult::Ok(result),
        Err(error) => RpcResult::Err(error.to_host_error()),
    }
}
