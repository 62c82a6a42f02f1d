//! A reader of the rings that waits for the next records.

use std::sync::Arc;

use tokio::sync::watch;

use super::record::Record;
use super::{Records, Selection};

/// The most records that one look at a ring examines, so that a reader which is far behind delays
/// no module: a few microseconds for each ring.
const LOOKED_AT_MAX: usize = 256;

/// Reads the records of a selection, oldest first, and waits for the next ones.
pub(in crate::daemon) struct Follower {
    records: Records,
    selection: Selection,
    changed: watch::Receiver<u64>,
    /// The number of the last record that the follower has seen.
    after: u64,
    /// By ring: how many records it had up to `after`. `None` for a ring that the follower has not
    /// looked at.
    had: Vec<Option<u64>>,
    /// Whether `after` is from an earlier run of the daemon.
    is_from_earlier_run: bool,
}

/// The next records for a reader.
#[derive(Debug)]
pub(in crate::daemon) struct Batch {
    /// The loss before the first of the records.
    pub(in crate::daemon) loss: Option<Loss>,
    pub(in crate::daemon) records: Vec<Arc<Record>>,
}

/// Records that a reader asked for, and that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Loss {
    /// The rings have dropped so many records, also ones that the reader does not want. After a
    /// reconnection, this is the most that it can be.
    Dropped(u64),
    /// The daemon has restarted since. The records of the earlier run are gone.
    Restarted,
}

impl Follower {
    pub(super) fn new(records: Records, selection: Selection, after: u64) -> Self {
        // Before the first look, so that the follower misses no change.
        let changed = records.0.newest.subscribe();
        let before = records.0.before;
        let (newest, had) = {
            let kept = records.0.kept.lock();
            // A reader that begins with the newest record knows exactly what it loses.
            let had = kept
                .rings
                .iter()
                .map(|ring| (after == kept.newest).then(|| ring.had(after)));
            (kept.newest, had.collect())
        };
        Self {
            records,
            selection,
            changed,
            // A number from the future can only come from a clock that was set back.
            after: after.clamp(before, newest),
            had,
            is_from_earlier_run: after < before,
        }
    }

    /// Waits for records or a loss, and returns them.
    pub(in crate::daemon) async fn next(&mut self) -> Batch {
        loop {
            self.changed.borrow_and_update();
            loop {
                let (batch, is_at_end) = self.look();
                if batch.loss.is_some() || !batch.records.is_empty() {
                    return batch;
                }
                if is_at_end {
                    break;
                }
                // Many records that the reader does not want.
                tokio::task::yield_now().await;
            }
            if self.changed.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// The number of the last record that the follower has seen.
    pub(in crate::daemon) fn position(&self) -> u64 {
        self.after
    }

    /// The next records, and whether the follower has seen all.
    fn look(&mut self) -> (Batch, bool) {
        let kept = self.records.0.kept.lock();
        let indices = kept.rings_of(&self.selection);
        self.had.resize(kept.rings.len(), None);
        let (mut dropped, mut found, mut horizon) = (0, Vec::new(), kept.newest);
        for &index in &indices {
            let ring = &kept.rings[index];
            dropped += ring.lost(self.after, self.had[index]);
            let from = ring.place_after(self.after);
            let looked_at = ring.records.range(from..).take(LOOKED_AT_MAX);
            found.extend(looked_at.filter(|record| self.selection.takes(record)).cloned());
            // Other rings must not run ahead of a ring with records that are left.
            if from + LOOKED_AT_MAX < ring.records.len() {
                horizon = horizon.min(ring.records[from + LOOKED_AT_MAX - 1].seq);
            }
        }
        for index in indices {
            self.had[index] = Some(kept.rings[index].had(horizon));
        }
        let is_at_end = horizon == kept.newest;
        drop(kept);
        self.after = horizon;
        found.retain(|record| record.seq <= horizon);
        found.sort_unstable_by_key(|record| record.seq);
        let loss = match std::mem::take(&mut self.is_from_earlier_run) {
            true => Some(Loss::Restarted),
            false => (dropped > 0).then_some(Loss::Dropped(dropped)),
        };
        let records = found;
        (Batch { loss, records }, is_at_end)
    }
}
