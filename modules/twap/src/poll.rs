//! Asks the chain. Owners, guards, oracles and handlers are hostile: they may use up all gas, and answer
//! with megabytes. An event of nexum ends when it receives more than its limit, so that the size of each
//! answer is bounded through its gas.

use std::collections::VecDeque;
use std::ops::Range;

use nexum_sdk::chain::CallRequest;
use nexum_sdk::sol_types::SolCall;
use nexum_sdk::{Bytes, Chain, Error, ErrorKind, join_all};

use crate::contracts::{Call3, MULTICALL3, aggregate3Call};
use crate::verdict::Answer;

/// The polls of one Multicall3: six requests for 1,000 orders. A poll of a TWAP takes about 80,000 gas.
const MULTICALL_LEN_MAX: usize = 170;

/// The bytes of the polls of one Multicall3. A request of nexum has up to 1 MiB of text, two characters
/// for each byte.
const MULTICALL_BYTES_MAX: usize = 384 * 1_024;

/// The gas of one Multicall3: below the 30 million that nodes allow at least.
const MULTICALL_GAS: u64 = 25_000_000;

/// The gas of a call that runs alone. Memory costs gas, so that its answer has about 500 kB at most.
const CALL_GAS: u64 = 1_000_000;

/// The calls of one batch that run alone: with the largest answers half of what an event may receive.
const GROUP_LEN_MAX: usize = 8;

/// An event that has received this many bytes sends no more requests. With the largest answers to one
/// more request, it stays below nexum's default of 16 MiB.
const RECEIVED_BYTES_MAX: usize = 6 * 1_024 * 1_024;

/// The failed groups that an event divides, to find the call that makes its group fail.
const SPLITS_MAX: usize = 7;

/// A call to send.
pub struct Question {
    pub request: CallRequest,
    /// Whether the call may share its gas with others.
    pub is_shared: bool,
}

/// The requests of one event.
pub struct Poller {
    chain: Chain,
    received_bytes: usize,
}

impl Poller {
    pub fn new(chain: Chain) -> Self {
        Self {
            chain,
            received_bytes: 0,
        }
    }

    /// The answers, in the order of the questions. `None`: the event cannot receive more answers.
    pub async fn ask(&mut self, questions: &[Question]) -> Vec<Option<Answer>> {
        let mut answers = vec![None; questions.len()];
        let shared: Vec<usize> = (0..questions.len()).filter(|at| is_shared(questions, *at)).collect();
        let mut alone: Vec<usize> = (0..questions.len()).filter(|at| !is_shared(questions, *at)).collect();
        for chunk in chunks(questions, &shared) {
            if !self.has_room() {
                break;
            }
            for (at, answer) in chunk.iter().zip(self.multicall(questions, chunk).await) {
                match (answer, answers.get_mut(*at)) {
                    (Some(answer), Some(place)) => *place = Some(answer),
                    _ => alone.push(*at),
                }
            }
        }
        let requests: Vec<&CallRequest> = alone
            .iter()
            .filter_map(|at| Some(&questions.get(*at)?.request))
            .collect();
        for (at, answer) in alone.iter().zip(self.ask_alone(&requests, GROUP_LEN_MAX).await) {
            if let Some(place) = answers.get_mut(*at) {
                *place = answer;
            }
        }
        answers
    }

    fn has_room(&self) -> bool {
        self.received_bytes < RECEIVED_BYTES_MAX
    }

    fn received(&mut self, bytes: usize) {
        // Two characters for each byte.
        self.received_bytes = self.received_bytes.saturating_add(2 * bytes);
    }

    /// The answers of a chunk. `None`: ask alone, because the call had too little gas, or another call
    /// of the chunk made all of them fail.
    async fn multicall(&mut self, questions: &[Question], chunk: &[usize]) -> Vec<Option<Answer>> {
        let requests = chunk.iter().filter_map(|at| Some(&questions.get(*at)?.request));
        let calls = requests.map(|request| Call3 {
            target: request.to,
            allowFailure: true,
            callData: request.data.clone(),
        });
        let request = CallRequest {
            to: MULTICALL3,
            data: aggregate3Call { calls: calls.collect() }.abi_encode().into(),
            gas: Some(MULTICALL_GAS),
            ..CallRequest::default()
        };
        let data = match self.chain.call_raw(&request).await {
            Ok(data) => data,
            Err(error) if is_of_the_call(&error) => return vec![None; chunk.len()],
            Err(error) => return vec![Some(Answer::Unreachable(error.to_string())); chunk.len()],
        };
        self.received(data.len());
        let Ok(returned) = aggregate3Call::abi_decode_returns(&data) else {
            return vec![None; chunk.len()];
        };
        let mut answers: Vec<_> = returned
            .into_iter()
            .map(|returned| match (returned.success, returned.returnData) {
                (true, data) => Some(Answer::Returned(data)),
                (false, data) if data.is_empty() => None,
                (false, data) => Some(Answer::Reverted(data)),
            })
            .collect();
        answers.resize(chunk.len(), None);
        answers
    }

    /// Sends calls in batches of `group_len`. Divides a batch that fails as a whole.
    pub async fn ask_alone(&mut self, requests: &[&CallRequest], group_len: usize) -> Vec<Option<Answer>> {
        let mut answers = vec![None; requests.len()];
        let mut groups: VecDeque<Range<usize>> = (0..requests.len())
            .step_by(group_len.max(1))
            .map(|start| start..requests.len().min(start + group_len))
            .collect();
        let mut splits = 0;
        while let Some(group) = groups.pop_front().filter(|_| self.has_room()) {
            let calls = requests.get(group.clone()).unwrap_or_default();
            let calls = calls.iter().map(|request| {
                self.chain.call_raw(&CallRequest {
                    gas: Some(CALL_GAS),
                    ..(*request).clone()
                })
            });
            let results = join_all(calls).await;
            let is_failed = |result: &Result<Bytes, Error>| {
                result
                    .as_ref()
                    .is_err_and(|error| error.revert_data().is_none() && is_of_the_call(error))
            };
            if group.len() > 1 && splits < SPLITS_MAX && results.iter().all(is_failed) {
                splits += 1;
                let middle = group.start + group.len() / 2;
                groups.push_front(middle..group.end);
                groups.push_front(group.start..middle);
                continue;
            }
            let is_alone = group.len() == 1;
            for (at, result) in group.zip(results) {
                let answer = answer(result, is_alone);
                if let Answer::Returned(data) | Answer::Reverted(data) = &answer {
                    self.received(data.len());
                }
                if let Some(place) = answers.get_mut(at) {
                    *place = Some(answer);
                }
            }
        }
        answers
    }
}

fn is_shared(questions: &[Question], at: usize) -> bool {
    questions.get(at).is_some_and(|question| question.is_shared)
}

/// The indices of questions, divided by the bounds of one Multicall3.
fn chunks<'a>(questions: &[Question], mut rest: &'a [usize]) -> Vec<&'a [usize]> {
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |at: &&usize| {
            bytes += questions.get(**at).map_or(0, |question| question.request.data.len());
            bytes <= MULTICALL_BYTES_MAX
        };
        let len = rest.iter().take(MULTICALL_LEN_MAX).take_while(fits).count().max(1);
        let (chunk, later) = rest.split_at(len.min(rest.len()));
        chunks.push(chunk);
        rest = later;
    }
    chunks
}

/// Whether a call can have caused an error itself: JSON-RPC has no number for too little gas.
fn is_of_the_call(error: &Error) -> bool {
    let text = error.message();
    error.revert_data().is_some()
        || matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Denied)
        || (error.code() != 0 && (text.contains("gas") || text.contains("abort")))
}

fn answer(result: Result<Bytes, Error>, is_alone: bool) -> Answer {
    let error = match result {
        Ok(data) => return Answer::Returned(data),
        Err(error) => error,
    };
    match error.revert_data() {
        Some(data) => Answer::Reverted(data),
        // A batch times out because of any of its calls.
        None if error.kind() == ErrorKind::Timeout && !is_alone => Answer::Unreachable(error.to_string()),
        None if is_of_the_call(&error) => Answer::Failed(error.to_string()),
        None => Answer::Unreachable(error.to_string()),
    }
}
