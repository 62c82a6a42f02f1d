//! Asks the chain. Owners, guards, oracles and handlers are hostile: they may use up all gas, and answer
//! with megabytes. An event of nexum ends when it receives more than its limit, so that the size of each
//! answer is bounded through its gas.

use std::collections::VecDeque;
use std::ops::Range;

use nexum_sdk::chain::CallRequest;
use nexum_sdk::sol_types::SolCall;
use nexum_sdk::{Bytes, Chain, Error, ErrorKind, join_all};

use crate::contracts::{Call3, MULTICALL3, Returned, aggregate3Call};
use crate::verdict::Answer;

/// The polls of one Multicall3: six requests for 1,000 orders. A poll of a TWAP takes about 80,000 gas.
const MULTICALL_LEN_MAX: usize = 170;

/// The bytes of the polls of one Multicall3. A request of nexum has up to 1 MiB of text, two characters
/// for each byte.
const MULTICALL_BYTES_MAX: usize = 384 * 1_024;

/// The gas of one Multicall3: below the 30 million that nodes allow at least.
const MULTICALL_GAS: u64 = 25_000_000;

/// The largest revert data of a shared call. A call with more runs alone, where less gas bounds it.
const SHARED_ANSWER_BYTES_MAX: usize = 32 * 1_024;

/// The gas of a call that runs alone. Memory costs gas, so that its answer has about 500 kB at most.
const CALL_GAS: u64 = 1_000_000;

/// The calls of one batch that run alone: with the largest answers half of what an event may receive.
const GROUP_LEN_MAX: usize = 8;

/// The failed batches that an event divides, to find the call that makes its batch fail.
const SPLITS_MAX: usize = 16;

/// A Multicall3 of this length that fails as a whole is not divided again: its calls run alone.
const ALONE_LEN_MAX: usize = 10;

/// The calls of one event that run alone.
const ALONE_CALLS_MAX: usize = 100;

/// The requests of one event: fewer than nexum's default of 1,000.
const REQUESTS_MAX: usize = 900;

/// An event receives up to 16 MiB by default, and a request can exceed these bounds by half of it. A
/// stage sends no more requests once the event has received this many bytes, so that hostile answers of
/// one stage leave room for the next.
pub mod received {
    pub const KNOWN_POLLS: usize = 4 * 1_024 * 1_024;
    pub const UNKNOWN_POLLS: usize = 6 * 1_024 * 1_024;
    pub const CHECKS: usize = 10 * 1_024 * 1_024;
}

/// A call to send.
pub struct Question {
    pub request: CallRequest,
    /// Whether the call may share its gas with others.
    pub is_shared: bool,
}

/// The answer to a question.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// `None`: the event has no room for the answer.
    pub answer: Option<Answer>,
    /// Whether the call ran alone because a shared call failed.
    pub was_isolated: bool,
}

/// The requests of one event.
pub struct Poller {
    chain: Chain,
    requests: usize,
    received_bytes: usize,
}

impl Poller {
    pub fn new(chain: Chain) -> Self {
        Self {
            chain,
            requests: 0,
            received_bytes: 0,
        }
    }

    /// The replies, in the order of the questions. Sends no request after the event has received
    /// `bytes_max`.
    pub async fn ask(&mut self, questions: &[Question], bytes_max: usize) -> Vec<Reply> {
        let mut replies = vec![Reply::default(); questions.len()];
        let is_shared = |at: &usize| questions.get(*at).is_some_and(|question| question.is_shared);
        let (shared, mut alone): (Vec<usize>, Vec<usize>) = (0..questions.len()).partition(is_shared);
        let mut splits = 0;
        let mut chunks = VecDeque::from(chunks(questions, &shared));
        while let Some(chunk) = chunks.pop_front().filter(|_| self.has_room(1, bytes_max)) {
            let Some(answers) = self.multicall(questions, chunk).await else {
                if chunk.len() > ALONE_LEN_MAX && splits < SPLITS_MAX {
                    splits += 1;
                    let (first, rest) = chunk.split_at(chunk.len() / 2);
                    chunks.push_front(rest);
                    chunks.push_front(first);
                } else {
                    isolate(&mut alone, &mut replies, chunk);
                }
                continue;
            };
            for (at, answer) in chunk.iter().zip(answers) {
                match (answer, replies.get_mut(*at)) {
                    (Some(answer), Some(reply)) => reply.answer = Some(answer),
                    _ => isolate(&mut alone, &mut replies, &[*at]),
                }
            }
        }
        alone.truncate(ALONE_CALLS_MAX);
        let requests: Vec<&CallRequest> = alone
            .iter()
            .filter_map(|at| Some(&questions.get(*at)?.request))
            .collect();
        for (at, answer) in alone.iter().zip(self.ask_alone(&requests, bytes_max).await) {
            if let Some(reply) = replies.get_mut(*at) {
                reply.answer = answer;
            }
        }
        replies
    }

    fn has_room(&self, requests: usize, bytes_max: usize) -> bool {
        self.received_bytes < bytes_max && self.requests + requests <= REQUESTS_MAX
    }

    fn received(&mut self, bytes: usize) {
        // Two characters for each byte.
        self.received_bytes = self.received_bytes.saturating_add(2 * bytes);
    }

    /// The answers of a chunk. `None`: the call fails as a whole. An answer of `None`: the call may have
    /// had too little gas.
    async fn multicall(&mut self, questions: &[Question], chunk: &[usize]) -> Option<Vec<Option<Answer>>> {
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
        self.requests += 1;
        let data = match self.chain.call_raw(&request).await {
            Ok(data) => data,
            Err(error) if is_answer(&error) => return None,
            Err(error) => return Some(vec![Some(Answer::Unreachable(error.to_string())); chunk.len()]),
        };
        self.received(data.len());
        let returned = aggregate3Call::abi_decode_returns(&data).ok()?;
        let answer = |returned: Returned| match (returned.success, returned.returnData) {
            (true, data) => Some(Answer::Returned(data)),
            (false, data) if data.is_empty() || data.len() > SHARED_ANSWER_BYTES_MAX => None,
            (false, data) => Some(Answer::Reverted(data)),
        };
        let mut answers: Vec<_> = returned.into_iter().map(answer).collect();
        answers.resize(chunk.len(), None);
        Some(answers)
    }

    /// Sends calls in small batches. Divides a batch that fails as a whole.
    pub async fn ask_alone(&mut self, requests: &[&CallRequest], bytes_max: usize) -> Vec<Option<Answer>> {
        let mut answers = vec![None; requests.len()];
        let mut groups: VecDeque<Range<usize>> = (0..requests.len())
            .step_by(GROUP_LEN_MAX)
            .map(|start| start..requests.len().min(start + GROUP_LEN_MAX))
            .collect();
        let mut splits = 0;
        while let Some(group) = groups.pop_front().filter(|group| self.has_room(group.len(), bytes_max)) {
            let calls = requests.get(group.clone()).unwrap_or_default();
            let calls = calls.iter().map(|request| {
                self.chain.call_raw(&CallRequest {
                    gas: Some(CALL_GAS),
                    ..(*request).clone()
                })
            });
            self.requests += group.len();
            let results = join_all(calls).await;
            let is_failed = |result: &Result<Bytes, Error>| {
                let kind = result.as_ref().err().map(Error::kind);
                matches!(kind, Some(ErrorKind::Timeout | ErrorKind::Denied))
            };
            if group.len() > 1 && splits < SPLITS_MAX && results.iter().all(is_failed) {
                splits += 1;
                let middle = group.start + group.len() / 2;
                groups.push_front(middle..group.end);
                groups.push_front(group.start..middle);
                continue;
            }
            for (at, result) in group.zip(results) {
                let answer = answer(result);
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

fn isolate(alone: &mut Vec<usize>, replies: &mut [Reply], chunk: &[usize]) {
    alone.extend(chunk);
    for at in chunk {
        if let Some(reply) = replies.get_mut(*at) {
            reply.was_isolated = true;
        }
    }
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

/// Whether a node has run a call, or has refused to run it: JSON-RPC has negative codes, and the code of a
/// revert.
fn is_answer(error: &Error) -> bool {
    let is_refusal = error.code() < 0 && error.kind() != ErrorKind::RateLimited;
    error.revert_data().is_some() || is_refusal || error.kind() == ErrorKind::Denied
}

/// Whether the text of a node says that the execution of a call failed. JSON-RPC has no code for too
/// little gas, and uses those of a missing block for it.
fn is_of_the_call(error: &Error) -> bool {
    let text = error.message().to_ascii_lowercase();
    let says = |word: &str| text.contains(word);
    error.kind() == ErrorKind::Denied
        || (is_answer(error)
            && ["gas", "evm error", "execution error", "execution aborted"]
                .into_iter()
                .any(says))
}

fn answer(result: Result<Bytes, Error>) -> Answer {
    let error = match result {
        Ok(data) => return Answer::Returned(data),
        Err(error) => error,
    };
    match error.revert_data() {
        Some(data) => Answer::Reverted(data),
        None if is_of_the_call(&error) => Answer::Failed(error.to_string()),
        None => Answer::Unreachable(error.to_string()),
    }
}
