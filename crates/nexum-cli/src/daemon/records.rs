//! The last log records, in memory.
//!
//! Each module has rings of its own, so that a talkative module pushes out only its own records.
//! All records have numbers of one sequence. A reader names the last number that it has, and learns
//! how many later records are lost.

mod capture;
mod follow;
mod record;
mod ring;

use std::collections::HashMap;
use std::sync::Arc;

use metrics::gauge;
use nexum_core::clock::{Clock, SystemClock};
use parking_lot::Mutex;
use tokio::sync::watch;

use self::ring::{Lane, Ring};

pub(super) use self::capture::Capture;
pub(super) use self::follow::{Batch, Follower, Loss};
pub(super) use self::record::{Draft, Record};

/// The most bytes of all records: a hundredth of the memory of a small server. With more talkative
/// modules than fit, the largest rings lose records first.
const BYTES_MAX: usize = 64 << 20;

/// Gauge: the size of all records.
pub(super) const BYTES: &str = "nexum_log_records_bytes";

/// The most modules with rings of their own. Beyond that, modules share the daemon's rings, so that
/// loading and removing modules for years does not fill the memory.
const MODULES_MAX: usize = 1_000;

/// The last records of the daemon and of each module. A clone shares them.
#[derive(Clone)]
pub(crate) struct Records(Arc<Shared>);

struct Shared {
    kept: Mutex<Kept>,
    /// The number of the newest record. Readers wait for its change.
    newest: watch::Sender<u64>,
    /// The number before the first record of this run.
    before: u64,
    clock: Arc<dyn Clock>,
}

/// The rings. The rings of one owner are next to each other, one for each [`Lane`]. The daemon's are the
/// first.
struct Kept {
    rings: Vec<Ring>,
    /// The index of a module's first ring.
    modules: HashMap<Arc<str>, usize>,
    /// The number of the newest record.
    newest: u64,
    /// The size of all records.
    bytes: usize,
}

/// The records that a reader wants.
#[derive(Clone)]
pub(super) struct Selection {
    /// The module. `None` selects the daemon and all modules.
    pub(super) module: Option<Arc<str>>,
    /// Whether the reader wants a record.
    pub(super) wants: Arc<dyn Fn(&Record) -> bool + Send + Sync>,
}

impl Selection {
    fn takes(&self, record: &Record) -> bool {
        let is_of_module = match &self.module {
            Some(module) => record.module.as_deref() == Some(module),
            None => true,
        };
        is_of_module && (self.wants)(record)
    }
}

impl Records {
    /// No records. The numbers begin with the microseconds since the Unix epoch, so that they grow
    /// over restarts: no daemon logs more than a record each microsecond. JSON can have them as
    /// numbers, because they stay below 2^53 until the year 2255.
    pub(super) fn new() -> Self {
        Self::on_clock(Arc::new(SystemClock::new()))
    }

    fn on_clock(clock: Arc<dyn Clock>) -> Self {
        let before = clock.now_ms().saturating_mul(1_000);
        Self(Arc::new(Shared {
            kept: Mutex::new(Kept {
                rings: Lane::ALL.map(Ring::new).into(),
                modules: HashMap::new(),
                newest: before,
                bytes: 0,
            }),
            newest: watch::Sender::new(before),
            before,
            clock,
        }))
    }

    /// Keeps a record.
    pub(super) fn push(&self, draft: Draft) {
        let at_ms = self.0.clock.now_ms();
        let (seq, bytes) = {
            let mut kept = self.0.kept.lock();
            (kept.push(draft, at_ms), kept.bytes)
        };
        gauge!(BYTES).set(bytes as f64);
        // A reader that subscribes after this check locks the rings later, and finds the record there.
        if self.0.newest.receiver_count() > 0 {
            self.0.newest.send_if_modified(|newest| {
                let is_newer = seq > *newest;
                *newest = seq.max(*newest);
                is_newer
            });
        }
    }

    /// The newest records of a selection, at most `limit`, oldest first, and the number of the
    /// newest record of all.
    pub(super) fn last(&self, selection: &Selection, limit: usize) -> (Vec<Arc<Record>>, u64) {
        let (indices, newest) = {
            let kept = self.0.kept.lock();
            (kept.rings_of(selection), kept.newest)
        };
        let mut found = Vec::new();
        for index in indices {
            // A lock for each ring, so that a reader of all records delays no module for long.
            let kept = self.0.kept.lock();
            let records = kept.rings[index].records.iter().rev();
            let records = records.filter(|record| record.seq <= newest && selection.takes(record));
            found.extend(records.take(limit).cloned());
        }
        found.sort_unstable_by_key(|record| record.seq);
        let surplus = found.len().saturating_sub(limit);
        found.drain(..surplus);
        (found, newest)
    }

    /// Follows the records of a selection after the record with this number.
    pub(super) fn follow(&self, selection: Selection, after: u64) -> Follower {
        Follower::new(self.clone(), selection, after)
    }

    /// Whether there has been a record about this module.
    pub(super) fn know(&self, module: &str) -> bool {
        self.0.kept.lock().modules.contains_key(module)
    }

    /// The number of the newest record.
    pub(super) fn newest(&self) -> u64 {
        self.0.kept.lock().newest
    }

    /// The time of a record that would be made now, in milliseconds since the Unix epoch.
    pub(super) fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }
}

impl Kept {
    /// Keeps a record, and returns its number.
    fn push(&mut self, draft: Draft, at_ms: u64) -> u64 {
        self.newest += 1;
        let seq = self.newest;
        let first = draft.module.as_deref().map_or(0, |module| self.first_ring(module));
        let index = first + Lane::of(draft.target(), draft.level()) as usize;
        let record = Arc::new(Record::new(seq, at_ms, draft));
        self.bytes += record.bytes();
        self.bytes -= self.rings[index].push(record);
        while self.bytes > BYTES_MAX {
            self.shrink();
        }
        seq
    }

    /// The index of the module's first ring, which it creates if there is none.
    fn first_ring(&mut self, module: &str) -> usize {
        if let Some(first) = self.modules.get(module) {
            return *first;
        }
        if self.modules.len() == MODULES_MAX {
            return 0;
        }
        let first = self.rings.len();
        self.rings.extend(Lane::ALL.map(Ring::new));
        self.modules.insert(module.into(), first);
        first
    }

    /// Removes the older half of the largest ring, so that the next records find room.
    fn shrink(&mut self) {
        if let Some(largest) = self.rings.iter_mut().max_by_key(|ring| ring.bytes()) {
            self.bytes -= largest.halve();
        }
    }

    /// The indices of the rings with records of a selection.
    fn rings_of(&self, selection: &Selection) -> Vec<usize> {
        let of_owner = |first: usize| first..first + Lane::ALL.len();
        let Some(module) = &selection.module else {
            return (0..self.rings.len()).collect();
        };
        match self.modules.get(module) {
            Some(first) => of_owner(*first).collect(),
            None if self.modules.len() == MODULES_MAX => of_owner(0).collect(),
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
