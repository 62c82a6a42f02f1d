//! `cargo xtask demo --cluster`: two nexum processes on one PostgreSQL, of which one is killed.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::log::Line;
use crate::{
    anvil,
    cluster::{Cluster, Settings, journals},
    guests,
    nexum::{self, Listener},
    process::{self, pause, seconds},
};

/// The number of modules, and the blocks that each handles before the kill.
const MODULES: usize = 6;
const BLOCKS: u64 = 3;

/// The names of the nodes. The first one is killed.
const NODES: [&str; 2] = ["node-a", "node-b"];

/// The settings of the nodes. They are shorter than the defaults, as the demo is.
const LEASE: Duration = Duration::from_secs(3);
const REBALANCE_AFTER: Duration = Duration::from_secs(1);

/// The longest wait for anything that the demo shows.
const PATIENCE: Duration = Duration::from_secs(60);

/// The interval between looks at the logs.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The blocks that a node has handled.
#[derive(Debug, Default)]
struct Handled {
    /// The newest block of each module.
    newest: BTreeMap<String, u64>,
}

impl Listener for Handled {
    fn note(&mut self, line: &str) {
        if let Line::Handled { module, block } = Line::parse(line) {
            self.newest.insert(module, block);
        }
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Runs the demo. Fails unless the modules of the killed node go on at the other one, and each has handled each
/// block once.
pub(crate) fn run() -> Result<()> {
    process::end_in_order()?;
    let programs = process::step("build nexum", || nexum::build(false))?;
    process::step("build the modules", || guests::build(&[journals::GUEST.to_owned()]))?;
    let anvil = process::step("start anvil", || anvil::start(&["--block-time", "1"]))?;
    let directory = tempfile::tempdir()?;
    let body = journals::write(directory.path(), &anvil.ws_url(), &names())?;
    let mut cluster = process::step("start PostgreSQL", || {
        Cluster::<Handled>::new(&Settings {
            nexum: programs.join("nexum"),
            directory: directory.path(),
            nodes: &NODES,
            lease_ttl: LEASE,
            rebalance_after: REBALANCE_AFTER,
            body: &body,
        })
    })?;
    println!("\n{} and {} share {MODULES} modules.", NODES[0], NODES[1]);
    for node in &mut cluster.nodes {
        node.start(&[])?;
    }
    wait("each node has modules", || {
        cluster.check()?;
        let owned = [cluster.owned_by(NODES[0])?, cluster.owned_by(NODES[1])?];
        Ok(owned.concat().len() == MODULES && !owned.iter().any(Vec::is_empty))
    })?;
    wait("each module has handled blocks", || {
        Ok(newest(&mut cluster)?.values().filter(|block| **block >= BLOCKS).count() == MODULES)
    })?;
    println!("\n{}", cluster.status()?);

    let lost = cluster.owned_by(NODES[0])?;
    let begin = Instant::now();
    let before = cluster.nodes[0].kill()?;
    println!("kill -9 {}, which runs {}.", NODES[0], lost.join(", "));
    go_on(&mut cluster, &lost, &before, begin)?;
    println!("\n{}", cluster.status()?);

    println!("Start {} again.", NODES[0]);
    cluster.nodes[0].start(&[])?;
    wait("the node has modules again", || {
        Ok(!cluster.owned_by(NODES[0])?.is_empty())
    })?;
    println!("\n{}", cluster.status()?);
    for node in &mut cluster.nodes {
        node.stop()?;
    }
    for (name, blocks) in journals(&cluster, &programs)? {
        println!("{name} has handled blocks 0 to {}, each once.", blocks - 1);
    }
    Ok(())
}

/// Waits until each lost module has handled another block at the other node, and prints when.
fn go_on(cluster: &mut Cluster<Handled>, lost: &[String], before: &Handled, begin: Instant) -> Result<()> {
    ensure!(!lost.is_empty(), "the killed node has no modules");
    let mut waiting: Vec<&String> = lost.iter().collect();
    wait("the modules go on", || {
        let other = cluster.nodes[1].process()?.seen().newest.clone();
        waiting.retain(|module| {
            let last = before.newest.get(*module);
            let Some(block) = other.get(*module).filter(|block| Some(*block) > last) else {
                return true;
            };
            let (after, node) = (seconds(begin.elapsed()), NODES[1]);
            println!("{after:>7}  {module} handles block {block} on {node}");
            false
        });
        Ok(waiting.is_empty())
    })
}

/// The newest block of each module at any node.
fn newest(cluster: &mut Cluster<Handled>) -> Result<BTreeMap<String, u64>> {
    let mut newest = BTreeMap::new();
    for node in &mut cluster.nodes {
        // A module that has moved has older blocks at its earlier node.
        for (module, block) in &node.process()?.seen().newest {
            let known = newest.entry(module.clone()).or_insert(*block);
            *known = (*known).max(*block);
        }
    }
    Ok(newest)
}

/// Waits until `done` returns true.
fn wait(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !done()? {
        ensure!(
            Instant::now() < deadline,
            "{} s have passed, but not this: {what}",
            PATIENCE.as_secs()
        );
        pause(LOOK_EVERY)?;
    }
    Ok(())
}

/// The number of blocks in each module's journal. Fails unless it has each block from the first one on once, in
/// their order.
fn journals(cluster: &Cluster<Handled>, programs: &Path) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    let text = cluster.kept(&programs.join("examples/kept"), &names())?;
    for line in text.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let [module, _, value] = fields[..] else { continue };
        // The other value of a journal is the number of entries.
        let Some(block) = entry(value) else { continue };
        let count: &mut u64 = counts.entry(module.to_owned()).or_default();
        ensure!(
            block == *count,
            "{module} has handled block {block} after {count} blocks"
        );
        *count += 1;
    }
    ensure!(counts.len() == MODULES, "not each module has a journal: {counts:?}");
    Ok(counts)
}

/// The block of a journal's entry, which is in hexadecimal digits: `block NUMBER HASH`.
fn entry(digits: &str) -> Option<u64> {
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    let text = String::from_utf8(bytes?).ok()?;
    text.strip_prefix("block ")?.split(' ').next()?.parse().ok()
}

fn names() -> Vec<String> {
    (1..=MODULES).map(|number| format!("watch-{number}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_block_of_an_entry() {
        assert_eq!(entry("626c6f636b2031206162"), Some(1));
        assert_eq!(entry("0100000000000000"), None);
    }
}
