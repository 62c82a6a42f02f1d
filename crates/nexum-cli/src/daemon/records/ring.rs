//! A bounded sequence of records, which drops the oldest ones.

use std::collections::VecDeque;
use std::sync::Arc;

use nexum_core::logged;
use tracing::Level;

use super::record::Record;

/// A kind of records with a ring of its own, so that many records of one kind push out no record of
/// another kind: a module that writes a thousand lines a second hides none of its errors that nexum
/// reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Lane {
    /// Records that the module writes.
    Guest,
    /// Records about the module, or about the daemon.
    Host,
    /// Records below the level INFO, such as one for each handled event.
    Detail,
}

/// The bounds of a ring.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    records_max: usize,
    bytes_max: usize,
}

impl Lane {
    /// All lanes.
    pub(super) const ALL: [Self; 3] = [Self::Guest, Self::Host, Self::Detail];

    /// The lane of a record.
    pub(super) fn of(target: &str, level: Level) -> Self {
        match level {
            _ if target == logged::MODULE => Self::Guest,
            Level::ERROR | Level::WARN | Level::INFO => Self::Host,
            _ => Self::Detail,
        }
    }

    const fn bounds(self) -> Bounds {
        match self {
            // An hour of a module that writes a line for each block, and a minute of one that
            // writes twenty lines a second.
            Self::Guest => Bounds {
                records_max: 2_000,
                bytes_max: 1 << 20,
            },
            // Weeks of a healthy module, and the last 400 attempts of one that fails.
            Self::Host => Bounds {
                records_max: 1_000,
                bytes_max: 512 << 10,
            },
            // The time between two looks of a follower, at ten thousand events a second.
            Self::Detail => Bounds {
                records_max: 4_000,
                bytes_max: 2 << 20,
            },
        }
    }
}

/// The last records of one lane.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) records: VecDeque<Arc<Record>>,
    bounds: Bounds,
    bytes: usize,
    /// How many records the ring has dropped, and the number of the last one.
    dropped: u64,
    dropped_seq: u64,
}

impl Ring {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            records: VecDeque::new(),
            bounds: lane.bounds(),
            bytes: 0,
            dropped: 0,
            dropped_seq: 0,
        }
    }

    /// The size of the records.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a record. Returns the size of the records that it pushed out. The newest record stays,
    /// however large it is.
    pub(super) fn push(&mut self, record: Arc<Record>) -> usize {
        self.bytes += record.bytes();
        self.records.push_back(record);
        let before = self.bytes;
        let is_over = |ring: &Self| ring.records.len() > ring.bounds.records_max || ring.bytes > ring.bounds.bytes_max;
        while self.records.len() > 1 && is_over(self) {
            self.drop_oldest();
        }
        before - self.bytes
    }

    /// Drops the older half of the records. Returns its size.
    pub(super) fn halve(&mut self) -> usize {
        let before = self.bytes;
        for _ in 0..self.records.len().div_ceil(2) {
            self.drop_oldest();
        }
        before - self.bytes
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.records.pop_front() {
            self.bytes -= oldest.bytes();
            self.dropped += 1;
            self.dropped_seq = oldest.seq;
        }
    }

    /// How many records the ring has had up to this number.
    pub(super) fn had(&self, seq: u64) -> u64 {
        self.dropped + self.place_after(seq) as u64
    }

    /// The place of the first kept record after this number.
    pub(super) fn place_after(&self, seq: u64) -> usize {
        self.records.partition_point(|record| record.seq <= seq)
    }

    /// How many records after the number `after` the ring has dropped. `had` is how many records the
    /// ring had up to that number, as far as the reader knows. Otherwise the result is the most that
    /// it can be.
    pub(super) fn lost(&self, after: u64, had: Option<u64>) -> u64 {
        match had {
            Some(had) => self.dropped.saturating_sub(had),
            None => self.dropped.min(self.dropped_seq.saturating_sub(after)),
        }
    }
}
