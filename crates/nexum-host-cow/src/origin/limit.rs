//! The rate limit of a host.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Mutex as FairMutex, Notify};
use tokio::time::{Instant, sleep_until, timeout_at};

/// The window in which order books count requests.
const WINDOW: Duration = Duration::from_secs(1);

/// The longest time until a request without a response has arrived: longer than any network path.
const TRANSIT_MAX: Duration = Duration::from_secs(1);

/// Keeps the requests that a host receives within any second under its limit. Further requests wait
/// in order of arrival.
///
/// The host counts requests when they arrive. So a place becomes free a second after the response,
/// or a second after the request must have arrived, and not a second after it was sent.
#[derive(Debug)]
pub(super) struct RateLimit {
    /// The next request holds this lock while it waits. Tokio's mutex is fair.
    next: FairMutex<()>,
    places: Mutex<Places>,
    /// Notifies that a place becomes free earlier than expected.
    sooner: Notify,
}

/// The right to send one request. Drop it when the response has arrived, or when the caller stops
/// waiting for it.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    limit: &'a RateLimit,
    place: HeldPlace,
}

impl RateLimit {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self {
            next: FairMutex::default(),
            places: Mutex::new(Places::new(per_second, Instant::now())),
            sooner: Notify::new(),
        }
    }

    /// Returns a turn if one is free now.
    pub(super) fn turn_now(&self) -> Option<Turn<'_>> {
        let _next = self.next.try_lock().ok()?;
        let place = self.places().take(Instant::now()).ok()?;
        Some(Turn { limit: self, place })
    }

    /// Waits for a turn. None if no turn is free before the deadline.
    pub(super) async fn turn(&self, deadline: Instant) -> Option<Turn<'_>> {
        timeout_at(deadline, self.next_turn(deadline)).await.ok().flatten()
    }

    async fn next_turn(&self, deadline: Instant) -> Option<Turn<'_>> {
        let _next = self.next.lock().await;
        loop {
            let taken = self.places().take(Instant::now());
            let due = match taken {
                Ok(place) => return Some(Turn { limit: self, place }),
                Err(due) => due,
            };
            if self.places().paused_until >= deadline {
                return None;
            }
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    /// Gives no turn for this time.
    pub(super) fn pause(&self, pause: Duration) {
        let mut places = self.places();
        places.paused_until = places.paused_until.max(Instant::now() + pause);
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.limit.places().answered(self.place, Instant::now());
        self.limit.sooner.notify_one();
    }
}

/// The places of one window.
#[derive(Debug)]
struct Places {
    count: usize,
    /// The occupied places, by the time at which they become free.
    held: BTreeSet<HeldPlace>,
    taken: u64,
    paused_until: Instant,
}

/// An occupied place, with the time at which it becomes free without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HeldPlace {
    free_at: Instant,
    /// Distinguishes places that become free at one time.
    number: u64,
}

impl Places {
    fn new(per_second: NonZeroU32, now: Instant) -> Self {
        Self {
            count: usize::try_from(per_second.get()).unwrap_or(usize::MAX),
            held: BTreeSet::new(),
            taken: 0,
            paused_until: now,
        }
    }

    /// Occupies a place.
    ///
    /// # Errors
    ///
    /// If no place is free: the time at which one may become free.
    fn take(&mut self, now: Instant) -> Result<HeldPlace, Instant> {
        while self.held.first().is_some_and(|place| place.free_at <= now) {
            self.held.pop_first();
        }
        let first = self.held.first().filter(|_| self.held.len() >= self.count);
        let due = first.map_or(now, |place| place.free_at).max(self.paused_until);
        if due > now {
            return Err(due);
        }
        self.taken += 1;
        let place = HeldPlace {
            free_at: now + TRANSIT_MAX + WINDOW,
            number: self.taken,
        };
        self.held.insert(place);
        Ok(place)
    }

    /// Notes the response to the request in a place. The place stays occupied for one more window.
    fn answered(&mut self, mut place: HeldPlace, now: Instant) {
        if self.held.remove(&place) {
            place.free_at = place.free_at.min(now + WINDOW);
            self.held.insert(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_place_is_free_a_second_after_the_answer() {
        let start = Instant::now();
        let mut places = Places::new(TWO, start);
        let (first, second) = (places.take(start).unwrap(), places.take(start + ms(10)).unwrap());
        assert_eq!(places.take(start + ms(20)).unwrap_err(), start + ms(2_000));
        places.answered(second, start + ms(100));
        places.answered(first, start + ms(300));
        assert_eq!(places.take(start + ms(300)).unwrap_err(), start + ms(1_100));
        places.take(start + ms(1_100)).unwrap();
        assert_eq!(places.take(start + ms(1_100)).unwrap_err(), start + ms(1_300));
    }

    #[test]
    fn who_hangs_holds_nobody_up_and_frees_no_place_of_others() {
        let start = Instant::now();
        let mut places = Places::new(NonZeroU32::MIN, start);
        let hanging = places.take(start).unwrap();
        let later = start + TRANSIT_MAX + WINDOW;
        places.take(later).unwrap();
        places.answered(hanging, later);
        assert_eq!(places.take(later).unwrap_err(), later + TRANSIT_MAX + WINDOW);
    }

    #[test]
    fn a_pause_is_for_every_place() {
        let start = Instant::now();
        let mut places = Places::new(TWO, start);
        places.paused_until = start + ms(5_000);
        assert_eq!(places.take(start).unwrap_err(), start + ms(5_000));
        places.take(start + ms(5_000)).unwrap();
    }

    #[tokio::test]
    async fn a_turn_that_cannot_come_is_not_waited_for() {
        let limit = RateLimit::new(TWO);
        limit.pause(Duration::from_secs(3_600));
        assert!(limit.turn(Instant::now() + Duration::from_secs(1_800)).await.is_none());
    }
}
