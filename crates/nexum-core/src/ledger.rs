//! The event ledger: a record of each attempt at an event, for `nexum explain`.
//!
//! Runners push entries into a bounded buffer, and never wait. A program that keeps a ledger takes
//! them out ([`Ledger::take`]) and stores them; the crate `nexum-ledger` does. A full buffer drops
//! entries and counts them: the next entry that fits says how many are missing, and since when.
//!
//! With [`Ledger::set_inputs`], each attempt also has its [`Inputs`], from which `nexum replay` repeats it.
//!
//! # Cost
//!
//! An entry costs a few readings of the clock, a few small allocations and a lock that runners share
//! for some nanoseconds. Without a ledger, a runner does none of this.

mod entry;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use metrics::Counter;
use parking_lot::Mutex;

pub use self::entry::{
    Act, AttemptEntry, Commit, Entry, Exceeded, HostCallEntry, Lost, ModuleVersion, Outcome, Reverted, Seen,
    SentEffect, StageEntry, TimeByKind, Use, Waits, Write,
};
pub use crate::state::{
    CallInputs, INPUT_BYTES_MAX, INPUT_VALUE_BYTES_MAX, InputContent, Inputs, KnownKey, RecordedCall, RecordedEffect,
    StartInputs,
};

use crate::clock::Clock;
use crate::metrics::LEDGER_LOST;

/// The most bytes of entries that wait for [`Ledger::take`]: over fifty thousand entries, which is
/// what two busy cores make in a quarter of a second.
const BUFFER_BYTES_MAX: usize = 16 << 20;

/// The most bytes of inputs that wait for [`Ledger::take`]: at least sixty attempts with as much as one may have, and
/// some ten thousand with a few reads each.
const INPUTS_BYTES_MAX: usize = 64 << 20;

/// Which attempts get the list of their host calls. Failed and slow attempts always get it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calls {
    /// Only failed and slow attempts.
    #[default]
    FailedAndSlow,
    /// Also each attempt with this number among those of its module.
    OneIn(u32),
    /// All attempts.
    All,
}

/// A handle to the ledger. A clone is cheap.
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    /// [`Calls`]: 0 for failed and slow attempts, otherwise one in this many.
    calls: AtomicU32,
    inputs: AtomicBool,
    buffer: Mutex<Buffer>,
    bytes_max: usize,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct Buffer {
    entries: Vec<(u64, Entry)>,
    bytes: usize,
    /// The bytes of inputs.
    inputs_bytes: usize,
    lost: Option<Lost>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// An empty ledger.
    pub fn new(clock: Arc<dyn Clock>, calls: Calls) -> Self {
        Self::bounded(clock, calls, BUFFER_BYTES_MAX)
    }

    /// An empty ledger whose buffer has room for this many bytes of entries.
    pub fn bounded(clock: Arc<dyn Clock>, calls: Calls, bytes_max: usize) -> Self {
        let ledger = Self(Arc::new(Shared {
            clock,
            calls: AtomicU32::new(0),
            inputs: AtomicBool::new(false),
            buffer: Mutex::default(),
            bytes_max,
            dropped: metrics::counter!(LEDGER_LOST),
        }));
        ledger.set_calls(calls);
        ledger
    }

    /// Which attempts get the list of their host calls.
    pub fn calls(&self) -> Calls {
        match self.0.calls.load(Ordering::Relaxed) {
            0 => Calls::FailedAndSlow,
            1 => Calls::All,
            number => Calls::OneIn(number),
        }
    }

    /// Changes which later attempts get the list of their host calls.
    pub fn set_calls(&self, calls: Calls) {
        let number = match calls {
            Calls::FailedAndSlow => 0,
            Calls::OneIn(number) => number.max(1),
            Calls::All => 1,
        };
        self.0.calls.store(number, Ordering::Relaxed);
    }

    /// Whether attempts have their inputs.
    pub fn inputs(&self) -> bool {
        self.0.inputs.load(Ordering::Relaxed)
    }

    /// Changes whether later attempts have their inputs.
    pub fn set_inputs(&self, inputs: bool) {
        self.0.inputs.store(inputs, Ordering::Relaxed);
    }

    /// Adds an entry, or drops and counts it if the buffer is full.
    pub fn push(&self, entry: Entry) {
        self.push_with(entry, None);
    }

    /// Adds the entry of an attempt, with its inputs before it. Inputs for which there is no room lose their content.
    pub fn push_attempt(&self, attempt: Box<AttemptEntry>, inputs: Option<Box<Inputs>>) {
        self.push_with(Entry::Attempt(attempt), inputs);
    }

    fn push_with(&self, entry: Entry, inputs: Option<Box<Inputs>>) {
        let at_ms = self.now_ms();
        let bytes = entry.size_bytes();
        let inputs_bytes = inputs.as_ref().map_or(0, |inputs| inputs.size_bytes());
        let mut buffer = self.0.buffer.lock();
        let mut dropped = 0;
        if buffer.bytes.saturating_add(bytes) > self.0.bytes_max {
            dropped = 1 + u64::from(inputs.is_some());
            buffer.lose(Lost::at(at_ms, dropped));
        } else {
            buffer.bytes += bytes;
            if let Some(mut inputs) = inputs {
                match buffer.inputs_bytes.saturating_add(inputs_bytes) {
                    sum if sum <= INPUTS_BYTES_MAX => buffer.inputs_bytes = sum,
                    _ => {
                        dropped = 1;
                        inputs.content = None;
                    }
                }
                buffer.entries.push((at_ms, Entry::Inputs(inputs)));
            }
            buffer.entries.push((at_ms, entry));
        }
        drop(buffer);
        if dropped > 0 {
            self.0.dropped.increment(dropped);
        }
    }

    /// Records that entries which [`take`](Self::take) returned could not be stored.
    pub fn lose(&self, lost: Lost) {
        self.0.dropped.increment(lost.entries);
        self.0.buffer.lock().lose(lost);
    }

    /// Takes all waiting entries in their order, each with the time of its push in milliseconds since
    /// the Unix epoch. If entries were dropped, an [`Entry::Lost`] is the last one.
    pub fn take(&self) -> Vec<(u64, Entry)> {
        let mut buffer = std::mem::take(&mut *self.0.buffer.lock());
        if let Some(lost) = buffer.lost {
            buffer.entries.push((lost.to_ms, Entry::Lost(lost)));
        }
        buffer.entries
    }

    /// The time, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }
}

impl Buffer {
    fn lose(&mut self, lost: Lost) {
        self.lost = Some(match self.lost.take() {
            Some(earlier) => earlier.and(lost),
            None => lost,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn stage(module: &str) -> Entry {
        Entry::Stage(StageEntry {
            module: module.to_owned(),
            stage: "stopped".to_owned(),
            reason: String::new(),
        })
    }

    #[test]
    fn a_full_buffer_drops_entries_and_says_how_many() {
        let bytes_max = 2 * stage("a").size_bytes();
        let ledger = Ledger::bounded(Arc::new(SystemClock::new()), Calls::All, bytes_max);
        for module in ["a", "b", "c", "d"] {
            ledger.push(stage(module));
        }
        let entries: Vec<_> = ledger.take().into_iter().map(|(_, entry)| entry).collect();
        let [a, b, Entry::Lost(lost)] = &*entries else {
            panic!("{entries:?}");
        };
        assert_eq!((a, b), (&stage("a"), &stage("b")));
        assert_eq!(lost.entries, 2);
        assert!(lost.from_ms <= lost.to_ms);
        ledger.push(stage("e"));
        assert_eq!(
            ledger.take().len(),
            1,
            "the buffer has room again, and nothing more is lost"
        );
    }

    #[test]
    fn the_choice_of_calls_survives_its_form() {
        let ledger = Ledger::new(Arc::new(SystemClock::new()), Calls::FailedAndSlow);
        for calls in [Calls::FailedAndSlow, Calls::OneIn(100), Calls::All] {
            ledger.set_calls(calls);
            assert_eq!(ledger.calls(), calls);
        }
    }
}
