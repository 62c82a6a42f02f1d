//! What is done about a failed request.

use std::sync::Arc;

use nexum_net::Backoff;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Endpoints, Expected};
use crate::endpoint::{Answer, Endpoint, Failure, Request};
use crate::error::{RequestError, Retry};
use crate::methods;

/// The attempts at one request, or one batch.
struct Attempts<'a> {
    endpoints: &'a Endpoints,
    deadline: Instant,
    backoff: Backoff,
    left: u32,
    last: &'a Arc<Endpoint>,
    /// By index, the endpoints that failed since all of them had.
    tried: Vec<bool>,
}

impl<'a> Attempts<'a> {
    fn new(endpoints: &'a Endpoints, first: &'a Arc<Endpoint>, deadline: Instant) -> Self {
        Self {
            endpoints,
            deadline,
            backoff: Backoff::default(),
            left: endpoints.retries,
            last: first,
            tried: vec![false; endpoints.all.len()],
        }
    }

    /// The endpoint for another attempt, after a wait; none if there is to be none.
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
            self.endpoints.metrics.failovers.increment(1);
        }
        self.last = endpoint;
        Some(endpoint)
    }

    fn choose(&mut self, retry: Retry) -> Option<&'a Arc<Endpoint>> {
        if let Some(tried) = self.tried.get_mut(self.last.index()) {
            *tried = true;
        }
        if let Some(other) = self.untried() {
            return Some(other);
        }
        if retry == Retry::Elsewhere {
            return None;
        }
        self.tried.fill(false);
        Some(self.endpoints.best())
    }

    /// The best of those that have not been tried, whatever is known of it: what rests may work by now.
    fn untried(&self) -> Option<&'a Arc<Endpoint>> {
        let untried = |endpoint: &&Arc<Endpoint>| !self.tried.get(endpoint.index()).is_some_and(|tried| *tried);
        let endpoints = self.endpoints.all.iter().filter(untried);
        endpoints.min_by_key(|endpoint| self.endpoints.request_rank(endpoint))
    }
}

impl Endpoints {
    /// Goes on after a first attempt, which began at `began` and failed.
    pub(super) async fn request_again(
        &self,
        request: &Request,
        expected: Expected,
        first: &Arc<Endpoint>,
        mut failure: Failure,
        began: Instant,
    ) -> Answer {
        let mut attempts = Attempts::new(self, first, self.deadline(began));
        loop {
            let Some(endpoint) = attempts.next(retry(request, &failure)).await else {
                return Err(failure.error);
            };
            let answer = endpoint.attempt(request, attempts.deadline).await;
            match expected.check(answer) {
                Ok(answer) => return Ok(answer),
                Err(next) => failure = next,
            }
        }
    }

    pub(super) async fn batch_with_retries(&self, requests: &[Request]) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = vec![None; requests.len()];
        // By their places among the requests.
        let (mut waiting, alone): (Vec<usize>, Vec<usize>) =
            (0..requests.len()).partition(|place| is_read(&requests[*place]));
        for place in alone {
            answers[place] = Some(self.request(&requests[place]).await);
        }
        let mut endpoint = self.best();
        let mut attempts = Attempts::new(self, endpoint, self.deadline(Instant::now()));
        while !waiting.is_empty() {
            let sent: Vec<Request> = waiting.iter().map(|place| requests[*place].clone()).collect();
            let results = endpoint.attempt_batch(&sent, attempts.deadline).await;
            let mut again = Retry::Never;
            let failed = keep(&mut answers, &waiting, results, &mut again);
            match attempts.next(again).await {
                Some(next) => endpoint = next,
                None => break,
            }
            waiting = failed;
        }
        let answer = |answer: Option<Answer>| answer.unwrap_or(Err(RequestError::Internal));
        answers.into_iter().map(answer).collect()
    }
}

/// Puts results to their places among the answers. Returns the places of those that may be asked again, and sets `again` to
/// the widest choice that one of them leaves.
fn keep(
    answers: &mut [Option<Answer>],
    places: &[usize],
    results: Vec<Result<Box<RawValue>, Failure>>,
    again: &mut Retry,
) -> Vec<usize> {
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

fn is_read((method, _): &Request) -> bool {
    methods::is_read(method)
}

/// Where a request may be sent again after a failure.
fn retry(request: &Request, failure: &Failure) -> Retry {
    if failure.sent && !is_read(request) {
        return Retry::Never;
    }
    failure.error.retry()
}
