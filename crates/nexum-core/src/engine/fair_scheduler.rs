//! Makes guests with long computations take turns, so that at least one thread is always free for
//! quick guests.
//!
//! A guest yields after each slice. If many guests compute at once, a quick guest would still wait
//! for a slice of each of them at every step. So a call that has kept a thread busy for longer than
//! [`QUICK_MAX`], in the guest or in host functions, takes a permit for each further step. There is
//! one permit less than there are threads. A call holds a permit while it is busy, and releases it
//! while it waits.
//!
//! The next call of the module starts with a permit. If that call is quick, the one after it starts
//! without a permit. So a module whose calls are always long never delays others before it takes a
//! permit. The scheduler records `init` separately, because a long or quick `init` predicts nothing
//! about the other calls.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::event::Handler;

/// How long a call may keep a thread busy and still count as quick. It is many times the duration
/// of a call that reads an event, sends a request and writes. It is also short enough that some
/// dozen quick calls finish within the time of one block.
const QUICK_MAX: Duration = Duration::from_millis(2);

/// The permits for busy guests, and whether the calls of one module are long. Clones share the
/// permits and the module.
#[derive(Clone, Debug)]
pub(crate) struct FairScheduler {
    permits: Arc<Semaphore>,
    /// Whether a guest of any module has used up a slice since the last check.
    has_computed: Arc<AtomicBool>,
    was_long: Arc<WasLong>,
}

/// Whether a module's last `init` was long, and whether the last of its other calls was.
#[derive(Debug, Default)]
struct WasLong {
    init: AtomicBool,
    others: AtomicBool,
}

impl FairScheduler {
    /// A scheduler with one permit less than there are processors, and at least one.
    pub(crate) fn new() -> Self {
        let threads = available_parallelism().map_or(1, usize::from);
        Self::with_room_for(threads.saturating_sub(1).max(1))
    }

    fn with_room_for(guests: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(guests)),
            has_computed: Arc::default(),
            was_long: Arc::default(),
        }
    }

    /// A scheduler with these permits for another module, without a history.
    pub(crate) fn for_module(&self) -> Self {
        Self {
            permits: self.permits.clone(),
            has_computed: self.has_computed.clone(),
            was_long: Arc::default(),
        }
    }

    /// Records that a guest has used up its slice.
    pub(crate) fn has_computed(&self) {
        self.has_computed.store(true, Ordering::Relaxed);
    }

    /// Whether a guest has used up a slice since the last call of this function.
    pub(crate) fn take_has_computed(&self) -> bool {
        self.has_computed.swap(false, Ordering::Relaxed)
    }

    /// Runs a call of this handler, which started at `began`. The call takes permits as soon as
    /// it has been busy for long, or from the start if the module's last call was long. Also
    /// returns when the call ended.
    pub(crate) async fn run<T>(&self, handler: Handler, began: Instant, call: impl Future<Output = T>) -> (T, Instant) {
        let was_long = match handler {
            Handler::Init | Handler::ListFunctions => &self.was_long.init,
            Handler::OnEvent(_) | Handler::Evaluate(_) | Handler::Invoke(_) => &self.was_long.others,
        };
        let mut call = pin!(call);
        let mut begin = Some(began);
        let mut busy = Duration::ZERO;
        let mut is_long = was_long.load(Ordering::Relaxed);
        let mut waiting = None;
        std::future::poll_fn(|context| {
            let mut _permit = None;
            if is_long {
                let permit = waiting.get_or_insert_with(|| Box::pin(self.permits.clone().acquire_owned()));
                let Poll::Ready(permit) = permit.as_mut().poll(context) else {
                    return Poll::Pending;
                };
                waiting = None;
                // The wait for a permit does not count as busy time.
                begin = None;
                // No code closes the semaphore. The call releases the permit when the guest yields
                // or waits for the host.
                _permit = permit.ok();
            }
            // Most calls finish in the first poll.
            let begin = begin.take().unwrap_or_else(Instant::now);
            let outcome = call.as_mut().poll(context);
            let end = Instant::now();
            busy += end.duration_since(begin);
            if busy > QUICK_MAX {
                is_long = true;
                was_long.store(true, Ordering::Relaxed);
            } else if is_long && outcome.is_ready() {
                was_long.store(false, Ordering::Relaxed);
            }
            outcome.map(|outcome| (outcome, end))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use tokio::task::{JoinSet, yield_now};

    use super::*;
    use crate::event::RequestId;

    const HANDLER: Handler = Handler::Evaluate(RequestId(1));

    /// A scheduler with one permit, and the start of a call that has been busy for long.
    fn scheduler() -> (FairScheduler, Instant) {
        (
            FairScheduler::with_room_for(1),
            Instant::now().checked_sub(2 * QUICK_MAX).unwrap(),
        )
    }

    async fn is_pending<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
        std::future::poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn long_ones_take_turns_and_quick_ones_do_not_wait() {
        let (scheduler, long_ago) = scheduler();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for name in ["first", "second"] {
            let (scheduler, order) = (scheduler.for_module(), order.clone());
            tasks.spawn(async move {
                let call = async {
                    for _ in 0..3 {
                        order.lock().push(name);
                        yield_now().await;
                    }
                };
                scheduler.run(HANDLER, long_ago, call).await;
            });
        }
        while tasks.join_next().await.is_some() {}
        // Neither task finishes before the other starts, and neither waits for the other to finish.
        let order = order.lock().clone();
        assert_eq!((order.len(), &order[..2]), (6, &["first", "second"][..]));

        // Another call is busy without end.
        let permit = scheduler.permits.acquire().await.unwrap();
        scheduler.for_module().run(HANDLER, Instant::now(), yield_now()).await;
        let mut long = Box::pin(scheduler.run(HANDLER, long_ago, yield_now()));
        for _ in 0..3 {
            assert!(is_pending(&mut long).await);
        }
        drop(permit);
        long.await;
    }

    #[tokio::test]
    async fn a_module_that_was_long_begins_with_a_permit_until_it_is_quick_again() {
        let (scheduler, long_ago) = scheduler();
        scheduler.run(HANDLER, long_ago, yield_now()).await;
        let permit = scheduler.permits.acquire().await.unwrap();
        let mut next = Box::pin(scheduler.run(HANDLER, Instant::now(), async {}));
        assert!(is_pending(&mut next).await);
        // A call of another module does not wait.
        scheduler.for_module().run(HANDLER, Instant::now(), async {}).await;
        drop(permit);
        next.await;
        // The last call was quick. So is `init`, which does not affect the other calls.
        scheduler.run(HANDLER, long_ago, yield_now()).await;
        scheduler.run(Handler::Init, Instant::now(), async {}).await;
        let permit = scheduler.permits.acquire().await.unwrap();
        let mut next = Box::pin(scheduler.run(HANDLER, Instant::now(), async {}));
        assert!(is_pending(&mut next).await);
        drop(permit);
        next.await;

        let _permit = scheduler.permits.acquire().await.unwrap();
        scheduler.run(HANDLER, Instant::now(), async {}).await;
    }
}
