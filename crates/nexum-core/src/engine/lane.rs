//! Has guests that keep a thread busy for long take turns, so that one thread at least is always there for those that are quick.
//!
//! A guest yields after each slice, but where many compute at once a quick one would still wait for a slice of each of them at
//! every step of its way. So a handler that has kept a thread busy, itself or with what the host does for it, for longer than a
//! quick one ever does goes on in the lane, in which there is room for one guest less than there are threads. It holds its place
//! while it is busy, and never while it waits. The next call of the same module begins in the lane, and the one after that outside
//! again if this was quick: who is always long takes nobody's time before that is known. That of `init` is known apart, or each
//! new instance would be thought quick.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::event::Handler;

/// For how long a handler may keep a thread busy and still count as quick: many times what one takes that reads an event, asks and
/// writes, and little enough that some dozen quick ones are done in the time of one block.
const QUICK_MAX: Duration = Duration::from_millis(2);

/// Room for guests that are busy for long, and whether those of one module are. Clones are the same lane and module.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    places: Arc<Semaphore>,
    /// Whether a guest of any module has used up a slice lately.
    has_computed: Arc<AtomicBool>,
    was_long: Arc<WasLong>,
}

/// Whether a module's last `init` was long, and the last of its other calls.
#[derive(Debug, Default)]
struct WasLong {
    init: AtomicBool,
    others: AtomicBool,
}

impl Lane {
    /// Room for one guest less than there are processors, and for one at least.
    pub(crate) fn new() -> Self {
        let threads = available_parallelism().map_or(1, usize::from);
        Self::with_room_for(threads.saturating_sub(1).max(1))
    }

    fn with_room_for(guests: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(guests)),
            has_computed: Arc::default(),
            was_long: Arc::default(),
        }
    }

    /// The same lane for another module, of which nothing is known yet.
    pub(crate) fn for_module(&self) -> Self {
        Self {
            places: self.places.clone(),
            has_computed: self.has_computed.clone(),
            was_long: Arc::default(),
        }
    }

    /// A guest has used up its slice.
    pub(crate) fn has_computed(&self) {
        self.has_computed.store(true, Ordering::Relaxed);
    }

    /// Whether one has since this was asked last.
    pub(crate) fn take_has_computed(&self) -> bool {
        self.has_computed.swap(false, Ordering::Relaxed)
    }

    /// Runs a call of this handler that began at `began`, in the lane as soon as it has been busy for long, or at once if the last
    /// one was. Returns when it ended, too.
    pub(crate) async fn run<T>(&self, handler: Handler, began: Instant, call: impl Future<Output = T>) -> (T, Instant) {
        let was_long = match handler {
            Handler::Init => &self.was_long.init,
            Handler::OnEvent(_) | Handler::Evaluate(_) => &self.was_long.others,
        };
        let mut call = pin!(call);
        let mut begin = Some(began);
        let mut busy = Duration::ZERO;
        let mut is_long = was_long.load(Ordering::Relaxed);
        let mut waiting = None;
        std::future::poll_fn(|context| {
            let mut _place = None;
            if is_long {
                let place = waiting.get_or_insert_with(|| Box::pin(self.places.clone().acquire_owned()));
                let Poll::Ready(place) = place.as_mut().poll(context) else {
                    return Poll::Pending;
                };
                waiting = None;
                // What it waited before is not its own doing.
                begin = None;
                // The semaphore is never closed. The place is given up when the guest yields, or waits for the host.
                _place = place.ok();
            }
            // Most calls are done with the first poll.
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
    use std::sync::Mutex;

    use tokio::task::{JoinSet, yield_now};

    use super::*;
    use crate::event::RequestId;

    const HANDLER: Handler = Handler::Evaluate(RequestId(1));

    /// A lane for one, and when a call began that has been busy for long.
    fn lane() -> (Lane, Instant) {
        (
            Lane::with_room_for(1),
            Instant::now().checked_sub(2 * QUICK_MAX).unwrap(),
        )
    }

    async fn is_pending<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
        std::future::poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn long_ones_take_turns_and_quick_ones_do_not_wait() {
        let (lane, long_ago) = lane();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for name in ["first", "second"] {
            let (lane, order) = (lane.for_module(), order.clone());
            tasks.spawn(async move {
                let call = async {
                    for _ in 0..3 {
                        order.lock().unwrap().push(name);
                        yield_now().await;
                    }
                };
                lane.run(HANDLER, long_ago, call).await;
            });
        }
        while tasks.join_next().await.is_some() {}
        // Nobody is done before the other has begun, nor waits for that.
        let order = order.lock().unwrap().clone();
        assert_eq!((order.len(), &order[..2]), (6, &["first", "second"][..]));

        // Somebody is busy for ever.
        let place = lane.places.acquire().await.unwrap();
        lane.for_module().run(HANDLER, Instant::now(), yield_now()).await;
        let mut long = Box::pin(lane.run(HANDLER, long_ago, yield_now()));
        for _ in 0..3 {
            assert!(is_pending(&mut long).await);
        }
        drop(place);
        long.await;
    }

    #[tokio::test]
    async fn who_was_long_begins_in_the_lane_until_it_is_quick_again() {
        let (lane, long_ago) = lane();
        lane.run(HANDLER, long_ago, yield_now()).await;
        let place = lane.places.acquire().await.unwrap();
        let mut next = Box::pin(lane.run(HANDLER, Instant::now(), async {}));
        assert!(is_pending(&mut next).await);
        // Another module's is not held up.
        lane.for_module().run(HANDLER, Instant::now(), async {}).await;
        drop(place);
        next.await;
        // That was quick. So is `init`, which says nothing of the others.
        lane.run(HANDLER, long_ago, yield_now()).await;
        lane.run(Handler::Init, Instant::now(), async {}).await;
        let place = lane.places.acquire().await.unwrap();
        let mut next = Box::pin(lane.run(HANDLER, Instant::now(), async {}));
        assert!(is_pending(&mut next).await);
        drop(place);
        next.await;

        let _place = lane.places.acquire().await.unwrap();
        lane.run(HANDLER, Instant::now(), async {}).await;
    }
}
