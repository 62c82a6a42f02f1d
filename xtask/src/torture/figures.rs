//! The counts of a run.

use std::{fmt, time::Duration};

use super::{Backend, seen::Seen, traffic::Done};

/// The counts of a run.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    pub(super) backend: Backend,
    pub(super) seed: u64,
    pub(super) took: Duration,
    /// The starts of nexum, and below the ways in which the processes ended.
    pub(super) starts: u64,
    pub(super) kills: u64,
    /// Kills before the first handled event.
    pub(super) kills_at_start: u64,
    /// Processes that failed to start, or exited, because the disk was full.
    pub(super) refusals: u64,
    pub(super) stops: u64,
    /// Committed events, including the ones that a reorganisation rolled back later.
    pub(super) events: u64,
    /// Transactions that failed because the disk was full.
    pub(super) failed_writes: u64,
    pub(super) full_disks: u64,
    /// The number of comparisons, and the size of the last one.
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

    /// Adds the log of a process that ended.
    pub(super) fn add(&mut self, seen: &Seen) {
        self.events += seen.handled;
        self.failed_writes += seen.failed_writes;
    }

    /// The counts in one line, for the progress bar.
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
        row("clean stops", self.stops.to_string())?;
        row("events committed", self.events.to_string())?;
        row("blocks at the end", self.blocks.to_string())?;
        row("reorgs", self.chain.reorgs.to_string())?;
        row("deepest reorg", self.chain.deepest_reorg.to_string())?;
        row("times the disk was full", self.full_disks.to_string())?;
        row("reports of a store on a full disk", self.failed_writes.to_string())?;
        row("exits on a full disk", self.refusals.to_string())?;
        row("comparisons", self.checks.to_string())?;
        row("keys compared at the end", self.keys.to_string())?;
        row("bytes of state at the end", self.state_bytes.to_string())
    }
}
