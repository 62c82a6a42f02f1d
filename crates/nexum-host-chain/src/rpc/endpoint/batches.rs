//! Sends several requests together, or one by one to an endpoint that does not answer batches.

use std::sync::atomic::AtomicBool;

use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::attempt::{Attempted, Failure, Started};
use super::connect::Connector;
use super::limit::RateLimit;
use super::{Endpoint, RpcRequest};
use crate::error::{AnswerKind, RequestError};

/// The most concurrent requests to an endpoint that refuses batches: enough to hide the round trip,
/// and too few to look like an attack.
const CALLS_AT_ONCE_MAX: usize = 8;

/// The number of batches in a row that must fail before nexum sends no more batches, if the
/// endpoint answers their requests one by one. One failure may be an outage that ended in between.
const STRIKES_MAX: u32 = 2;

/// How an endpoint has answered batches so far.
#[derive(Debug, Default)]
pub(super) struct Batches(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// nexum sends no more batches.
    are_refused: bool,
    /// The batches in a row that failed although their requests were answered one by one.
    strikes: u32,
    /// The last batch failed in a way that may be an outage: the next requests go one by one.
    is_suspect: bool,
}

/// The fault of a batch.
enum Fault {
    /// The endpoint says that it takes no batches.
    Refused,
    /// The endpoint answered something other than the batch's answers.
    Garbled,
    /// The endpoint did not answer, or requested a lower rate. It may answer nothing at all now.
    Silent,
}

impl Batches {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock())
    }

    /// Whether the next requests are sent as a batch.
    fn are_sent(&self) -> bool {
        self.with(|state| !state.are_refused && !state.is_suspect)
    }

    /// Records that the endpoint has answered a batch.
    fn answered(&self) {
        self.with(|state| {
            state.strikes = 0;
            state.is_suspect = false;
        });
    }

    /// Records that the endpoint has not answered a batch, and may not answer anything now.
    fn was_silent(&self) {
        self.with(|state| state.is_suspect = true);
    }

    /// Records that the endpoint has answered one by one the requests of a failed batch. Returns
    /// whether this shows for the first time that the endpoint refuses batches.
    fn struck(&self, fault: &Fault) -> bool {
        self.with(|state| {
            state.is_suspect = false;
            state.strikes += 1;
            let is_proven = matches!(fault, Fault::Refused) || state.strikes >= STRIKES_MAX;
            is_proven && !std::mem::replace(&mut state.are_refused, true)
        })
    }
}

impl Endpoint {
    /// Sends several requests over this connection, each once, in batches as large as the rate
    /// limit allows. Above `bytes_max` bytes of results, the requests without a result fail with
    /// [`RequestError::OverBudget`].
    pub(super) async fn attempt_batch_over(
        &self,
        connector: &Connector,
        requests: &[RpcRequest],
        deadline: Instant,
        bytes_max: u64,
    ) -> Vec<Attempted> {
        // More calls than the limit of a second can never be sent together.
        let calls_max = self.rate_limit.as_deref().map_or(usize::MAX, RateLimit::calls_max);
        let mut answers = Vec::with_capacity(requests.len());
        for requests in requests.chunks(calls_max) {
            let left = bytes_max.saturating_sub(bytes(&answers));
            answers.extend(self.attempt_together(connector, requests, deadline, left).await);
        }
        answers
    }

    async fn attempt_together(
        &self,
        connector: &Connector,
        requests: &[RpcRequest],
        deadline: Instant,
        bytes_max: u64,
    ) -> Vec<Attempted> {
        if self.supports_push {
            // The transport has no batches: the requests are sent together, and each answer is a
            // message.
            return self
                .separately(connector, requests, deadline, bytes_max, requests.len())
                .await;
        }
        if requests.len() == 1 {
            return vec![self.attempt_over(connector, &requests[0], deadline).await];
        }
        if !self.batches.are_sent() {
            return self
                .one_by_one(connector, requests, deadline, bytes_max, &Fault::Silent)
                .await;
        }
        if let Err(failure) = self.admit(requests.len(), deadline).await {
            return vec![Err(failure); requests.len()];
        }
        let started = Started::new(self);
        let sent = AtomicBool::new(false);
        let answers = self
            .within_timeout(&sent, async {
                let connection = self.connect(connector, &sent).await?;
                connection.call_batch(requests, connector.secrets()).await
            })
            .await;
        match answers {
            Ok(answers) => {
                self.of_batch(connector, requests, answers, &started, deadline, bytes_max)
                    .await
            }
            Err(failure) => match fault_of(&failure) {
                Some(fault @ (Fault::Refused | Fault::Garbled)) => {
                    self.one_by_one(connector, requests, deadline, bytes_max, &fault).await
                }
                fault => {
                    if fault.is_some() {
                        self.batches.was_silent();
                    }
                    let methods: Vec<&str> = requests.iter().map(|(method, _)| &**method).collect();
                    self.settle(connector, &started, &methods, Some(&failure));
                    vec![Err(failure); requests.len()]
                }
            },
        }
    }

    /// Checks the answers to a batch. Retries one by one the requests without an answer, and the
    /// requests of a batch in which all failed.
    async fn of_batch(
        &self,
        connector: &Connector,
        requests: &[RpcRequest],
        answers: Vec<Result<Box<RawValue>, RequestError>>,
        started: &Started,
        deadline: Instant,
        bytes_max: u64,
    ) -> Vec<Attempted> {
        let is_missing = |answer: &Result<_, RequestError>| matches!(answer, Err(RequestError::Malformed));
        if answers.iter().all(|answer| answer.as_ref().is_err_and(may_be_of_batch)) {
            return self
                .one_by_one(connector, requests, deadline, bytes_max, &Fault::Garbled)
                .await;
        }
        let missing: Vec<usize> = (0..answers.len())
            .filter(|place| is_missing(&answers[*place]))
            .collect();
        let failure = |error| Failure { error, sent: true };
        let mut answers: Vec<Attempted> = answers.into_iter().map(|answer| answer.map_err(failure)).collect();
        for (place, ((method, _), answer)) in requests.iter().zip(&answers).enumerate() {
            if !missing.contains(&place) {
                self.settle(connector, started, &[method], answer.as_ref().err());
            }
        }
        if missing.is_empty() {
            self.batches.answered();
            return answers;
        }
        let again: Vec<RpcRequest> = missing.iter().map(|place| requests[*place].clone()).collect();
        let left = bytes_max.saturating_sub(bytes(&answers));
        let found = self
            .one_by_one(connector, &again, deadline, left, &Fault::Garbled)
            .await;
        for (place, answer) in missing.into_iter().zip(found) {
            answers[place] = answer;
        }
        answers
    }

    /// Sends the requests one by one. Their answers show whether the endpoint refuses batches, or
    /// refuses everything because of a used-up quota.
    async fn one_by_one(
        &self,
        connector: &Connector,
        requests: &[RpcRequest],
        deadline: Instant,
        bytes_max: u64,
        fault: &Fault,
    ) -> Vec<Attempted> {
        let answers = self
            .separately(connector, requests, deadline, bytes_max, CALLS_AT_ONCE_MAX)
            .await;
        // The batch may have failed because of one request that also fails alone.
        let are_answered = match fault {
            Fault::Refused => answers.iter().any(Result::is_ok),
            Fault::Garbled | Fault::Silent => answers.iter().all(Result::is_ok),
        };
        if are_answered && self.batches.struck(fault) {
            tracing::info!(
                chain = self.chain_id,
                endpoint = %self.label,
                "the endpoint does not answer batches: nexum sends it one request at a time"
            );
        }
        answers
    }

    async fn separately(
        &self,
        connector: &Connector,
        requests: &[RpcRequest],
        deadline: Instant,
        bytes_max: u64,
        at_once_max: usize,
    ) -> Vec<Attempted> {
        // A closure in the stream would not be general enough for the compiler.
        let calls: Vec<_> = requests
            .iter()
            .map(|request| self.attempt_over(connector, request, deadline))
            .enumerate()
            .map(|(place, call)| async move { (place, call.await) })
            .collect();
        let mut calls = stream::iter(calls).buffer_unordered(at_once_max.max(1));
        let over_budget = Failure {
            error: RequestError::OverBudget { bytes_max },
            sent: true,
        };
        let mut answers = vec![Err(over_budget); requests.len()];
        let mut received: u64 = 0;
        while received <= bytes_max
            && let Some((place, answer)) = calls.next().await
        {
            received = received.saturating_add(answer.as_ref().map_or(0, |result| result.get().len() as u64));
            answers[place] = answer;
        }
        answers
    }
}

/// The bytes of the results.
fn bytes(answers: &[Attempted]) -> u64 {
    answers.iter().flatten().map(|result| result.get().len() as u64).sum()
}

/// The fault of batches that the failure of a whole batch may show. None if it shows none.
fn fault_of(failure: &Failure) -> Option<Fault> {
    match &failure.error {
        _ if !failure.sent => None,
        error if error.is_rate_limit() => Some(Fault::Silent),
        RequestError::Timeout { .. } | RequestError::Lost { .. } => Some(Fault::Silent),
        RequestError::Answer { kind, .. } => match kind {
            AnswerKind::Invalid | AnswerKind::NoMethod | AnswerKind::TooMuch | AnswerKind::Other => {
                Some(Fault::Refused)
            }
            _ => Some(Fault::Garbled),
        },
        RequestError::Status { .. } | RequestError::Malformed => Some(Fault::Garbled),
        _ => None,
    }
}

/// Whether an error of every request of a batch may be an error of the batch.
fn may_be_of_batch(error: &RequestError) -> bool {
    match error {
        RequestError::Malformed => true,
        RequestError::Answer { kind, .. } => !matches!(
            kind,
            AnswerKind::Revert | AnswerKind::UnknownBlock | AnswerKind::NullRound | AnswerKind::RateLimit
        ),
        _ => false,
    }
}
