//! `cargo xtask torture`: kills nexum hundreds of times on chains with many reorganisations.
//!
//! A run consists of rounds. In a round, the task kills and restarts the process many times. Then
//! the chains stop, the modules catch up, the task stops nexum, and compares the modules' state
//! with the chains. Some rounds fill the disk, and some run under a clock that goes backwards.

mod canonical;
mod clock;
mod cluster;
mod disk;
mod effects;
mod expected;
mod figures;
mod rounds;
mod schedule;
mod seen;
mod site;
mod traffic;

use std::{collections::hash_map::RandomState, hash::BuildHasher, time::Duration};

use anyhow::{Context, Result};

use self::rounds::Torture;
use crate::{anvil::CHAIN_ID, guests, nexum, process};

/// The ids of the chains. One module subscribes to both.
const CHAINS: [u64; 2] = [CHAIN_ID, 137];

/// The default duration per back-end. It is long enough for a round of every kind.
const MINUTES: f64 = 2.0;

/// The options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The duration in minutes, for each back-end. The default is 2, and 1 with `--cluster`.
    #[arg(long, value_name = "N")]
    pub(crate) minutes: Option<f64>,
    /// Run three processes on one PostgreSQL instead.
    #[arg(long, conflicts_with_all = ["backend", "effects", "no_full_disk"])]
    pub(crate) cluster: bool,
    /// Send transactions and HTTP requests instead, through connections that break.
    #[arg(long, conflicts_with_all = ["backend", "no_full_disk"])]
    pub(crate) effects: bool,
    /// The back-end to test. The default is all, one after the other.
    #[arg(long)]
    pub(crate) backend: Option<Backend>,
    /// The seed of all random decisions. The default is a random seed.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Run the release build.
    #[arg(long)]
    pub(crate) release: bool,
    /// Skip the rounds on a full disk, which need a mount.
    #[arg(long)]
    pub(crate) no_full_disk: bool,
}

/// A durable back-end of the state store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Backend {
    Redb,
    Sled,
    Fjall,
}

impl Backend {
    const ALL: [Self; 3] = [Self::Redb, Self::Sled, Self::Fjall];

    /// The back-end's name in a configuration.
    fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Sled => "sled",
            Self::Fjall => "fjall",
        }
    }
}

/// Runs the task on one back-end or on each. Fails at the first difference between the state of a
/// module and the expected state.
pub(crate) fn run(options: &Options) -> Result<()> {
    // A map's hasher has a random seed from the system, so one number needs no generator.
    let seed = options.seed.unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    if options.cluster {
        return cluster::run(options.minutes, seed, options.release);
    }
    if options.effects {
        return effects::run(options.minutes.unwrap_or(MINUTES), seed, options.release);
    }
    if !options.no_full_disk {
        disk::own_mounts()?;
    }
    process::end_in_order()?;
    let programs = process::step("build nexum", || nexum::build(options.release))?;
    process::step("build the modules", || {
        guests::build(&expected::GUESTS.map(String::from))
    })?;
    let clock = clock::build()?;
    let minutes = options.minutes.unwrap_or(MINUTES);
    let backends = options.backend.map_or(Backend::ALL.to_vec(), |backend| vec![backend]);
    for backend in backends {
        let mut torture = Torture::new(backend, seed, &programs, &clock, !options.no_full_disk)?;
        let outcome = torture.run(Duration::from_secs_f64(minutes * 60.0));
        println!("\n{}", torture.figures());
        let place = torture.site().state().display().to_string();
        outcome.with_context(|| format!("{}, seed {seed}, state and log in {place}", backend.name()))?;
        torture.remove()?;
    }
    Ok(())
}
