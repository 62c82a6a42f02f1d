//! A run, round after round.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    super::{
        CHAINS, canonical,
        canonical::Block,
        clock,
        expected::{self, Kept},
        schedule::Schedule,
        seen::Seen,
        site,
        traffic::{self, Traffic},
    },
    book::Book,
    checks,
    faults::{self, Fault, LEASE, Plan},
    figures::{Figures, Loss},
    modules,
};
use crate::{
    anvil::{self, Anvil},
    cluster::{Cluster, SCHEMA, Settings},
    process::pause,
};

/// The names of the nodes.
const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];

/// The duration of the faults in a round.
const ROUND: Duration = Duration::from_secs(50);

/// The mean pause between two bursts on a chain: sixty modules share the machine with the chains.
const PAUSE_MEAN: Duration = Duration::from_secs(1);

/// The time after which the nodes move modules to a node with fewer. It is short, so that nodes which come back
/// get modules again.
const REBALANCE_AFTER: Duration = Duration::from_secs(2);

/// The most nodes that are under a fault at the same time: one goes on.
const AFFECTED_MAX: usize = 2;

/// The time that the first node may take to own all modules, and the modules to catch up after the last
/// block: many times what they need on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The interval between comparisons while the modules catch up.
const COMPARE_EVERY: Duration = Duration::from_secs(1);

/// The time after the faults in which a late writer would show itself: longer than a lease.
const LATE: Duration = Duration::from_secs(3);

/// The number of old states that anvil keeps. The deepest reorganisation needs fewer.
const STATES_KEPT: &str = "256";

/// The chains on which last blocks are mined, in this order: the first two complete all rollbacks.
const LAST_BLOCKS: [usize; 3] = [0, 1, 0];

/// A run.
pub(super) struct Run {
    cluster: Cluster<Seen>,
    book: Book,
    kept: PathBuf,
    directory: PathBuf,
    clock: PathBuf,
    figures: Figures,
    bar: ProgressBar,
    schedule: Schedule,
    chain_schedule: Schedule,
    /// None while the traffic runs.
    traffic: Option<[Traffic; CHAINS.len()]>,
    ongoing: Vec<Ongoing>,
    losses: Vec<Loss>,
    _anvils: [Anvil; CHAINS.len()],
}

/// A fault that has not ended.
struct Ongoing {
    plan: Plan,
    until: Instant,
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
            cluster,
            book,
            kept: programs.join("examples/kept"),
            directory: directory.to_owned(),
            clock: clock.to_owned(),
            figures: Figures {
                seed,
                ..Figures::default()
            },
            bar: ProgressBar::hidden(),
            schedule,
            chain_schedule: chain_schedule.with_pause(PAUSE_MEAN),
            traffic: Some(traffic),
            ongoing: Vec::new(),
            losses: Vec::new(),
            _anvils: anvils,
        })
    }

    pub(super) fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Runs rounds until the time is over.
    pub(super) fn run(&mut self, time: Duration) -> Result<()> {
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
        for node in 0..NODES.len() {
            self.start(node, false)?;
        }
        let has_begun = self.cluster.wait_until_owned(modules::all().len(), PATIENCE)?;
        ensure!(has_begun, "the nodes have not taken all modules");
        while Instant::now() < end {
            self.round(begin, end.min(Instant::now() + ROUND))?;
            self.bar.suspend(|| {
                let (at, figures) = (begin.elapsed().as_secs(), &self.figures);
                println!(
                    "{at:>5} s  passed; so far {} faults, {} blocks, {} commits",
                    figures.faults(),
                    figures.blocks,
                    figures.commits
                );
            });
        }
        for node in &mut self.cluster.nodes {
            self.figures.add(&node.stop()?);
        }
        Ok(())
    }

    fn round(&mut self, begin: Instant, end: Instant) -> Result<()> {
        let Some(traffic) = self.traffic.take() else {
            bail!("the traffic of the chains has failed");
        };
        let traffic = traffic.map(|traffic| traffic.start(self.chain_schedule.fork()));
        while Instant::now() < end {
            let plan = faults::next(&mut self.schedule, NODES.len());
            self.wait(plan.gap)?;
            self.begin(plan)?;
            self.bar.set_position(begin.elapsed().as_secs());
            self.bar.set_message(format!("{}", plan.fault.name()));
        }
        while let Some(ongoing) = self.ongoing.pop() {
            self.finish(ongoing.plan)?;
        }
        let [first, other] = traffic.map(traffic::Running::stop);
        let mut traffic = [first?, other?];
        for chain in LAST_BLOCKS {
            traffic[chain].mine_last()?;
        }
        self.figures.chain = traffic[0].done().and(traffic[1].done());
        let blocks = |traffic: &Traffic| canonical::read(traffic.rpc(), traffic.emitter(), traffic.head()?);
        let blocks = [blocks(&traffic[0])?, blocks(&traffic[1])?];
        self.traffic = Some(traffic);
        self.settle([&blocks[0], &blocks[1]])?;
        self.check([&blocks[0], &blocks[1]])
    }

    /// Waits, and ends the faults whose time is over.
    fn wait(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            let now = Instant::now();
            while let Some(index) = self.ongoing.iter().position(|ongoing| ongoing.until <= now) {
                let over = self.ongoing.swap_remove(index);
                self.finish(over.plan)?;
            }
            self.cluster.check()?;
            let next = self.ongoing.iter().map(|ongoing| ongoing.until).min();
            let until = next.map_or(end, |next| next.min(end));
            if Instant::now() >= end {
                return Ok(());
            }
            pause(until.saturating_duration_since(Instant::now()))?;
        }
    }

    /// Begins a fault, unless it would affect the last good node.
    fn begin(&mut self, plan: Plan) -> Result<()> {
        let is_of_node = !matches!(plan.fault, Fault::Database(_) | Fault::Connections(_));
        let is_affected = self.ongoing.iter().any(|ongoing| ongoing.plan.node == plan.node);
        if is_of_node && (is_affected || self.ongoing.len() >= AFFECTED_MAX) {
            return Ok(());
        }
        let name = NODES[plan.node];
        let mut groups = Vec::new();
        if is_of_node {
            groups = self.cluster.owned_by(name)?;
        }
        let at = now();
        match plan.fault {
            Fault::Kill => {
                let seen = self.cluster.nodes[plan.node].kill()?;
                self.figures.add(&seen);
            }
            Fault::Stop => {
                let seen = self.cluster.nodes[plan.node].stop()?;
                self.figures.add(&seen);
            }
            Fault::Pause => self.cluster.nodes[plan.node].pause()?,
            Fault::Cut { way, .. } => self.cluster.nodes[plan.node].link.cut(way),
            Fault::Drain => drop(self.cluster.command(&["drain", name])?),
            Fault::Move => groups = self.move_one(plan)?,
            Fault::Database(stop) => {
                self.cluster.restart_server(stop, plan.lasts)?;
                let seconds = self.first_commit(now())?;
                self.figures.note(plan.fault.name(), seconds);
            }
            Fault::Connections(count) => self.end_connections(count)?,
        }
        if is_of_node {
            self.losses.push(Loss {
                fault: plan.fault.name(),
                at,
                until: at + (plan.lasts + 2 * LEASE + LATE).as_secs_f64(),
                groups,
            });
            if plan.fault != Fault::Move {
                let until = Instant::now() + plan.lasts;
                self.ongoing.push(Ongoing { plan, until });
            }
        }
        Ok(())
    }

    /// Ends a fault.
    fn finish(&mut self, plan: Plan) -> Result<()> {
        match plan.fault {
            Fault::Kill | Fault::Stop => self.start(plan.node, plan.clock_back),
            Fault::Pause => self.cluster.nodes[plan.node].go_on(),
            Fault::Cut { heal, .. } => {
                self.cluster.nodes[plan.node].link.heal(heal);
                Ok(())
            }
            Fault::Drain => self.cluster.command(&["drain", NODES[plan.node], "--undo"]).map(drop),
            Fault::Move | Fault::Database(_) | Fault::Connections(_) => Ok(()),
        }
    }

    fn start(&mut self, node: usize, clock_back: bool) -> Result<()> {
        self.figures.starts += 1;
        let preload = (clock::PRELOAD, self.clock.as_path());
        let environment = if clock_back { &[preload][..] } else { &[] };
        self.cluster.nodes[node].start(environment)
    }

    /// Moves a module of another node to the node of the plan.
    fn move_one(&self, plan: Plan) -> Result<Vec<String>> {
        let all = modules::all();
        let (group, _) = &all[plan.choice % all.len()];
        self.cluster.command(&["move", group, NODES[plan.node]])?;
        Ok(vec![group.clone()])
    }

    /// The seconds from a time to the next commit; none if there was none for a while.
    fn first_commit(&self, from: f64) -> Result<Option<f64>> {
        let first =
            format!("SELECT extract(epoch FROM min(at)) FROM {SCHEMA}.torture_commit WHERE at > to_timestamp({from})");
        let deadline = Instant::now() + LATE;
        while Instant::now() < deadline {
            let rows = self.cluster.server.query(&first)?;
            if let Some(at) = rows.first().and_then(|row| row.first()).filter(|at| !at.is_empty()) {
                return Ok(Some(at.parse::<f64>()? - from));
            }
            pause(Duration::from_millis(50))?;
        }
        Ok(None)
    }

    /// Ends connections of the nodes, chosen by the server.
    fn end_connections(&mut self, count: usize) -> Result<()> {
        let from = now();
        let end = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
             WHERE application_name LIKE 'nexum run%' ORDER BY random() LIMIT {count}) AS chosen"
        );
        self.cluster.server.query(&end)?;
        let seconds = self.first_commit(from)?;
        self.figures.note(Fault::Connections(count).name(), seconds);
        Ok(())
    }

    /// Waits until each module has the state of the chains, and nothing changes it any more.
    fn settle(&mut self, blocks: [&[Block]; CHAINS.len()]) -> Result<()> {
        let expected = modules::expected(blocks);
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.cluster.check()?;
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
        self.figures.blocks = blocks.iter().map(|blocks| blocks.len() as u64).sum();
        self.figures.keys = kept.values().map(|keys| keys.len() as u64).sum();
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
        let are_owned = self.cluster.wait_until_owned(all, PATIENCE)?;
        let owners = checks::owners(&self.cluster.server)?;
        ensure!(are_owned, "live nodes do not own all {all} modules: {owners:?}");
        self.cluster.check()?;
        let reigns = checks::reigns(&self.cluster.server)?;
        checks::judge_reigns(&reigns)?;
        let changes = self.cluster.history()?;
        checks::judge_history(&changes)?;
        for loss in self.losses.drain(..) {
            self.figures.note(loss.fault, loss.taken_over(&changes));
        }
        self.figures.commits = reigns.iter().map(|reign| reign.commits).sum();
        self.figures.ownerships = reigns.len();
        self.figures.orders = counts.iter().flatten().map(|counts| counts.stored).sum();
        self.figures.posts = counts.iter().flatten().map(|counts| counts.posts).sum();
        self.figures.checks += 1;
        Ok(())
    }

    /// The state of all modules, from the rows of the database at one moment.
    fn kept(&self, first: &[Block]) -> Result<Kept> {
        let names: Vec<String> = modules::all().into_iter().map(|(name, _)| name).collect();
        let kept = site::parse(&self.cluster.kept(&self.kept, &names)?)?;
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
            let text = self.cluster.server.text(&format!("SELECT * FROM {SCHEMA}.{table}"));
            // The failure itself is more important.
            let _ = text.map(|text| fs::write(self.directory.join(table).with_extension("tsv"), text));
        }
    }
}

/// The clock of this machine, and of the database.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64()
}
