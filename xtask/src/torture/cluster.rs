//! `cargo xtask torture --cluster`: three nexum processes share sixty modules on one PostgreSQL, and lose
//! each other, the database, or time.
//!
//! Faults are kills, stops, pauses, cut networks, restarts of the database, ended connections, drained nodes
//! and moved modules. After each round the faults end, the chains stop, and the modules catch up. Then the
//! task checks that:
//!
//! - the state of each module is that of the canonical chains, so each event counts exactly once,
//! - only the owner of a module has written for it, and no two ownerships overlap,
//! - the epochs of each module have grown with each change of its owner,
//! - a live node owns each module, and exactly one process runs it,
//! - the order book has each order that was due.

mod book;
mod checks;
mod faults;
mod figures;
mod modules;
mod run;
mod scene;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};

use self::run::Run;
use super::clock;
use crate::{guests, nexum, paths, process};

/// The default duration in minutes.
const MINUTES: f64 = 1.0;

/// Runs the task.
pub(super) fn run(minutes: Option<f64>, seed: u64, release: bool) -> Result<()> {
    process::end_in_order()?;
    let programs = process::step("build nexum", || nexum::build(release))?;
    process::step("build the order book", book::build)?;
    process::step("build the modules", || {
        guests::build(&modules::GUESTS.map(String::from))
    })?;
    let directory = directory()?;
    println!("cluster, seed {seed}");
    let mut run = Run::new(seed, &programs, &directory, &clock::build()?)?;
    let outcome = run.run(Duration::from_secs_f64(minutes.unwrap_or(MINUTES) * 60.0));
    println!("\n{}", run.figures());
    if outcome.is_err() {
        run.keep_database();
    }
    outcome.with_context(|| format!("cluster, seed {seed}, logs and tables in {}", directory.display()))?;
    drop(run);
    Ok(fs::remove_dir_all(directory)?)
}

/// An empty directory for the run.
fn directory() -> Result<PathBuf> {
    let directory = paths::root().join("target/torture/cluster");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    Ok(directory)
}
