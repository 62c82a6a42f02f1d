//! The WIT implementation.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use nexum_config::limits::Limit;
use nexum_config::topic::ChainId;
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_core::capability::{Asked, HostCall, HostCallKind, View};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::bindings::nexum::host::chain::{self, RpcRequest, RpcResult};
use crate::bindings::trigger;
use crate::bindings::trigger::nexum::host::chain::ChainError;
use crate::capability::chain::{CountedChains, ModuleChains};
use crate::capability::effects::Change;
use crate::capability::pin;
use crate::capability::requests::{check_batch, check_method, check_params};
use crate::error::RequestError;
use crate::methods;

/// The kind of a read in the transcript of an event.
const REQUEST: &str = "chain-request";

/// The name of a batch in a module's status, and in the transcript of an event.
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
        match handed_over(self, chain_id, &method, &params).await? {
            Some(answer) => Ok(answer),
            None => request(self, chain_id, &method, &params, RequestError::to_host_error).await,
        }
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
        Ok(answers.map(|answers| answers.into_iter().map(rpc_result).collect()))
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
        request(self, chain_id, &method, &params, RequestError::to_chain_error).await
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
    let call = view.host_call(HostCallKind::Chain, name.unwrap_or(OTHER_METHOD));
    let mut nothing = ();
    let of_part = view.without_state(&mut nothing);
    let answer = part.request(of_part, chain_id, method, params).await?;
    call.ends(answer.as_ref().map(String::len).map_err(|error| error.kind));
    let bytes = answer.as_ref().map_or(0, |result| result.len() as u64);
    view.scope.spend(Limit::ResponseBytes, bytes)?;
    Ok(Some(answer))
}

/// Sends a request to the endpoints of the chain. `seen` makes the error that the guest sees.
async fn request<E: Serialize + DeserializeOwned>(
    view: &mut View<'_, ModuleChains>,
    chain_id: u64,
    method: &str,
    params: &str,
    seen: fn(&RequestError) -> E,
) -> wasmtime::Result<Result<String, E>> {
    if view.state.chains.allows_change(chain_id, method) {
        let answer = change(view, chain_id, method, params).await?;
        return Ok(answer.map_err(|error| seen(&error)));
    }
    let arguments = [&chain_id.to_be_bytes(), method.as_bytes(), params.as_bytes()];
    let answer = match view.ask(REQUEST, &arguments)? {
        Asked::Earlier(answer) => answer,
        Asked::Now(place) => {
            let answer = read(view, chain_id, method, params).await;
            let answer = answer.map_err(|error| seen(&error));
            place.answered(&answer);
            answer
        }
    };
    view.scope.spend(Limit::ResponseBytes, bytes(&answer))?;
    Ok(answer)
}

/// Sends a read.
async fn read(
    view: &mut View<'_, ModuleChains>,
    chain_id: u64,
    method: &str,
    params: &str,
) -> Result<String, RequestError> {
    let call = view.host_call(HostCallKind::Chain, methods::read(method).unwrap_or(OTHER_METHOD));
    let rewritten = rewritten(view, chain_id, method, params).await;
    let params = rewritten.as_deref().unwrap_or(params);
    let block = view.state.pin.block(view, chain_id);
    note_unpinned(view, chain_id, method, params)?;
    let chains = &view.state.chains;
    let answer = chains.request_at(block, chain_id, method, params);
    let answer = naming(&call, chains, (chain_id, method), answer);
    let answer = within(view.scope.answer_by(), answer).await;
    call.ends(length(&answer));
    answer
}

/// The length of an answer, or the kind of its error for the guest.
fn length(answer: &Result<String, RequestError>) -> Result<usize, HostErrorKind> {
    answer
        .as_ref()
        .map(String::len)
        .map_err(|error| error.to_host_error().kind)
}

/// Notes a read of a trial that is not pinned to its block.
///
/// # Errors
///
/// If the trial refuses the read.
fn note_unpinned(view: &View<'_, ModuleChains>, chain_id: u64, method: &str, params: &str) -> Result<(), RequestError> {
    let is_unpinned = match view.trial_block(chain_id) {
        Some(block) => pin::is_of_today(method, params, &block),
        None => view.is_trial(),
    };
    match is_unpinned {
        true => view
            .read_today(HostCallKind::Chain, method)
            .map_err(RequestError::denied),
        false => Ok(()),
    }
}

/// The parameters of another part of the host for a read, in place of the module's own.
async fn rewritten(view: &mut View<'_, ModuleChains>, chain_id: u64, method: &str, params: &str) -> Option<String> {
    let part = view.state.chains.chains.rewriting(method)?;
    let mut nothing = ();
    part.rewrite(view.without_state(&mut nothing), chain_id, method, params)
        .await
}

/// Answers a batch. Requests that change something, and those that another part of the host answers, go out first, one
/// by one in their order; the others follow together.
async fn batch(
    view: &mut View<'_, ModuleChains>,
    chain_id: u64,
    requests: &[(&str, &str)],
) -> wasmtime::Result<Result<Answers, HostError>> {
    if let Err(error) = check_batch(requests) {
        return Ok(Err(error.to_host_error()));
    }
    let mut alone = Vec::with_capacity(requests.len());
    for (method, params) in requests {
        let answer = match handed_over(view, chain_id, method, params).await? {
            None if view.state.chains.allows_change(chain_id, method) => {
                let changed = change(view, chain_id, method, params).await?;
                Some(changed.map_err(|error| error.to_host_error()))
            }
            answer => answer,
        };
        alone.push(answer);
    }
    let reads = requests.iter().zip(&alone).filter(|(_, answer)| answer.is_none());
    let reads: Vec<_> = reads.map(|(request, _)| *request).collect();
    let answers = ask_batch(view, chain_id, &reads).await?;
    let missing = || Err(RequestError::Internal.to_host_error());
    Ok(answers.map(|answers| filled(alone, answers, missing)))
}

/// The answers of a list, with the next one of `others` in each gap.
fn filled<T>(list: Vec<Option<T>>, others: Vec<T>, missing: impl Fn() -> T) -> Vec<T> {
    let mut others = others.into_iter();
    let answers = list.into_iter().map(|answer| answer.or_else(|| others.next()));
    answers.map(|answer| answer.unwrap_or_else(&missing)).collect()
}

/// The answers to a batch, as the guest sees them.
type Answers = Vec<Result<String, HostError>>;

/// Sends reads together, unless an earlier attempt has the answers.
async fn ask_batch(
    view: &mut View<'_, ModuleChains>,
    chain_id: u64,
    requests: &[(&str, &str)],
) -> wasmtime::Result<Result<Answers, HostError>> {
    let chain = chain_id.to_be_bytes();
    let texts = requests
        .iter()
        .flat_map(|(method, params)| [method.as_bytes(), params.as_bytes()]);
    let arguments: Vec<&[u8]> = std::iter::once(&chain[..]).chain(texts).collect();
    let place = match view.ask::<Result<Answers, HostError>>(BATCH, &arguments)? {
        Asked::Earlier(answers) => {
            let received = answers.iter().flatten().map(bytes).sum();
            view.scope.spend(Limit::ResponseBytes, received)?;
            return Ok(answers);
        }
        Asked::Now(place) => place,
    };
    let seen = |answer: Result<String, RequestError>| answer.map_err(|error| error.to_host_error());
    let answers = read_batch(view, chain_id, requests).await?;
    let answers = answers.map(|answers| answers.into_iter().map(seen).collect());
    let answers = answers.map_err(|error| error.to_host_error());
    place.answered(&answers);
    Ok(answers)
}

/// Sends reads together.
async fn read_batch(
    view: &mut View<'_, ModuleChains>,
    chain_id: u64,
    requests: &[(&str, &str)],
) -> wasmtime::Result<Result<Vec<Result<String, RequestError>>, RequestError>> {
    let refused = |(method, params): &(&str, &str)| note_unpinned(view, chain_id, method, params).err().map(Err);
    let refused: Vec<_> = requests.iter().map(refused).collect();
    let sent = requests.iter().zip(&refused).filter(|(_, refused)| refused.is_none());
    let sent: Vec<_> = sent.map(|(request, _)| *request).collect();
    let answers = send_batch(view, chain_id, &sent).await?;
    Ok(answers.map(|answers| filled(refused, answers, || Err(RequestError::Internal))))
}

async fn send_batch(
    view: &mut View<'_, ModuleChains>,
    chain_id: u64,
    requests: &[(&str, &str)],
) -> wasmtime::Result<Result<Vec<Result<String, RequestError>>, RequestError>> {
    let mut rewritten_params = Vec::with_capacity(requests.len());
    for (method, params) in requests {
        rewritten_params.push(rewritten(view, chain_id, method, params).await);
    }
    let requests: Vec<_> = requests
        .iter()
        .zip(&rewritten_params)
        .map(|((method, params), rewritten)| (*method, rewritten.as_deref().unwrap_or(params)))
        .collect();
    let requests = &*requests;
    let call = view.host_call(HostCallKind::Chain, BATCH);
    let block = view.state.pin.block(view, chain_id);
    let left = view.scope.left(Limit::ResponseBytes);
    let chains = &view.state.chains;
    let answers = chains.request_batch_at(block, chain_id, requests, left);
    let method = requests.first().map_or("", |(method, _)| *method);
    let answers = naming(&call, chains, (chain_id, method), answers);
    let answers = within(view.scope.answer_by(), answers).await;
    let lengths = answers
        .as_ref()
        .map(|answers| answers.iter().flatten().map(String::len).sum());
    call.ends(lengths.map_err(|error| error.to_host_error().kind));
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
    if let Err(error) = &answer {
        journal.told(|| Err(error.to_host_error()));
    }
    call.ends(length(&answer));
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
fn bytes<E>(answer: &Result<String, E>) -> u64 {
    answer.as_ref().map_or(0, |result| result.len() as u64)
}

fn rpc_result(answer: Result<String, HostError>) -> RpcResult {
    match answer {
        Ok(result) => RpcResult::Ok(result),
        Err(error) => RpcResult::Err(error),
    }
}
