//! Retries of failed requests.

use std::sync::Arc;

use nexum_net::Backoff;
use tokio::time::Instant;

use super::{Asked, Endpoints, request_rank};
use crate::error::{RequestError, Retry};
use crate::methods;
use crate::rpc::endpoint::{Answer, Attempted, Endpoint, Failure, RpcRequest};

/// The attempts at one request, or one batch.
struct Attempts<'a> {
    endpoints: &'a Endpoints,
    requests: &'a [RpcRequest],
    deadline: Instant,
    backoff: Backoff,
    left: u32,
    last: &'a Arc<Endpoint>,
    /// By the endpoint's index.
    tried: Vec<Tried>,
}

/// Whether an endpoint has been tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tried {
    No,
    /// It failed after all others had, and may answer later.
    Failed,
    /// It would refuse the request again.
    Refused,
}

impl<'a> Attempts<'a> {
    fn new(endpoints: &'a Endpoints, requests: &'a [RpcRequest], first: &'a Arc<Endpoint>, deadline: Instant) -> Self {
        Self {
            endpoints,
            requests,
            deadline,
            backoff: Backoff::default(),
            left: endpoints.retries,
            last: first,
            tried: vec![Tried::No; endpoints.all.len()],
        }
    }

    /// Waits, and returns the endpoint for another attempt. None without another attempt.
    async fn next(&mut self, retry: Retry) -> Option<&'a Arc<Endpoint>> {
        if retry == Retry::Never || self.left == 0 {
            return None;
        }
        let endpoint = self.choose(retry)?;
        let at = Instant::now() + self.backoff.after_failure();
        if at > self.deadline {
            return None;
        }
        tokio::time::sleep_until(at).await;
        self.left -= 1;
        self.endpoints.metrics.retries.increment(1);
        if endpoint.index() != self.last.index() {
            self.endpoints.metrics.failover();
        }
        self.last = endpoint;
        Some(endpoint)
    }

    fn choose(&mut self, retry: Retry) -> Option<&'a Arc<Endpoint>> {
        if let Some(tried) = self.tried.get_mut(self.last.index()) {
            *tried = match retry {
                Retry::Anywhere => Tried::Failed,
                Retry::Elsewhere | Retry::Never => Tried::Refused,
            };
        }
        if let Some(other) = self.untried() {
            return Some(other);
        }
        for tried in &mut self.tried {
            if *tried == Tried::Failed {
                *tried = Tried::No;
            }
        }
        self.untried()
    }

    /// The best endpoint that has not been tried, also a resting one, which may work by now.
    fn untried(&self) -> Option<&'a Arc<Endpoint>> {
        let untried = |endpoint: &&Arc<Endpoint>| self.tried.get(endpoint.index()) == Some(&Tried::No);
        let endpoints = self.endpoints.all.iter().filter(untried);
        endpoints.min_by_key(|endpoint| request_rank(endpoint, self.requests))
    }
}

/// The endpoints that refused a request, with their errors.
#[derive(Default)]
struct Refusals<'a>(Vec<(&'a Arc<Endpoint>, RequestError)>);

impl<'a> Refusals<'a> {
    fn note(&mut self, endpoint: &'a Arc<Endpoint>, failure: &Failure) {
        if failure.sent && failure.error.is_refusal() {
            self.0.push((endpoint, failure.error.clone()));
        }
    }

    /// Blames the endpoints that refused the request: another endpoint has answered the identical
    /// request.
    fn disprove(self, request: &RpcRequest, answered: &Endpoint) {
        for (endpoint, error) in self.0 {
            if endpoint.index() != answered.index() {
                endpoint.refused(&request.0, &error);
            }
        }
    }

    /// The final error. An endpoint that refuses by an HTTP status does not judge the request, so
    /// the JSON-RPC error of another endpoint overrides it.
    fn verdict(self, last: RequestError) -> RequestError {
        if !matches!(last, RequestError::Status { .. }) || last.retry() != Retry::Elsewhere {
            return last;
        }
        let mut said = self.0.into_iter().map(|(_, error)| error);
        let judged = said.rfind(|error| matches!(error, RequestError::Answer { .. }));
        judged.unwrap_or(last)
    }
}

impl Endpoints {
    /// Retries after a first attempt, which started at `began` and failed.
    pub(super) async fn request_again(
        &self,
        asked: Asked<'_>,
        first: &Arc<Endpoint>,
        mut failure: Failure,
        began: Instant,
    ) -> Answer {
        let request = asked.request();
        let mut attempts = Attempts::new(self, std::slice::from_ref(request), first, self.deadline(began));
        let mut refusals = Refusals::default();
        loop {
            refusals.note(attempts.last, &failure);
            let Some(endpoint) = attempts.next(retry(request, &failure)).await else {
                return Err(refusals.verdict(failure.error));
            };
            match asked.attempt(endpoint, attempts.deadline).await {
                Ok(answer) => {
                    refusals.disprove(request, endpoint);
                    return Ok(answer);
                }
                Err(next) => failure = next,
            }
        }
    }

    pub(super) async fn batch_with_retries(&self, requests: &[RpcRequest], bytes_max: u64) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = vec![None; requests.len()];
        // Indexes of the requests.
        let (mut waiting, alone): (Vec<usize>, Vec<usize>) =
            (0..requests.len()).partition(|place| is_read(&requests[*place]));
        for place in alone {
            // The answers would have no room for more results.
            answers[place] = Some(match received(&answers) > bytes_max {
                true => Err(RequestError::OverBudget { bytes_max }),
                false => self.request(&requests[place]).await,
            });
        }
        let mut endpoint = self.best(requests);
        let mut before = endpoint;
        let mut attempts = Attempts::new(self, requests, endpoint, self.deadline(Instant::now()));
        while !waiting.is_empty() {
            let left = bytes_max.saturating_sub(received(&answers));
            let sent: Vec<RpcRequest> = waiting.iter().map(|place| requests[*place].clone()).collect();
            let results = endpoint.attempt_batch(&sent, attempts.deadline, left).await;
            if before.index() != endpoint.index() {
                let answered = waiting.iter().zip(&results).filter(|(_, result)| result.is_ok());
                for (place, _) in answered {
                    if let Some(Err(error)) = answers[*place].as_ref().filter(|answer| is_refused(answer)) {
                        before.refused(&requests[*place].0, error);
                    }
                }
            }
            let mut again = Retry::Never;
            let failed = keep(&mut answers, &waiting, results, &mut again);
            match attempts.next(again).await {
                Some(next) => (before, endpoint) = (endpoint, next),
                None => break,
            }
            waiting = failed;
        }
        let answer = |answer: Option<Answer>| answer.unwrap_or(Err(RequestError::Internal));
        answers.into_iter().map(answer).collect()
    }
}

/// The bytes of the results so far.
fn received(answers: &[Option<Answer>]) -> u64 {
    let results = answers.iter().flatten().flatten();
    results.map(|result| result.get().len() as u64).sum()
}

/// Stores results at their indexes in the answers. Returns the indexes of requests that may be
/// retried, and sets `again` to the widest choice for one of them.
fn keep(answers: &mut [Option<Answer>], places: &[usize], results: Vec<Attempted>, again: &mut Retry) -> Vec<usize> {
    let mut failed = Vec::new();
    for (place, result) in places.iter().zip(results) {
        let retry = result
            .as_ref()
            .err()
            .map_or(Retry::Never, |failure| failure.error.retry());
        if retry != Retry::Never {
            failed.push(*place);
            *again = (*again).max(retry);
        }
        answers[*place] = Some(result.map_err(|failure| failure.error));
    }
    failed
}

fn is_refused(answer: &Answer) -> bool {
    answer.as_ref().is_err_and(RequestError::is_refusal)
}

fn is_read((method, _): &RpcRequest) -> bool {
    methods::is_read(method)
}

/// Which endpoints may receive a request again after a failure.
fn retry(request: &RpcRequest, failure: &Failure) -> Retry {
    if failure.sent && !is_read(request) {
        return Retry::Never;
    }
    failure.error.retry()
}
