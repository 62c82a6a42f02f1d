//! `cargo xtask torture --effects`: modules pay with transactions and with HTTP requests, while nexum is killed, both
//! chains reorganise, and connections break before and after the receiver acts.
//!
//! One chain has the events, and another one takes the transactions. After each round the faults end, the chain
//! with the events stops, and the modules catch up. Then the task checks that:
//!
//! - the nonces of each account have no gap, and each block of the first chain has one transaction of each payer,
//! - the receiver has acted on each request that a module knows to be done,
//! - it has acted at most once on each `POST`, with an `Idempotency-Key` and without one,
//! - each event is handled or a dead letter.

mod checks;
mod receiver;
mod run;
mod site;

use std::time::Duration;

use anyhow::{Context, Result};

use self::run::Run;
use crate::{guests, nexum, process};

/// The guests of the modules.
const GUESTS: [&str; 2] = ["effects", "payer"];

/// Runs the task.
pub(super) fn run(minutes: f64, seed: u64, release: bool) -> Result<()> {
    process::end_in_order()?;
    let programs = process::step("build nexum", || nexum::build(release))?;
    process::step("build the modules", || guests::build(&GUESTS.map(String::from)))?;
    println!("effects, seed {seed}");
    let mut run = Run::new(seed, &programs)?;
    let outcome = run.run(Duration::from_secs_f64(minutes * 60.0));
    println!("\n{}", run.figures());
    let place = run.directory().display().to_string();
    outcome.with_context(|| format!("effects, seed {seed}, state and log in {place}"))?;
    run.remove()
}
