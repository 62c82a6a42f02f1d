//! Has guests that keep a thread busy for long take turns, so that one thread at least is always there for those that are quick.
//!
//! A guest yields after each slice, but where many compute at once a quick one would still wait for a slice of each of them at
//! every step of its way. So a handler that has kept a thread busy, itself or with what the host does for it, for longer than a
//! quick one ever does goes on in the lane, in which there is room for one guest less than there are threads. It holds its place
//! while it is busy, and never while it waits.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::engine::EPOCH_MS;

/// For how long a handler may keep a thread busy and still count as quick: two slices, of which the first is as short as chance has
/// it.
const QUICK_MAX: Duration = Duration::from_millis(2 * EPOCH_MS);

/// Room for guests that are busy for long. Clones are the same lane.
#[derive(Clone, Debug)]
pub(crate) struct Lane(Arc<Semaphore>);

impl Lane {
    /// Room for one guest less than there are processors, and for one at least.
    pub(crate) fn new() -> Self {
        let threads = available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(threads.saturating_sub(1).max(1))))
    }

    /// Runs a call into a guest that began at `began`, in the lane as soon as it has been busy for long.
    pub(crate) async fn run<T>(&self, began: Instant, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        let mut first = Some(began);
        let mut busy = Duration::ZERO;
        let mut waiting = None;
        std::future::poll_fn(|context| {
            let mut _place = None;
            if busy > QUICK_MAX {
                let place = waiting.get_or_insert_with(|| Box::pin(self.0.clone().acquire_owned()));
                let Poll::Ready(place) = place.as_mut().poll(context) else {
                    return Poll::Pending;
                };
                waiting = None;
                // The semaphore is never closed. The place is given up when the guest yields, or waits for the host.
                _place = place.ok();
            }
            // Most calls are done with the first poll, and pay for no look at the clock.
            let begin = first.take().unwrap_or_else(Instant::now);
            let outcome = call.as_mut().poll(context);
            if outcome.is_pending() {
                busy += begin.elapsed();
            }
            outcome
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    #[tokio::test]
    async fn long_ones_take_turns_and_quick_ones_do_not_wait() {
        let lane = Lane(Arc::new(Semaphore::new(1)));
        let long_ago = Instant::now().checked_sub(2 * QUICK_MAX).unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for name in ["first", "second"] {
            let (lane, order) = (lane.clone(), order.clone());
            tasks.spawn(async move {
                let call = async {
                    for _ in 0..3 {
                        order.lock().unwrap().push(name);
                        yield_now().await;
                    }
                };
                lane.run(long_ago, call).await;
            });
        }
        while tasks.join_next().await.is_some() {}
        // Nobody is done before the other has begun, nor waits for that.
        let order = order.lock().unwrap().clone();
        assert_eq!((order.len(), &order[..2]), (6, &["first", "second"][..]));

        // Somebody is busy for ever.
        let place = lane.0.acquire().await.unwrap();
        let quick = lane.run(Instant::now(), async { yield_now().await });
        quick.await;
        let mut long = pin!(lane.run(long_ago, async { yield_now().await }));
        for _ in 0..3 {
            let is_pending = std::future::poll_fn(|context| Poll::Ready(long.as_mut().poll(context).is_pending()));
            assert!(is_pending.await);
        }
        drop(place);
        long.await;
    }
}
