//! Runs `async` handlers, and sends requests that are awaited together as one batch.
//!
//! The first poll of a [`Response`] puts its request into the queue of the thread. [`block_on`]
//! polls the handler until it can do nothing without an answer, sends the whole queue, and polls
//! again.

use std::borrow::Cow;
use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::types::RpcRequest;
use crate::{Error, ErrorKind, Result, host};

/// The most requests of one batch: the host refuses more.
pub(crate) const BATCH_REQUESTS_MAX: usize = 100;

/// Runs a future to its end. A handler that is an `async fn` needs no call of this function.
///
/// # Errors
///
/// The future's own error, or [`ErrorKind::Internal`] if the future waits for something that no
/// call of the host brings, such as a timer or a channel.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let mut future = pin!(future);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
        if !woken.0.swap(false, Ordering::Relaxed) && !send_queue() {
            return Err(Error::new(
                ErrorKind::Internal,
                "the handler waits for something that no call of the host brings, such as a timer or a channel",
            ));
        }
    }
}

/// Whether the future called its waker since the last poll.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The answer to a request: the `result` of the response, as JSON.
pub(crate) struct Response(State);

enum State {
    /// Not polled yet.
    New(RpcRequest),
    /// In the slot of the queue with this index.
    Queued(usize),
    Finished,
}

impl Response {
    pub(crate) fn of(chain_id: u64, method: impl Into<Cow<'static, str>>, params: String) -> Self {
        Self(State::New(RpcRequest {
            chain_id,
            method: method.into(),
            params,
        }))
    }
}

impl Future for Response {
    type Output = Result<String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<String>> {
        match std::mem::replace(&mut self.0, State::Finished) {
            State::New(request) => {
                self.0 = State::Queued(with_queue(|queue| queue.push(request, context.waker().clone())));
                Poll::Pending
            }
            State::Queued(index) => match with_queue(|queue| queue.take_answer(index, context.waker())) {
                Some(answer) => Poll::Ready(answer),
                None => {
                    self.0 = State::Queued(index);
                    Poll::Pending
                }
            },
            State::Finished => Poll::Ready(Err(Error::new(ErrorKind::Internal, "polled after the answer"))),
        }
    }
}

/// A future that is dropped takes its request out of the queue.
impl Drop for Response {
    fn drop(&mut self) {
        if let State::Queued(index) = self.0 {
            with_queue(|queue| queue.remove(index));
        }
    }
}

thread_local! {
    static QUEUE: RefCell<Queue> = const { RefCell::new(Queue { slots: Vec::new(), unsent: Vec::new() }) };
}

/// The closure must not run code of the module: that could use the queue again.
fn with_queue<T>(f: impl FnOnce(&mut Queue) -> T) -> T {
    QUEUE.with_borrow_mut(f)
}

struct Queue {
    /// One for each future that waits. A free slot is `None`.
    slots: Vec<Option<Slot>>,
    /// The requests to send with the indices of their slots, in the order of the first polls.
    unsent: Vec<(usize, RpcRequest)>,
}

enum Slot {
    Waiting(Waker),
    Answered(Result<String>),
}

impl Queue {
    fn push(&mut self, request: RpcRequest, waker: Waker) -> usize {
        let free = self.slots.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(Slot::Waiting(waker));
        }
        self.unsent.push((index, request));
        index
    }

    fn take_answer(&mut self, index: usize, waker: &Waker) -> Option<Result<String>> {
        let slot = self.slots.get_mut(index)?;
        match slot.take() {
            Some(Slot::Answered(answer)) => Some(answer),
            _ => {
                *slot = Some(Slot::Waiting(waker.clone()));
                None
            }
        }
    }

    fn answer(&mut self, index: usize, answer: Result<String>) -> Option<Waker> {
        let slot = self.slots.get_mut(index)?;
        match slot.replace(Slot::Answered(answer)) {
            Some(Slot::Waiting(waker)) => Some(waker),
            _ => None,
        }
    }

    fn remove(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = None;
        }
        self.unsent.retain(|(unsent, _)| *unsent != index);
    }
}

/// Sends all requests of the queue, and wakes their futures. `false` if there are none.
fn send_queue() -> bool {
    let mut unsent = with_queue(|queue| std::mem::take(&mut queue.unsent));
    let is_empty = unsent.is_empty();
    while let Some((_, first)) = unsent.first() {
        let chain_id = first.chain_id;
        let mut room = BATCH_REQUESTS_MAX;
        let (batch, rest) = unsent.into_iter().partition::<Vec<_>, _>(|(_, request)| {
            let fits = request.chain_id == chain_id && room > 0;
            room -= usize::from(fits);
            fits
        });
        unsent = rest;
        let (indices, requests): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let answers = send(chain_id, requests, indices.len());
        for (index, answer) in indices.into_iter().zip(answers) {
            if let Some(waker) = with_queue(|queue| queue.answer(index, answer)) {
                waker.wake();
            }
        }
    }
    !is_empty
}

/// The answers to the requests of one chain, `count` of them.
fn send(chain_id: u64, requests: Vec<RpcRequest>, count: usize) -> Vec<Result<String>> {
    if let [request] = &requests[..] {
        return vec![host::request(request)];
    }
    match host::request_batch(chain_id, requests) {
        Ok(mut answers) => {
            answers.resize_with(count, || {
                Err(Error::of(
                    "chain",
                    ErrorKind::Internal,
                    "the batch has too few answers".into(),
                ))
            });
            answers
        }
        Err(error) => vec![Err(error); count],
    }
}
