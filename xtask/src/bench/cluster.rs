//! The time in which one node takes over a hundred modules of another.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::{
    anvil,
    cluster::{Cluster, Settings, journals},
    nexum::{self, Listener},
    process::pause,
    rpc::Rpc,
};

/// The number of modules.
const MODULES: usize = 100;

const NODES: [&str; 2] = ["node-a", "node-b"];

/// The lease: the default of `[cluster]`.
const LEASE: Duration = Duration::from_secs(5);

/// Longer than the bench, so that modules move only after a fault.
const REBALANCE_AFTER: Duration = Duration::from_secs(3_600);

/// The interval between blocks. A takeover ends with the next block.
const BLOCK_EVERY: Duration = Duration::from_millis(100);

/// The takeovers of each kind. The figure is their median.
const REPEATS: usize = 3;

/// The longest wait for a takeover, or for a start.
const PATIENCE: Duration = Duration::from_secs(120);

/// The interval between looks at the logs.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How a node goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Kill,
    Pause,
    Stop,
}

/// Each kind of end, with its name and its goal in seconds.
const ENDS: [(End, &str, f64); 3] = [
    (End::Kill, "kill -9", 1.5),
    (End::Pause, "SIGSTOP", LEASE.as_secs_f64() + 1.0),
    (End::Stop, "SIGTERM", 0.5),
];

/// The modules that have handled a block since the last look.
#[derive(Debug, Default)]
struct Handled(BTreeSet<String>);

impl Listener for Handled {
    fn note(&mut self, line: &str) {
        if line.contains("\"event handled\"") {
            let record: Value = serde_json::from_str(line).unwrap_or_default();
            self.0.extend(record["module"].as_str().map(str::to_owned));
        }
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// The figures of takeovers, in seconds from the fault until the last module has handled a block elsewhere.
pub(super) fn measure() -> Result<Vec<Value>> {
    let programs = nexum::build(true)?;
    let anvil = anvil::start(&["--no-mining"])?;
    let directory = tempfile::tempdir()?;
    let names: Vec<String> = (0..MODULES).map(|number| format!("module-{number:02}")).collect();
    let mut cluster = Cluster::<Handled>::new(&Settings {
        nexum: programs.join("nexum"),
        directory: directory.path(),
        nodes: &NODES,
        lease_ttl: LEASE,
        rebalance_after: REBALANCE_AFTER,
        body: &journals::write(directory.path(), &anvil.ws_url(), &names)?,
    })?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mining = scope.spawn(|| mine(&Rpc::new(&anvil.http_url()), &is_over));
        let figures = takeovers(&mut cluster);
        is_over.store(true, Ordering::Relaxed);
        mining.join().map_err(|_| anyhow!("the chain panicked"))??;
        figures
    })
}

fn mine(rpc: &Rpc, is_over: &AtomicBool) -> Result<()> {
    while !is_over.load(Ordering::Relaxed) {
        rpc.request("evm_mine", json!([]))?;
        pause(BLOCK_EVERY)?;
    }
    Ok(())
}

fn takeovers(cluster: &mut Cluster<Handled>) -> Result<Vec<Value>> {
    let mut owner = 0;
    cluster.nodes[owner].start(&[])?;
    wait_until_all_handle(cluster, owner)?;
    let mut figures = Vec::new();
    for (end, name, goal) in ENDS {
        let mut times = Vec::new();
        for _ in 0..REPEATS {
            let other = 1 - owner;
            cluster.nodes[other].start(&[])?;
            wait_until_live(cluster, NODES.len())?;
            times.push(takeover(cluster, end, owner)?);
            owner = other;
        }
        times.sort_by(f64::total_cmp);
        let median = times.get(REPEATS / 2).copied().unwrap_or_default();
        let min = times.first().copied().unwrap_or_default();
        println!("{name}: {MODULES} modules taken over in {median:.2} s, at least {min:.2} s");
        figures.push(json!({
            "name": format!("takeover of {MODULES} modules after {name}"),
            "median": median,
            "min": min,
            "unit": "s",
            "goal": goal,
            "met": median <= goal,
        }));
    }
    Ok(figures)
}

/// Ends the owner of all modules, and returns the seconds until each has handled a block at the other node.
fn takeover(cluster: &mut Cluster<Handled>, end: End, owner: usize) -> Result<f64> {
    let other = 1 - owner;
    cluster.nodes[other].process()?.seen().0.clear();
    let begin = Instant::now();
    match end {
        End::Kill => drop(cluster.nodes[owner].kill()?),
        End::Pause => cluster.nodes[owner].pause()?,
        // Its modules move before it ends.
        End::Stop => cluster.nodes[owner].process()?.signal(rustix::process::Signal::TERM)?,
    }
    wait_until_all_handle(cluster, other)?;
    let seconds = begin.elapsed().as_secs_f64();
    match end {
        End::Kill => {}
        End::Pause => {
            cluster.nodes[owner].go_on()?;
            cluster.nodes[owner].kill()?;
        }
        End::Stop => drop(cluster.nodes[owner].stop()?),
    }
    Ok(seconds)
}

/// Waits until a node has handled a block with each module.
fn wait_until_all_handle(cluster: &mut Cluster<Handled>, node: usize) -> Result<()> {
    let process = cluster.nodes[node].process()?;
    let deadline = Instant::now() + PATIENCE;
    while process.seen().0.len() < MODULES {
        ensure!(
            Instant::now() < deadline,
            "{} has not taken over all modules: {}",
            NODES[node],
            process.seen().0.len()
        );
        pause(LOOK_EVERY)?;
    }
    Ok(())
}

/// Waits until so many nodes have joined and have loaded all modules.
fn wait_until_live(cluster: &Cluster<Handled>, nodes: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while cluster.count_ready(MODULES)? < nodes {
        ensure!(Instant::now() < deadline, "the nodes are not ready");
        pause(LOOK_EVERY)?;
    }
    Ok(())
}
