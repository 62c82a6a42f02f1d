//! A run, round after round.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    super::{
        CHAINS, canonical,
        canonical::Block,
        expected::{self, Kept},
        schedule::Schedule,
        site,
        traffic::{self, Traffic},
    },
    book::Book,
    checks,
    faults::{self, LEASE},
    figures::Figures,
    modules,
    scene::{LATE, NODES, Scene},
};
use crate::{
    anvil::{self, Anvil},
    cluster::{Cluster, Node, SCHEMA, Settings},
    process::pause,
};

/// The duration of the faults in a round.
const ROUND: Duration = Duration::from_secs(50);

/// The mean pause between two bursts on a chain: sixty modules share the machine with the chains.
const PAUSE_MEAN: Duration = Duration::from_secs(1);

/// The time after which the nodes move modules to a node with fewer. It is short, so that nodes which come back
/// get modules again.
const REBALANCE_AFTER: Duration = Duration::from_secs(2);

/// The time that the first node may take to own all modules, and the modules to catch up after the last
/// block: many times what they need on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The interval between comparisons while the modules catch up.
const COMPARE_EVERY: Duration = Duration::from_secs(1);

/// The number of old states that anvil keeps. The deepest reorganisation needs fewer.
const STATES_KEPT: &str = "256";

/// The chains on which last blocks are mined, in this order: the first two complete all rollbacks.
const LAST_BLOCKS: [usize; 3] = [0, 1, 0];

/// A run.
pub(super) struct Run {
    scene: Scene,
    book: Book,
    kept: PathBuf,
    directory: PathBuf,
    bar: ProgressBar,
    schedule: Schedule,
    chain_schedule: Schedule,
    /// None while the traffic runs.
    traffic: Option<[Traffic; CHAINS.len()]>,
    _anvils: [Anvil; CHAINS.len()],
}

impl Run {
    /// Starts the chains, the order book and the server. `programs` is cargo's output directory, `clock` the
    /// library with the backward clock.
    pub(super) fn new(seed: u64, programs: &Path, directory: &Path, clock: &Path) -> Result<Self> {
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
        let book = Book::start(programs, modules::traders(), modules::ORDERS)?;
        let body = modules::write(
            directory,
            &[anvils[0].ws_url(), anvils[1].http_url()],
            traffic.each_ref().map(Traffic::emitter),
            book.url(),
            book.orders(),
        )?;
        let cluster = Cluster::new(&Settings {
            nexum: programs.join("nexum"),
            directory,
            nodes: &NODES,
            lease_ttl: LEASE,
            rebalance_after: REBALANCE_AFTER,
            body: &body,
        })?;
        checks::record(&cluster.server)?;
        let [chain_schedule, schedule] = Schedule::pair(seed);
        Ok(Self {
            scene: Scene::new(cluster, clock, seed),
            book,
            kept: programs.join("examples/kept"),
            directory: directory.to_owned(),
            bar: ProgressBar::hidden(),
            schedule,
            chain_schedule: chain_schedule.with_pause(PAUSE_MEAN),
            traffic: Some(traffic),
            _anvils: anvils,
        })
    }

    pub(super) fn figures(&self) -> &Figures {
        &self.scene.figures
    }

    /// Runs rounds until the time is over.
    pub(super) fn run(&mut self, time: Duration) -> Result<()> {
        self.bar = ProgressBar::new(time.as_secs());
        self.bar
            .set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} s, {msg}")?);
        let begin = Instant::now();
        let outcome = self.rounds(begin, begin + time);
        self.scene.figures.took = begin.elapsed();
        self.bar.finish_and_clear();
        outcome
    }

    fn rounds(&mut self, begin: Instant, end: Instant) -> Result<()> {
        for node in 0..NODES.len() {
            self.scene.start(node, false)?;
        }
        let has_begun = self.scene.cluster.wait_until_owned(modules::all().len(), PATIENCE)?;
        ensure!(has_begun, "the nodes have not taken all modules");
        while Instant::now() < end {
            self.round(begin, end.min(Instant::now() + ROUND))?;
            self.bar.suspend(|| {
                let (at, figures) = (begin.elapsed().as_secs(), &self.scene.figures);
                println!(
                    "{at:>5} s  passed; so far {} faults, {} blocks, {} commits",
                    figures.faults(),
                    figures.blocks,
                    figures.commits
                );
            });
        }
        self.scene.stop_all()
    }

    fn round(&mut self, begin: Instant, end: Instant) -> Result<()> {
        let Some(traffic) = self.traffic.take() else {
            bail!("the traffic of the chains has failed");
        };
        let traffic = traffic.map(|traffic| traffic.start(self.chain_schedule.fork()));
        while Instant::now() < end {
            let plan = faults::next(&mut self.schedule, NODES.len());
            self.scene.wait(plan.gap)?;
            self.scene.begin(plan)?;
            self.bar.set_position(begin.elapsed().as_secs());
            self.bar.set_message(plan.fault.name());
        }
        self.scene.finish_all()?;
        let [first, other] = traffic.map(traffic::Running::stop);
        let mut traffic = [first?, other?];
        for chain in LAST_BLOCKS {
            traffic[chain].mine_last()?;
        }
        self.scene.figures.chain = traffic[0].done().and(traffic[1].done());
        let blocks = |traffic: &Traffic| canonical::read(traffic.rpc(), traffic.emitter(), traffic.head()?);
        let blocks = [blocks(&traffic[0])?, blocks(&traffic[1])?];
        self.traffic = Some(traffic);
        self.settle([&blocks[0], &blocks[1]])?;
        self.check([&blocks[0], &blocks[1]])
    }

    /// Waits until each module has the state of the chains, and nothing changes it any more.
    fn settle(&mut self, blocks: [&[Block]; CHAINS.len()]) -> Result<()> {
        let expected = modules::expected(blocks);
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.scene.cluster.check()?;
            let outcome = expected::compare(&self.kept(blocks[0])?, &expected);
            let Err(difference) = outcome else { break };
            ensure!(Instant::now() < deadline, "{difference}");
            pause(COMPARE_EVERY)?;
        }
        pause(LATE)?;
        let kept = self.kept(blocks[0])?;
        if let Err(difference) = expected::compare(&kept, &expected) {
            bail!("a late change: {difference}");
        }
        self.scene.figures.blocks = blocks.iter().map(|blocks| blocks.len() as u64).sum();
        self.scene.figures.keys = kept.values().map(|keys| keys.len() as u64).sum();
        Ok(())
    }

    /// Checks the order book, the owners, the recorder and the history.
    fn check(&mut self, blocks: [&[Block]; CHAINS.len()]) -> Result<()> {
        let head = blocks[0].last().context("the chain has no blocks")?.number;
        let due = modules::orders_due(head);
        let deadline = Instant::now() + PATIENCE;
        let counts = loop {
            let counts = self.book.counts()?;
            let outcome = checks::judge_orders(&counts, due);
            if outcome.is_ok() || Instant::now() >= deadline {
                outcome?;
                break counts;
            }
            pause(COMPARE_EVERY)?;
        };
        let all = modules::all().len();
        let are_owned = self.scene.cluster.wait_until_owned(all, PATIENCE)?;
        let owners = checks::owners(&self.scene.cluster.server)?;
        ensure!(are_owned, "live nodes do not own all {all} modules: {owners:?}");
        self.check_runners()?;
        let reigns = checks::reigns(&self.scene.cluster.server)?;
        checks::judge_reigns(&reigns)?;
        let changes = self.scene.cluster.history()?;
        checks::judge_history(&changes)?;
        self.scene.note_takeovers(&changes);
        self.scene.figures.commits = reigns.iter().map(|reign| reign.commits).sum();
        self.scene.figures.ownerships = reigns.len();
        self.scene.figures.orders = counts.iter().flatten().map(|counts| counts.stored).sum();
        self.scene.figures.posts = counts.iter().flatten().map(|counts| counts.posts).sum();
        self.scene.figures.checks += 1;
        Ok(())
    }

    /// Waits until each module runs in one process.
    fn check_runners(&mut self) -> Result<()> {
        let names: Vec<String> = modules::all().into_iter().map(|(name, _)| name).collect();
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.scene.cluster.check()?;
            let running: Result<Vec<_>> = self.scene.cluster.nodes.iter().map(Node::running).collect();
            let outcome = checks::judge_runners(&names, &running?);
            if outcome.is_ok() || Instant::now() >= deadline {
                return outcome;
            }
            pause(COMPARE_EVERY)?;
        }
    }

    /// The state of all modules, from the rows of the database at one moment.
    fn kept(&self, first: &[Block]) -> Result<Kept> {
        let names: Vec<String> = modules::all().into_iter().map(|(name, _)| name).collect();
        let kept = site::parse(&self.scene.cluster.kept(&self.kept, &names)?)?;
        Ok(modules::untangled(kept, first))
    }

    /// Writes the tables beside the logs, for the investigation of a failure.
    pub(super) fn keep_database(&self) {
        for table in [
            "nexum_history",
            "nexum_group",
            "nexum_node",
            "nexum_fence",
            "torture_commit",
        ] {
            let text = self
                .scene
                .cluster
                .server
                .text(&format!("SELECT * FROM {SCHEMA}.{table}"));
            // The failure itself is more important.
            let _ = text.map(|text| fs::write(self.directory.join(table).with_extension("tsv"), text));
        }
    }
}
