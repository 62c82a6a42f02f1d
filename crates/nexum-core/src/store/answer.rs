//! Answers of a store to code that must not block its thread.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use futures_util::future::{BoxFuture, Either, Ready, ready};

use super::StoreError;

/// The answer of a store: at once from this machine, or later over a network. An answer at once needs
/// no memory.
pub type Answer<'a, T> = Either<Ready<Result<T, StoreError>>, BoxFuture<'a, Result<T, StoreError>>>;

/// An answer at once.
pub(super) fn at_once<'a, T>(answer: Result<T, StoreError>) -> Answer<'a, T> {
    Either::Left(ready(answer))
}

/// Blocks the thread until the future is ready. For threads that may block, and futures that need no
/// runtime of their caller.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
