//! What a run did.

use std::{fmt, time::Duration};

use super::{Backend, seen::Seen, traffic::Done};

/// The figures of a run.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    pub(super) backend: Backend,
    pub(super) seed: u64,
    pub(super) took: Duration,
    /// How often nexum was started, and how often each way it ended.
    pub(super) starts: u64,
    pub(super) kills: u64,
    /// Kills before the first event was handled.
    pub(super) kills_at_start: u64,
    /// Processes that did not start, or ended, while the disk was full.
    pub(super) refusals: u64,
    pub(super) stops: u64,
    /// Events that were handled and committed, those among them that were taken back later.
    pub(super) events: u64,
    /// Transactions that were not written because the disk was full.
    pub(super) failed_writes: u64,
    pub(super) full_disks: u64,
    /// How often all was compared, and how much there was to compare the last time.
    pub(super) checks: u64,
    pub(super) blocks: u64,
    pub(super) keys: u64,
    pub(super) state_bytes: u64,
    pub(super) chain: Done,
}

impl Figures {
    pub(super) fn new(backend: Backend, seed: u64) -> Self {
        Self {
            backend,
            seed,
            took: Duration::ZERO,
            starts: 0,
            kills: 0,
            kills_at_start: 0,
            refusals: 0,
            stops: 0,
            events: 0,
            failed_writes: 0,
            full_disks: 0,
            checks: 0,
            blocks: 0,
            keys: 0,
            state_bytes: 0,
            chain: Done::default(),
        }
    }

    /// Adds what a process had said when it ended.
    pub(super) fn add(&mut self, seen: &Seen) {
        self.events += seen.handled;
        self.failed_writes += seen.failed_writes;
    }

    /// The figures in one line, for while it goes on.
    pub(super) fn brief(&self) -> String {
        format!(
            "{} kills, {} events, {} blocks, {} reorgs",
            self.kills, self.events, self.blocks, self.chain.reorgs
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.took.as_secs_f64() / 60.0;
        let mut row = |name: &str, value: String| writeln!(f, "{name:<32}{value:>14}");
        row("back-end", self.backend.name().to_owned())?;
        row("seed", self.seed.to_string())?;
        row("minutes", format!("{minutes:.1}"))?;
        row("starts", self.starts.to_string())?;
        row("kills", self.kills.to_string())?;
        row("kills before the first event", self.kills_at_start.to_string())?;
        row("stops in order", self.stops.to_string())?;
        row("events committed", self.events.to_string())?;
        row("blocks at the end", self.blocks.to_string())?;
        row("reorgs", self.chain.reorgs.to_string())?;
        row("deepest reorg", self.chain.deepest_reorg.to_string())?;
        row("times the disk was full", self.full_disks.to_string())?;
        row("transactions that found no room", self.failed_writes.to_string())?;
        row("ends for want of room", self.refusals.to_string())?;
        row("comparisons", self.checks.to_string())?;
        row("keys compared at the end", self.keys.to_string())?;
        row("bytes of state at the end", self.state_bytes.to_string())
    }
}
