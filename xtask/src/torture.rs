//! `cargo xtask torture`: the real nexum, killed hundreds of times on chains that are reorganised all the time.
//!
//! A run is a row of rounds. In each the process is killed and started again, over and over; then the chain stands still, the
//! modules catch up, nexum is stopped, and what they keep must be what the chain says. There are rounds on a disk that fills
//! up, and rounds under a clock that runs backwards.

mod canonical;
mod clock;
mod disk;
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

/// The chains, of which the second is for the module that follows both.
const CHAINS: [u64; 2] = [CHAIN_ID, 137];

/// How long each back-end is tortured unless the caller says otherwise: time for a round of every kind.
const MINUTES: f64 = 2.0;

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// For how long, for each back-end.
    #[arg(long, value_name = "N", default_value_t = MINUTES)]
    pub(crate) minutes: f64,
    /// Which back-end; both, one after the other, when it is left out.
    #[arg(long)]
    pub(crate) backend: Option<Backend>,
    /// What decides about all chances; a new one when it is left out.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Run the release build.
    #[arg(long)]
    pub(crate) release: bool,
    /// Leave out the rounds on a full disk, which need a mount.
    #[arg(long)]
    pub(crate) no_full_disk: bool,
}

/// A durable back-end of the state store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Backend {
    Redb,
    Sled,
}

impl Backend {
    const ALL: [Self; 2] = [Self::Redb, Self::Sled];

    /// As it is written in a configuration.
    fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Sled => "sled",
        }
    }
}

/// Runs for the time that is asked for, on one back-end or on each. Fails at the first thing that a module keeps and should not,
/// or should and does not.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_full_disk {
        disk::own_mounts()?;
    }
    process::end_in_order()?;
    let programs = process::step("build nexum", || nexum::build(options.release))?;
    process::step("build the modules", || {
        guests::build(&expected::GUESTS.map(String::from))
    })?;
    let clock = clock::build()?;
    // No generator of its own for one number: a map's hasher is seeded by the system.
    let seed = options.seed.unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    let backends = options.backend.map_or(Backend::ALL.to_vec(), |backend| vec![backend]);
    for backend in backends {
        let mut torture = Torture::new(backend, seed, &programs, &clock, !options.no_full_disk)?;
        let outcome = torture.run(Duration::from_secs_f64(options.minutes * 60.0));
        println!("\n{}", torture.figures());
        let place = torture.site().state().display().to_string();
        outcome.with_context(|| format!("{}, seed {seed}, state and log in {place}", backend.name()))?;
        torture.remove()?;
    }
    Ok(())
}
