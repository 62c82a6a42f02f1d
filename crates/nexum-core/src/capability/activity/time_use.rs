//! The recent use of a module's time, by kind and endpoint.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::WINDOW;
use crate::windows::Windows;

/// The newest calls of an endpoint whose durations are kept, for the median: enough that single
/// slow calls do not matter, in 128 bytes.
const DURATIONS_MAX: usize = 32;

/// The kind of a host call: what the host function works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostCallKind {
    /// Requests to a chain.
    Chain,
    /// Requests to the order book.
    OrderBook,
    /// HTTP requests.
    Http,
    /// The module's own keys and values.
    Store,
    /// Anything else.
    Other,
}

/// A use of a module's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeKind {
    /// The guest computes.
    Guest,
    /// The guest waits for a host call.
    Host(HostCallKind),
    /// The runner waits until the changes of an event are durable.
    Commit,
    /// The next event waits because of `events_per_second`.
    EventRate,
}

impl TimeKind {
    /// All kinds. `Self::index` returns the index of each.
    pub const ALL: [Self; 8] = [
        Self::Guest,
        Self::Host(HostCallKind::Chain),
        Self::Host(HostCallKind::OrderBook),
        Self::Host(HostCallKind::Http),
        Self::Host(HostCallKind::Store),
        Self::Host(HostCallKind::Other),
        Self::Commit,
        Self::EventRate,
    ];

    /// The kind in words, for the operator.
    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Host(kind) => kind.name(),
            Self::Commit => "commit",
            Self::EventRate => "events_per_second",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Guest => 0,
            Self::Host(kind) => 1 + kind as usize,
            Self::Commit => 6,
            Self::EventRate => 7,
        }
    }
}

impl HostCallKind {
    /// The kind in words, for the operator.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::OrderBook => "order book",
            Self::Http => "http",
            Self::Store => "store",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for TimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for HostCallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The time of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times([Duration; TimeKind::ALL.len()]);

impl Times {
    pub(super) fn add(&mut self, kind: TimeKind, took: Duration) {
        if let Some(time) = self.0.get_mut(kind.index()) {
            *time = time.saturating_add(took);
        }
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        TimeKind::ALL.iter().for_each(|kind| self.add(*kind, other.of(*kind)));
    }

    fn of(&self, kind: TimeKind) -> Duration {
        self.0.get(kind.index()).copied().unwrap_or_default()
    }

    fn total(&self) -> Duration {
        self.0
            .iter()
            .fold(Duration::ZERO, |sum, time| sum.saturating_add(*time))
    }
}

/// The calls of one endpoint.
#[derive(Debug)]
pub(super) struct EndpointTimes {
    pub(super) id: u64,
    pub(super) label: Arc<str>,
    pub(super) kind: HostCallKind,
    recent: Windows<Calls>,
    /// The durations of the newest calls in microseconds, in no order.
    newest: [u32; DURATIONS_MAX],
    /// The number of calls so far.
    count: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    count: u64,
    time: Duration,
}

impl EndpointTimes {
    pub(super) fn new(id: u64, label: &str, kind: HostCallKind) -> Self {
        Self {
            id,
            label: label.into(),
            kind,
            recent: Windows::default(),
            newest: [0; DURATIONS_MAX],
            count: 0,
        }
    }

    pub(super) fn add(&mut self, now: Instant, took: Duration) {
        let calls = self.recent.at(now, WINDOW);
        calls.count += 1;
        calls.time = calls.time.saturating_add(took);
        if let Some(place) = self.newest.get_mut(self.count % DURATIONS_MAX) {
            *place = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        }
        self.count = self.count.wrapping_add(1);
    }

    /// The time of all recent calls.
    pub(super) fn total(&self) -> Duration {
        let [before, current] = self.recent.both();
        before.time.saturating_add(current.time)
    }

    /// The recent calls, with those in progress. `None` if there is none.
    pub(super) fn report(&mut self, now: Instant, open: &[Duration]) -> Option<EndpointTime> {
        self.recent.at(now, WINDOW);
        let ended: u64 = self.recent.both().iter().map(|calls| calls.count).sum();
        let calls = ended + open.len() as u64;
        let longest = open.iter().max().copied();
        (calls > 0).then(|| EndpointTime {
            endpoint: self.label.clone(),
            kind: self.kind,
            calls,
            time: open
                .iter()
                .fold(self.total(), |sum, elapsed| sum.saturating_add(*elapsed)),
            median: self.median().max(longest).unwrap_or_default(),
        })
    }

    fn median(&self) -> Option<Duration> {
        let mut newest = self.newest;
        let kept = newest.get_mut(..self.count.min(DURATIONS_MAX))?;
        kept.sort_unstable();
        let middle = kept.get(kept.len() / 2)?;
        Some(Duration::from_micros(u64::from(*middle)))
    }
}

/// The use of a module's time in the last one to two minutes. A pause between two events is no use.
#[derive(Clone, Debug)]
pub struct TimeUse {
    pub(super) times: Times,
    /// The endpoints of host calls, in no order. A call without a wait has no endpoint.
    pub endpoints: Vec<EndpointTime>,
}

/// The host calls to one endpoint in the last one to two minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointTime {
    /// Scheme, host and port. The host of an HTTP request comes from the guest, and is a DNS name or an
    /// address.
    pub endpoint: Arc<str>,
    /// The kind of the calls.
    pub kind: HostCallKind,
    /// The number of calls, including those in progress.
    pub calls: u64,
    /// The time of all calls.
    pub time: Duration,
    /// The median of the newest 32 calls, or the time of a call in progress if it is longer.
    pub median: Duration,
}

/// The largest use of a module's time. As text: `chain 99 %: http://127.0.0.1:8545 310 ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeShare {
    /// The kind with the most time.
    pub kind: TimeKind,
    /// Its share of all time, in percent.
    pub percent: u8,
    /// Its endpoint with the most time.
    pub endpoint: Option<EndpointTime>,
}

impl TimeUse {
    /// The time of a kind.
    pub fn of(&self, kind: TimeKind) -> Duration {
        self.times.of(kind)
    }

    /// The time of all kinds.
    pub fn total(&self) -> Duration {
        self.times.total()
    }

    /// The kind with the most time. `None` if the module has spent no time.
    pub fn largest(&self) -> Option<TimeShare> {
        let kind = TimeKind::ALL.into_iter().max_by_key(|kind| self.of(*kind))?;
        let total = self.total().as_nanos();
        let percent = (self.of(kind).as_nanos() * 100).checked_div(total)?;
        let is_of_kind = |endpoint: &&EndpointTime| TimeKind::Host(endpoint.kind) == kind;
        let endpoints = self.endpoints.iter().filter(is_of_kind);
        Some(TimeShare {
            kind,
            percent: u8::try_from(percent).unwrap_or(100),
            endpoint: endpoints.max_by_key(|endpoint| endpoint.time).cloned(),
        })
    }
}

impl fmt::Display for TimeShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} %", self.kind, self.percent)?;
        match &self.endpoint {
            Some(EndpointTime { endpoint, median, .. }) => write!(f, ": {endpoint} {} ms", median.as_millis()),
            None => Ok(()),
        }
    }
}
