//! The numbers of an endpoint's requests, for reports.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use nexum_core::source::Latency;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::{AnswerKind, RequestError};
use crate::redact::printable;
use crate::wall::millis;

/// The answers whose latency an endpoint remembers: the 99th percentile is the third largest of
/// them, so that one slow answer is not the percentile. They take 1 kB.
const LATENCIES_MAX: usize = 256;

/// The length of a slice of the window for the error rate.
const SLICE: Duration = Duration::from_secs(30);

/// The slices of the window: five minutes are long enough for a rate at one request per poll, and
/// short enough that an outage an hour ago does not show.
const SLICES: usize = 10;

/// Counts an endpoint's requests. A successful request locks nothing.
#[derive(Debug)]
pub(crate) struct Usage {
    epoch: Instant,
    latencies: Latencies,
    slices: [Slice; SLICES],
    requests: AtomicU64,
    errors: AtomicU64,
    last_error: Mutex<Option<(String, Instant)>>,
}

/// The requests of one slice of the window.
#[derive(Debug, Default)]
struct Slice {
    /// The number of the slice since the epoch, from 1.
    number: AtomicU64,
    requests: AtomicU64,
    errors: AtomicU64,
}

impl Usage {
    pub(super) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            latencies: Latencies::default(),
            slices: Default::default(),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            last_error: Mutex::new(None),
        }
    }

    /// Counts one call.
    pub(super) fn called(&self, error: Option<&RequestError>, took: Duration) {
        self.called_at(Instant::now(), error, took);
    }

    fn called_at(&self, now: Instant, error: Option<&RequestError>, took: Duration) {
        if matches!(error, None | Some(RequestError::Answer { .. })) {
            self.latencies.record(took);
        }
        let is_error = error.is_some_and(is_failure);
        let slice = self.slice(now);
        for (requests, errors) in [(&self.requests, &self.errors), (&slice.requests, &slice.errors)] {
            requests.fetch_add(1, Ordering::Relaxed);
            errors.fetch_add(u64::from(is_error), Ordering::Relaxed);
        }
    }

    /// Remembers a failed call, or a failed connection.
    pub(super) fn failed(&self, error: &RequestError) {
        if is_failure(error) {
            *self.last_error.lock() = Some((printable(&error.to_string()), Instant::now()));
        }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// The last failure, and its time.
    pub(crate) fn last_error(&self) -> Option<(String, Instant)> {
        self.last_error.lock().clone()
    }

    pub(crate) fn latency(&self) -> Option<Latency> {
        self.latencies.percentiles()
    }

    /// The share of failed calls in the window. None without a call.
    pub(crate) fn error_rate(&self) -> Option<f64> {
        self.error_rate_at(Instant::now())
    }

    fn error_rate_at(&self, now: Instant) -> Option<f64> {
        let now = self.slice_number(now);
        let is_recent = |slice: &&Slice| {
            let number = slice.number.load(Ordering::Relaxed);
            number > 0 && number.saturating_add(SLICES as u64) > now
        };
        let (mut requests, mut errors) = (0_u64, 0_u64);
        for slice in self.slices.iter().filter(is_recent) {
            requests = requests.saturating_add(slice.requests.load(Ordering::Relaxed));
            errors = errors.saturating_add(slice.errors.load(Ordering::Relaxed));
        }
        (requests > 0).then(|| errors as f64 / requests as f64)
    }

    fn slice_number(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.epoch)) / millis(SLICE) + 1
    }

    /// The current slice. Calls that begin a slice together may lose one of their counts.
    fn slice(&self, now: Instant) -> &Slice {
        let number = self.slice_number(now);
        let slice = &self.slices[(number % SLICES as u64) as usize];
        if slice.number.swap(number, Ordering::Relaxed) != number {
            slice.requests.store(0, Ordering::Relaxed);
            slice.errors.store(0, Ordering::Relaxed);
        }
        slice
    }
}

/// Whether a call failed. A revert and a number without a block are answers of the chain, and the
/// host's own refusals do not concern the endpoint.
fn is_failure(error: &RequestError) -> bool {
    match error {
        RequestError::Answer { kind, .. } => !matches!(kind, AnswerKind::Revert | AnswerKind::NullRound),
        RequestError::Refused { .. } | RequestError::Internal | RequestError::OverBudget { .. } => false,
        _ => true,
    }
}

/// The latencies of the last answers, in microseconds. 0 is an unused place.
#[derive(Debug)]
struct Latencies {
    us: [AtomicU32; LATENCIES_MAX],
    next: AtomicUsize,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            us: [const { AtomicU32::new(0) }; LATENCIES_MAX],
            next: AtomicUsize::new(0),
        }
    }
}

impl Latencies {
    fn record(&self, took: Duration) {
        let us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        let place = self.next.fetch_add(1, Ordering::Relaxed) % LATENCIES_MAX;
        self.us[place].store(us, Ordering::Relaxed);
    }

    fn percentiles(&self) -> Option<Latency> {
        let taken = self.us.iter().map(|us| us.load(Ordering::Relaxed));
        let mut taken: Vec<u32> = taken.filter(|us| *us > 0).collect();
        taken.sort_unstable();
        // The nearest rank.
        let at = |percent: usize| {
            let rank = (taken.len() * percent).div_ceil(100);
            let us = taken.get(rank.saturating_sub(1))?;
            Some(Duration::from_micros(u64::from(*us)))
        };
        Some(Latency {
            p50: at(50)?,
            p99: at(99)?,
            count: taken.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_last_answers() {
        let latencies = Latencies::default();
        assert_eq!(latencies.percentiles(), None);
        for ms in 1..=100 {
            latencies.record(Duration::from_millis(ms));
        }
        let expected = |p50, p99, count| {
            let [p50, p99] = [p50, p99].map(Duration::from_millis);
            Some(Latency { p50, p99, count })
        };
        assert_eq!(latencies.percentiles(), expected(50, 99, 100));
        for _ in 0..LATENCIES_MAX {
            latencies.record(Duration::from_millis(7));
        }
        assert_eq!(latencies.percentiles(), expected(7, 7, LATENCIES_MAX));
    }

    #[test]
    fn the_rate_of_errors_forgets_what_is_older_than_the_window() {
        let usage = Usage::new();
        let start = usage.epoch;
        assert_eq!(usage.error_rate_at(start), None);
        let timeout = RequestError::Timeout { timeout_ms: 1 };
        let revert = RequestError::Answer {
            code: 3,
            message: String::new(),
            kind: AnswerKind::Revert,
            revert_data: None,
        };
        for error in [Some(&timeout), Some(&revert), None, None] {
            usage.called_at(start, error, Duration::from_millis(1));
        }
        assert_eq!(
            (usage.error_rate_at(start), usage.requests(), usage.errors()),
            (Some(0.25), 4, 1)
        );
        usage.called_at(start + SLICE * 2, Some(&timeout), Duration::from_millis(1));
        assert_eq!(usage.error_rate_at(start + SLICE * 2), Some(0.4));
        assert_eq!(usage.error_rate_at(start + SLICE * 10), Some(1.0));
        assert_eq!((usage.error_rate_at(start + SLICE * 12), usage.errors()), (None, 2));
    }
}
