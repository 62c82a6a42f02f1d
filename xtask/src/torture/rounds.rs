//! A run with one back-end, round after round.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    Backend, CHAINS, canonical, clock,
    disk::{self, SmallDisk},
    expected::{self, BOTH},
    figures::Figures,
    schedule::Schedule,
    seen::Seen,
    site::Site,
    traffic::{self, Traffic},
};
use crate::{
    anvil::{self, Anvil},
    nexum::{End, Nexum},
    process::pause,
    rpc::Rpc,
};

/// The duration of the kills in a round. It is long enough for tens of kills, and short enough for
/// rounds of every kind within two minutes.
const ROUND: Duration = Duration::from_secs(20);

/// The kinds of rounds, in their order.
const ROUNDS: [Kind; 4] = [Kind::Plain, Kind::FullDisk, Kind::ClockBack, Kind::Plain];

/// The time that modules may take to catch up after the last block: many times what they need on a
/// busy machine. After a full disk, a module may wait thirty seconds before its next attempt.
const SETTLE_PATIENCE: Duration = Duration::from_secs(120);

/// The time that a process may take to catch up before a kill.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(15);

/// The time that the disk stays full under a process that must recover.
const OUTAGE: Duration = Duration::from_millis(1_500);

/// The number of old states that anvil keeps. The deepest reorganisation needs fewer.
const STATES_KEPT: &str = "256";

/// The events that each module handles in the last block of each chain. That block has a log.
const LAST_EVENTS: [&[(&str, u64)]; CHAINS.len()] = [
    &[("counter", 1), ("log-sum", 1), ("journal", 2), (BOTH, 2)],
    &[(BOTH, 2)],
];

/// The chains on which last blocks are mined, in this order. When the modules have handled the
/// first block, all rollbacks on the first chain are complete. The second block completes the
/// rollbacks on the second chain. These can also roll back events of the first chain, which nexum
/// delivers again before the third block.
const LAST_BLOCKS: [usize; 3] = [0, 1, 0];

/// The disturbance in a round.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    FullDisk,
    ClockBack,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "kills",
            Self::FullDisk => "kills, full disk",
            Self::ClockBack => "kills, clock set back",
        }
    }
}

/// A run.
pub(super) struct Torture {
    site: Site,
    figures: Figures,
    bar: ProgressBar,
    schedule: Schedule,
    chain_schedule: Schedule,
    /// None while the traffic runs.
    traffic: Option<[Traffic; CHAINS.len()]>,
    /// The first chain's node.
    rpc: Rpc,
    clock: PathBuf,
    full_disk: bool,
    _anvils: [Anvil; CHAINS.len()],
}

impl Torture {
    /// Starts the chains and prepares a directory. `programs` is cargo's output directory, `clock`
    /// the library with the backward clock.
    pub(super) fn new(backend: Backend, seed: u64, programs: &Path, clock: &Path, full_disk: bool) -> Result<Self> {
        let start = |chain, gas_limit| {
            let arguments = ["--no-mining", "--prune-history", STATES_KEPT, "--gas-limit", gas_limit];
            anvil::start_chain(chain, &arguments)
        };
        // With equal gas limits, chains that begin in one second would have equal first blocks.
        let anvils = [start(CHAINS[0], "30000000")?, start(CHAINS[1], "30000001")?];
        let traffic = [
            Traffic::deploy(&anvils[0].http_url())?,
            Traffic::deploy(&anvils[1].http_url())?,
        ];
        let [chain_schedule, schedule] = Schedule::pair(seed);
        Ok(Self {
            site: Site::new(backend, programs, &anvils, traffic.each_ref().map(Traffic::emitter))?,
            figures: Figures::new(backend, seed),
            bar: ProgressBar::hidden(),
            schedule,
            chain_schedule,
            rpc: traffic[0].rpc().clone(),
            traffic: Some(traffic),
            clock: clock.to_owned(),
            full_disk,
            _anvils: anvils,
        })
    }

    pub(super) fn figures(&self) -> &Figures {
        &self.figures
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// Deletes the files of a successful run.
    pub(super) fn remove(self) -> Result<()> {
        self.site.remove()
    }

    /// Runs rounds of each kind until the time is over.
    pub(super) fn run(&mut self, time: Duration) -> Result<()> {
        println!("{}, seed {}", self.figures.backend.name(), self.figures.seed);
        self.bar = ProgressBar::new(time.as_secs());
        self.bar
            .set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} s, {msg}")?);
        let begin = Instant::now();
        let outcome = self.rounds(begin, begin + time);
        self.figures.took = begin.elapsed();
        self.bar.finish_and_clear();
        outcome
    }

    fn rounds(&mut self, begin: Instant, end: Instant) -> Result<()> {
        let kinds = ROUNDS.iter().cycle().copied();
        let full_disk = self.full_disk;
        for kind in kinds.filter(|kind| full_disk || *kind != Kind::FullDisk) {
            self.round(kind, begin, end.min(Instant::now() + ROUND))?;
            self.bar.suspend(|| {
                let at = begin.elapsed().as_secs();
                println!(
                    "{at:>5} s  {:<22}  passed; so far {}",
                    kind.name(),
                    self.figures.brief()
                );
            });
            if Instant::now() >= end {
                break;
            }
        }
        Ok(())
    }

    fn round(&mut self, kind: Kind, begin: Instant, end: Instant) -> Result<()> {
        let Some(traffic) = self.traffic.take() else {
            bail!("the traffic of the chains has failed");
        };
        let disk = (kind == Kind::FullDisk).then(|| SmallDisk::over(&self.site.state()));
        let mut disk = disk.transpose()?;
        let traffic = traffic.map(|traffic| traffic.start(self.chain_schedule.fork()));
        while Instant::now() < end {
            self.life(kind, disk.as_mut())?;
            self.bar.set_position(begin.elapsed().as_secs());
            self.bar.set_message(self.figures.brief());
        }
        self.settle(kind, disk.as_mut(), traffic)?;
        disk.map_or(Ok(()), SmallDisk::put_back)?;
        self.check()
    }

    /// Starts a process and kills it.
    fn life(&mut self, kind: Kind, disk: Option<&mut SmallDisk>) -> Result<()> {
        let life = self.schedule.life();
        let mut was_full = false;
        let (end, seen) = match disk {
            None => {
                let mut nexum = self.start(kind)?;
                if life.catch_up {
                    self.catch_up(&mut nexum)?;
                }
                pause(life.then)?;
                nexum.kill()?
            }
            Some(disk) => {
                let plan = self.schedule.disk();
                if plan.free_before {
                    disk.free()?;
                }
                was_full = plan.fill || disk.is_full();
                let mut nexum = self.start(kind)?;
                if life.catch_up && !disk.is_full() {
                    self.catch_up(&mut nexum)?;
                }
                pause(life.then / 2)?;
                if plan.fill {
                    self.fill(disk)?;
                    pause(life.then / 2)?;
                }
                if plan.free_after {
                    disk.free()?;
                }
                pause(life.then / 2)?;
                nexum.kill()?
            }
        };
        self.figures.add(&seen);
        match end {
            End::Killed => {
                self.figures.kills += 1;
                self.figures.kills_at_start += u64::from(seen.handled == 0);
            }
            End::ByItself(_) if was_full => self.figures.refusals += 1,
            End::ByItself(status) => bail!("nexum exited early with {status}"),
        }
        Ok(())
    }

    /// Starts a last process, lets it catch up with the stopped chains, and stops it cleanly.
    fn settle(
        &mut self,
        kind: Kind,
        disk: Option<&mut SmallDisk>,
        traffic: [traffic::Running; CHAINS.len()],
    ) -> Result<()> {
        let mut nexum = match disk {
            None => self.start(kind)?,
            Some(disk) => {
                disk.free()?;
                let mut nexum = self.start(kind)?;
                self.catch_up(&mut nexum)?;
                self.fill(disk)?;
                pause(OUTAGE)?;
                disk.free()?;
                nexum
            }
        };
        let [first, other] = traffic.map(traffic::Running::stop);
        let mut traffic = [first?, other?];
        for chain in LAST_BLOCKS {
            let last = traffic[chain].mine_last()?;
            let has_handled = |seen: &Seen| seen.has_handled(CHAINS[chain], last, LAST_EVENTS[chain]);
            let is_done = nexum.wait_until(has_handled, SETTLE_PATIENCE)?;
            ensure!(
                is_done,
                "the modules have not handled block {last}, the last of chain {}",
                CHAINS[chain]
            );
        }
        self.figures.chain = traffic[0].done().and(traffic[1].done());
        self.traffic = Some(traffic);
        self.figures.add(&nexum.stop()?);
        self.figures.stops += 1;
        Ok(())
    }

    /// Compares the modules' state with the chains.
    fn check(&mut self) -> Result<()> {
        let Some(traffic) = &self.traffic else {
            bail!("the traffic of the chains has failed");
        };
        let blocks = |traffic: &Traffic| canonical::read(traffic.rpc(), traffic.emitter(), traffic.head()?);
        let blocks = [blocks(&traffic[0])?, blocks(&traffic[1])?];
        let kept = expected::untangled(self.site.kept()?, &blocks[0]);
        self.figures.blocks = blocks.iter().map(|blocks| blocks.len() as u64).sum();
        self.figures.keys = kept.values().map(|keys| keys.len() as u64).sum();
        self.figures.state_bytes = disk::bytes_of(&self.site.state())?;
        if let Err(difference) = expected::compare(&kept, &expected::of(blocks.each_ref().map(Vec::as_slice))) {
            bail!("{difference}");
        }
        self.figures.checks += 1;
        self.site.forget_log()
    }

    /// Starts a process, alternately over WebSocket and over HTTP.
    fn start(&mut self, kind: Kind) -> Result<Nexum<Seen>> {
        let [ws, http] = self.site.configs();
        let config = if self.figures.starts.is_multiple_of(2) {
            ws
        } else {
            http
        };
        self.figures.starts += 1;
        let preload = (clock::PRELOAD, self.clock.as_path());
        let environment = if kind == Kind::ClockBack { &[preload][..] } else { &[] };
        Nexum::start(&self.site.program(), &config, &self.site.log(), environment)
    }

    /// Waits until a process has reached the current head of the first chain, or for
    /// [`CATCH_UP_PATIENCE`].
    fn catch_up(&self, nexum: &mut Nexum<Seen>) -> Result<()> {
        let head = traffic::head(&self.rpc)?;
        nexum
            .wait_until(|seen| seen.has_reached(CHAINS[0], head), CATCH_UP_PATIENCE)
            .map(drop)
    }

    fn fill(&mut self, disk: &mut SmallDisk) -> Result<()> {
        self.figures.full_disks += u64::from(!disk.is_full());
        disk.fill()
    }
}
