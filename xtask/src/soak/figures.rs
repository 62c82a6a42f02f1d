//! The measurements of a soak.

use anyhow::{Result, ensure};

use super::seen::Seen;

/// The largest ratio of the good modules' latency beside the bad modules to their latency alone.
const LATENCY_RATIO_MAX: f64 = 2.0;

/// Latencies below this count as equal. Other processes on the machine can add this much.
const LATENCY_FLOOR_US: f64 = 5_000.0;

/// The largest growth of the process from the second quarter of a run to the last. An allocator
/// alone causes less, with log records that take more memory than their size.
const GROWTH_MAX: f64 = 1.20;

/// The measurements of one part of a soak.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// The memory of the process after each block.
    pub(super) memory_kib: Vec<u64>,
    /// The number of reloads and restarts.
    pub(super) steered: u64,
    /// The number of journal entries that were compared with the chain.
    pub(super) compared: usize,
    blocks: usize,
    failures: u64,
    trips: u64,
    /// The time from the request to mine a block to the commit of a module's event, sorted.
    latencies_us: Vec<u64>,
}

impl Figures {
    /// Adds the log's counts. `mined` has the time of each block, from block 1 on.
    pub(super) fn take(&mut self, seen: &Seen, mined: &[u64]) {
        self.blocks = mined.len();
        self.failures = seen.failures();
        self.trips = seen.trips.values().sum();
        let latency = |(block, at_us): &(u64, u64)| {
            let index = usize::try_from(block.checked_sub(1)?).ok()?;
            Some(at_us.saturating_sub(*mined.get(index)?))
        };
        self.latencies_us = seen.handled.iter().filter_map(latency).collect();
        self.latencies_us.sort_unstable();
    }

    fn latency_us(&self, per_thousand: usize) -> u64 {
        let last = self.latencies_us.len().saturating_sub(1);
        let index = (self.latencies_us.len() * per_thousand / 1_000).min(last);
        self.latencies_us.get(index).copied().unwrap_or_default()
    }

    /// The least memory in the second quarter and in the last one. The minimum excludes the memory
    /// that guests use only during an event.
    fn memory(&self) -> (u64, u64) {
        let quarter = self.memory_kib.len() / 4;
        let least = |samples: &[u64]| samples.iter().min().copied().unwrap_or_default();
        let last = self.memory_kib.len() - quarter;
        (
            least(&self.memory_kib[quarter..2 * quarter]),
            least(&self.memory_kib[last..]),
        )
    }
}

/// Fails if the bad modules slow down the good ones.
pub(super) fn judge_latency(alone: &Figures, together: &Figures) -> Result<()> {
    let (before, after) = (alone.latency_us(990) as f64, together.latency_us(990) as f64);
    ensure!(
        after <= (before * LATENCY_RATIO_MAX).max(LATENCY_FLOOR_US),
        "the 99th percentile of the latency is {after} us beside bad modules, and {before} us alone"
    );
    Ok(())
}

/// Fails if the process has grown.
pub(super) fn judge_memory(together: &Figures) -> Result<()> {
    let (early, late) = together.memory();
    ensure!(
        late as f64 <= early as f64 * GROWTH_MAX,
        "the process has grown from {early} KiB to {late} KiB"
    );
    Ok(())
}

/// A table with both parts.
pub(super) fn table(alone: &Figures, together: &Figures) -> String {
    let row =
        |name: &str, of: &dyn Fn(&Figures) -> String| format!("{name:<46}{:>14}{:>14}\n", of(alone), of(together));
    let ms = |us: u64| format!("{:.2} ms", us as f64 / 1e3);
    [
        format!("{:<46}{:>14}{:>14}\n", "", "alone", "together"),
        row("blocks", &|figures| figures.blocks.to_string()),
        row("events of good modules", &|figures| {
            figures.latencies_us.len().to_string()
        }),
        row("journal entries that match the chain", &|figures| {
            figures.compared.to_string()
        }),
        row("failures of bad modules", &|figures| figures.failures.to_string()),
        row("exceeded limits", &|figures| figures.trips.to_string()),
        row("reloads and restarts", &|figures| figures.steered.to_string()),
        row("mined to committed, median", &|figures| ms(figures.latency_us(500))),
        row("mined to committed, 99th percentile", &|figures| {
            ms(figures.latency_us(990))
        }),
        row("mined to committed, worst", &|figures| ms(figures.latency_us(1_000))),
        row("least memory without records, second quarter", &|figures| {
            format!("{} KiB", figures.memory().0)
        }),
        row("least memory without records, last quarter", &|figures| {
            format!("{} KiB", figures.memory().1)
        }),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(latency_us: u64, memory_kib: &[u64]) -> Figures {
        Figures {
            latencies_us: vec![latency_us; 100],
            memory_kib: memory_kib.to_vec(),
            ..Figures::default()
        }
    }

    #[test]
    fn bad_company_and_growth_are_noticed() {
        let alone = with(10_000, &[100; 8]);
        assert!(judge_latency(&alone, &with(19_000, &[])).is_ok());
        assert!(judge_latency(&alone, &with(21_000, &[])).is_err());
        assert!(judge_latency(&with(100, &[]), &with(4_000, &[])).is_ok());
        assert!(judge_memory(&with(1, &[90, 100, 100, 300, 100, 100, 300, 120])).is_ok());
        assert!(judge_memory(&with(1, &[90, 100, 100, 300, 100, 100, 121, 300])).is_err());
    }
}
