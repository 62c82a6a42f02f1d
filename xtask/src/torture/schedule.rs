//! The random schedule of a run. It depends only on the seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The mean lifetime of a process. It is about the time to catch up, so that kills occur before,
/// during and after that.
const LIFE_MEAN: Duration = Duration::from_millis(600);

/// The mean lifetime of a process that is killed during its start.
const START_MEAN: Duration = Duration::from_millis(60);

/// The mean lifetime of a process after it has caught up.
const CAUGHT_UP_MEAN: Duration = Duration::from_millis(150);

/// The mean pause between two bursts on a chain.
const PAUSE_MEAN: Duration = Duration::from_millis(120);

/// The most blocks in a burst, and the most logs in a block.
const BURST_BLOCKS_MAX: u64 = 6;
const BLOCK_LOGS_MAX: usize = 4;

/// The greatest depth of most reorganisations, and of the others.
const REORG_DEPTH_USUAL: u64 = 12;
const REORG_DEPTH_MAX: u64 = 100;

/// The most logs in the blocks of a reorganisation. The first block always has one, so that its
/// hash differs from the replaced block's.
const REORG_LOGS_MAX: usize = 8;

/// A source of random decisions.
#[derive(Debug)]
pub(super) struct Schedule {
    random: StdRng,
    /// The mean pause between two bursts on a chain.
    pause_mean: Duration,
}

/// When a process is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Life {
    /// Whether the process catches up first.
    pub(super) catch_up: bool,
    /// The time from there, or from the start, to the kill.
    pub(super) then: Duration,
}

/// Changes to the disk during the lifetime of one process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DiskPlan {
    /// Whether a full disk is freed before the start.
    pub(super) free_before: bool,
    /// Whether the disk is filled while the process runs.
    pub(super) fill: bool,
    /// Whether the disk is freed again before the kill.
    pub(super) free_after: bool,
}

/// Changes to a chain before a pause.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Burst {
    /// The number of logs in each new block.
    pub(super) blocks: Vec<usize>,
    pub(super) reorg: Option<Reorg>,
    pub(super) pause: Duration,
}

/// Blocks that as many other blocks replace.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reorg {
    pub(super) depth: u64,
    /// The indices of the new blocks with a log, from 0. Each entry is one log.
    pub(super) logs: Vec<u64>,
}

impl Schedule {
    /// Two independent schedules from one seed: for the chain and for the processes.
    pub(super) fn pair(seed: u64) -> [Self; 2] {
        let mut first = StdRng::seed_from_u64(seed);
        let second = StdRng::from_rng(&mut first);
        [first, second].map(|random| Self {
            random,
            pause_mean: PAUSE_MEAN,
        })
    }

    /// The schedule with this mean pause between two bursts on a chain.
    pub(super) fn with_pause(self, pause_mean: Duration) -> Self {
        Self { pause_mean, ..self }
    }

    /// A new schedule with a seed from this one.
    pub(super) fn fork(&mut self) -> Self {
        Self {
            random: StdRng::from_rng(&mut self.random),
            pause_mean: self.pause_mean,
        }
    }

    pub(super) fn life(&mut self) -> Life {
        let kind = self.random.random_range(0..10);
        Life {
            catch_up: kind < 3,
            then: self.exponential(match kind {
                0..3 => CAUGHT_UP_MEAN,
                3..5 => START_MEAN,
                _ => LIFE_MEAN,
            }),
        }
    }

    pub(super) fn disk(&mut self) -> DiskPlan {
        DiskPlan {
            free_before: self.random.random_bool(0.7),
            fill: self.random.random_bool(0.6),
            free_after: self.random.random_bool(0.5),
        }
    }

    pub(super) fn burst(&mut self) -> Burst {
        let blocks = self.random.random_range(1..=BURST_BLOCKS_MAX);
        let blocks = (0..blocks)
            .map(|_| self.random.random_range(0..=BLOCK_LOGS_MAX))
            .collect();
        let reorg = self.random.random_bool(0.3).then(|| self.reorg());
        let pause = self.exponential(self.pause_mean);
        Burst { blocks, reorg, pause }
    }

    fn reorg(&mut self) -> Reorg {
        let deepest = if self.random.random_bool(0.9) {
            REORG_DEPTH_USUAL
        } else {
            REORG_DEPTH_MAX
        };
        let depth = self.random.random_range(1..=deepest);
        let more = self.random.random_range(0..REORG_LOGS_MAX);
        let more = (0..more).map(|_| self.random.random_range(0..depth)).collect();
        let logs = [vec![0], more].concat();
        Reorg { depth, logs }
    }

    /// The generator, for decisions of other kinds.
    pub(super) fn random(&mut self) -> &mut StdRng {
        &mut self.random
    }

    /// A random duration with an exponential distribution.
    pub(super) fn exponential(&mut self, mean: Duration) -> Duration {
        let uniform: f64 = self.random.random();
        mean.mul_f64(-(1.0 - uniform).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happenings(seed: u64) -> (Vec<Burst>, Vec<Life>) {
        let [mut chain, mut processes] = Schedule::pair(seed);
        let bursts = (0..500).map(|_| chain.burst()).collect();
        (bursts, (0..500).map(|_| processes.life()).collect())
    }

    #[test]
    fn a_seed_has_one_schedule() {
        assert_eq!(happenings(7), happenings(7));
        assert_ne!(happenings(7), happenings(8));
    }

    #[test]
    fn has_everything_in_it() {
        let (bursts, lives) = happenings(1);
        let depths: Vec<_> = bursts
            .iter()
            .flat_map(|burst| &burst.reorg)
            .map(|reorg| reorg.depth)
            .collect();
        assert!(depths.contains(&1) && depths.iter().any(|depth| *depth > REORG_DEPTH_USUAL));
        assert!(depths.iter().all(|depth| (1..=REORG_DEPTH_MAX).contains(depth)));
        let mean = lives.iter().map(|life| life.then).sum::<Duration>() / 500;
        assert!(mean < Duration::from_secs(1), "{mean:?}");
        assert!(lives.iter().any(|life| life.catch_up) && lives.iter().any(|life| !life.catch_up));
    }
}
