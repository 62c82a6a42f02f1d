//! What happens when: all chance of a run comes from its seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How long a process lives on average, once it is started: about as long as it takes to catch up, so that it dies before,
/// while and after it does.
const LIFE_MEAN: Duration = Duration::from_millis(600);

/// How long one lives that is meant to die while it starts.
const START_MEAN: Duration = Duration::from_millis(60);

/// How long one lives on after it has caught up.
const CAUGHT_UP_MEAN: Duration = Duration::from_millis(150);

/// How long nothing happens on the chain between two bursts.
const PAUSE_MEAN: Duration = Duration::from_millis(120);

/// How many blocks a burst has at most, and how many logs a block.
const BURST_BLOCKS_MAX: u64 = 6;
const BLOCK_LOGS_MAX: usize = 4;

/// How many blocks most reorgs take back at most, and how many the others do.
const REORG_DEPTH_USUAL: u64 = 12;
const REORG_DEPTH_MAX: u64 = 100;

/// How many logs the blocks of a reorg have at most, all together; the first block always has one, so that it is another.
const REORG_LOGS_MAX: usize = 8;

/// Chances.
#[derive(Debug)]
pub(super) struct Schedule(StdRng);

/// When a process is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Life {
    /// Whether it is left to catch up first.
    pub(super) catch_up: bool,
    /// How long after that, or else after its start.
    pub(super) then: Duration,
}

/// What happens to the disk in one life of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DiskPlan {
    /// Whether there is room again before it starts, if there was none.
    pub(super) free_before: bool,
    /// Whether the disk fills up while it lives.
    pub(super) fill: bool,
    /// Whether there is room again after that, before it is killed.
    pub(super) free_after: bool,
}

/// What happens on the chain, before a pause.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Burst {
    /// How many logs each new block has.
    pub(super) blocks: Vec<usize>,
    pub(super) reorg: Option<Reorg>,
    pub(super) pause: Duration,
}

/// Blocks that are replaced by as many others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reorg {
    pub(super) depth: u64,
    /// In which of the new blocks, from 0, there is a log; one each.
    pub(super) logs: Vec<u64>,
}

impl Schedule {
    /// Two schedules of one seed, which do not disturb each other: that of the chain, and that of the processes.
    pub(super) fn pair(seed: u64) -> [Self; 2] {
        let mut first = StdRng::seed_from_u64(seed);
        let second = StdRng::from_rng(&mut first);
        [Self(first), Self(second)]
    }

    /// Another one, as this one will have it.
    pub(super) fn fork(&mut self) -> Self {
        Self(StdRng::from_rng(&mut self.0))
    }

    pub(super) fn life(&mut self) -> Life {
        let kind = self.0.random_range(0..10);
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
            free_before: self.0.random_bool(0.7),
            fill: self.0.random_bool(0.6),
            free_after: self.0.random_bool(0.5),
        }
    }

    pub(super) fn burst(&mut self) -> Burst {
        let blocks = self.0.random_range(1..=BURST_BLOCKS_MAX);
        let blocks = (0..blocks).map(|_| self.0.random_range(0..=BLOCK_LOGS_MAX)).collect();
        let reorg = self.0.random_bool(0.3).then(|| self.reorg());
        let pause = self.exponential(PAUSE_MEAN);
        Burst { blocks, reorg, pause }
    }

    fn reorg(&mut self) -> Reorg {
        let deepest = if self.0.random_bool(0.9) {
            REORG_DEPTH_USUAL
        } else {
            REORG_DEPTH_MAX
        };
        let depth = self.0.random_range(1..=deepest);
        let more = self.0.random_range(0..REORG_LOGS_MAX);
        let more = (0..more).map(|_| self.0.random_range(0..depth)).collect();
        let logs = [vec![0], more].concat();
        Reorg { depth, logs }
    }

    /// A duration that is as likely to end in each moment as in any other.
    fn exponential(&mut self, mean: Duration) -> Duration {
        let uniform: f64 = self.0.random();
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
