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

use crate::host::{BATCH_REQUESTS_MAX, PARAMS_BYTES_MAX};
use crate::types::RpcRequest;
use crate::{Error, ErrorKind, Result, host};

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
    /// Not polled yet, for this chain.
    New(u64, RpcRequest),
    /// In the slot of the queue with this index.
    Queued(usize),
    Finished,
}

impl Response {
    pub(crate) fn of(chain_id: u64, method: impl Into<Cow<'static, str>>, params: String) -> Self {
        Self(State::New(
            chain_id,
            RpcRequest {
                method: method.into(),
                params,
            },
        ))
    }
}

impl Future for Response {
    type Output = Result<String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<String>> {
        match std::mem::replace(&mut self.0, State::Finished) {
            State::New(chain_id, request) => {
                let waker = context.waker().clone();
                self.0 = State::Queued(with_queue(|queue| queue.push(chain_id, request, waker)));
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
    static QUEUE: RefCell<Queue> = const { RefCell::new(Queue::new()) };
}

/// The closure must not run code of the module: that could use the queue again.
fn with_queue<T>(f: impl FnOnce(&mut Queue) -> T) -> T {
    QUEUE.with_borrow_mut(f)
}

struct Queue {
    /// One for each future that waits.
    slots: Vec<Slot>,
    /// The indices of the free slots.
    free: Vec<usize>,
    /// The requests to send, in the order of the first polls.
    unsent: Vec<Batch>,
}

enum Slot {
    Free,
    Waiting(Waker),
    Answered(Result<String>),
}

/// Requests of one chain, at most [`BATCH_REQUESTS_MAX`] with at most [`PARAMS_BYTES_MAX`].
struct Batch {
    chain_id: u64,
    params_bytes: usize,
    /// The slot of each request.
    slots: Vec<usize>,
    requests: Vec<RpcRequest>,
}

/// The room of a new batch, for the usual number of requests. A batch that grows takes some hundred
/// units of fuel each time.
const BATCH_ROOM: usize = 16;

impl Batch {
    fn new(chain_id: u64) -> Self {
        Self {
            chain_id,
            params_bytes: 0,
            slots: Vec::with_capacity(BATCH_ROOM),
            requests: Vec::with_capacity(BATCH_ROOM),
        }
    }

    fn has_room(&self, params_bytes: usize) -> bool {
        self.slots.len() < BATCH_REQUESTS_MAX && self.params_bytes + params_bytes <= PARAMS_BYTES_MAX
    }

    fn push(&mut self, slot: usize, request: RpcRequest) {
        self.params_bytes += request.params.len();
        self.slots.push(slot);
        self.requests.push(request);
    }
}

impl Queue {
    const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            unsent: Vec::new(),
        }
    }

    fn push(&mut self, chain_id: u64, request: RpcRequest, waker: Waker) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::Free);
            self.slots.len() - 1
        });
        self.replace(index, Slot::Waiting(waker));
        let bytes = request.params.len();
        let has_room = |batch: &&mut Batch| batch.chain_id == chain_id && batch.has_room(bytes);
        match self.unsent.iter_mut().find(has_room) {
            Some(batch) => batch.push(index, request),
            None => {
                let mut batch = Batch::new(chain_id);
                batch.push(index, request);
                self.unsent.push(batch);
            }
        }
        index
    }

    /// The content of a slot, with another in its place.
    fn replace(&mut self, index: usize, slot: Slot) -> Slot {
        match self.slots.get_mut(index) {
            Some(place) => std::mem::replace(place, slot),
            None => Slot::Free,
        }
    }

    fn take_answer(&mut self, index: usize, waker: &Waker) -> Option<Result<String>> {
        match self.replace(index, Slot::Free) {
            Slot::Answered(answer) => {
                self.free.push(index);
                Some(answer)
            }
            _ => {
                self.replace(index, Slot::Waiting(waker.clone()));
                None
            }
        }
    }

    /// Stores an answer. Returns the waker of its future.
    fn answer(&mut self, index: usize, answer: Result<String>) -> Option<Waker> {
        match self.replace(index, Slot::Answered(answer)) {
            Slot::Waiting(waker) => Some(waker),
            _ => None,
        }
    }

    fn remove(&mut self, index: usize) {
        self.replace(index, Slot::Free);
        self.free.push(index);
        for batch in &mut self.unsent {
            if let Some(at) = batch.slots.iter().position(|slot| *slot == index) {
                batch.slots.remove(at);
                batch.params_bytes -= batch.requests.remove(at).params.len();
            }
        }
        self.unsent.retain(|batch| !batch.slots.is_empty());
    }
}

/// Sends all requests of the queue, and wakes their futures. `false` if there are none.
fn send_queue() -> bool {
    let unsent = with_queue(|queue| std::mem::take(&mut queue.unsent));
    let is_empty = unsent.is_empty();
    unsent.into_iter().for_each(send);
    !is_empty
}

fn send(batch: Batch) {
    let answer = |index, answer| {
        if let Some(waker) = with_queue(|queue| queue.answer(index, answer)) {
            waker.wake();
        }
    };
    if let ([index], [request]) = (&batch.slots[..], &batch.requests[..]) {
        return answer(*index, host::request(batch.chain_id, request));
    }
    match host::request_batch(batch.chain_id, &batch.requests) {
        Ok(answers) => {
            let missing = || Error::of("chain", ErrorKind::Internal, "the batch has too few answers".into());
            let answers = answers.into_iter().chain(std::iter::repeat_with(|| Err(missing())));
            batch
                .slots
                .into_iter()
                .zip(answers)
                .for_each(|(index, result)| answer(index, result));
        }
        Err(error) => batch
            .slots
            .into_iter()
            .for_each(|index| answer(index, Err(error.clone()))),
    }
}
