//! Runs the benches and reports which aims they meet.

mod builds;
mod cluster;
mod conditional_orders;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{anvil, guests, paths, postgres, process};

/// A bench and its requirements.
struct Bench {
    name: &'static str,
    /// cargo's arguments that select the package and its features. Empty if the task itself measures.
    package: &'static [&'static str],
    guests: &'static [&'static str],
    anvil: bool,
    postgres: bool,
    /// More figures, which the bench itself cannot measure.
    more: fn() -> Result<Vec<Value>>,
}

/// All benches, in the order of `--all`.
const BENCHES: &[Bench] = &[
    Bench {
        name: "dispatch",
        package: &["--package=nexum-core"],
        guests: &["calls", "counter", "noop"],
        anvil: false,
        postgres: false,
        more: none,
    },
    Bench {
        name: "limits",
        package: &["--package=nexum-core"],
        guests: &["balance-watch", "block-logger", "journal", "log-sum", "noop"],
        anvil: false,
        postgres: false,
        more: none,
    },
    Bench {
        name: "query",
        package: &["--package=nexum-core"],
        guests: &["query-echo"],
        anvil: false,
        postgres: false,
        more: none,
    },
    Bench {
        name: "start",
        package: &["--package=nexum-core"],
        guests: &["balance-watch"],
        anvil: false,
        postgres: false,
        more: none,
    },
    Bench {
        name: "memory",
        package: &["--package=nexum-core"],
        guests: &["noop"],
        anvil: false,
        postgres: false,
        more: none,
    },
    Bench {
        name: "chain",
        package: &["--package=nexum-host-chain"],
        guests: &["calls", "requests"],
        anvil: true,
        postgres: false,
        more: none,
    },
    Bench {
        name: "state",
        package: &["--package=nexum-store"],
        guests: &["workload"],
        anvil: true,
        postgres: false,
        more: none,
    },
    Bench {
        name: "postgres",
        package: &["--package=nexum-store"],
        guests: &[],
        anvil: false,
        postgres: true,
        more: none,
    },
    Bench {
        name: "cow",
        package: &["--package=nexum-host-cow"],
        guests: &["cow-submitter", "noop", "twap"],
        anvil: false,
        postgres: false,
        more: conditional_orders::measure,
    },
    Bench {
        name: "sdk",
        // Sizes and fuel are the same in each profile, so the bench uses the dependencies of the tests.
        package: &["--workspace", "--all-features", "--profile=dev"],
        guests: &[
            "balance-watch",
            "block-logger",
            "cow-quote-logger",
            "gas-watch-c",
            "gas-watch-js",
            "gas-watch-python",
            "hello",
            "noop",
            "price-watch",
            "sdk-alloy",
            "transfer-watch",
        ],
        anvil: false,
        postgres: false,
        more: builds::measure,
    },
    Bench {
        name: "ledger",
        package: &["--package=nexum-ledger"],
        guests: &[],
        anvil: false,
        postgres: false,
        more: none,
    },
    Bench {
        name: "effects",
        package: &["--workspace", "--all-features"],
        guests: &["effects", "payer"],
        anvil: true,
        postgres: false,
        more: none,
    },
    Bench {
        name: "cluster",
        package: &[],
        guests: &["journal"],
        anvil: false,
        postgres: true,
        more: cluster::measure,
    },
];

/// Runs the bench with this name, or all of them. A missed aim is no error, because results
/// depend on the machine.
pub(crate) fn run(name: Option<&str>) -> Result<()> {
    let chosen: Vec<_> = BENCHES
        .iter()
        .filter(|bench| name.is_none_or(|name| name == bench.name))
        .collect();
    if chosen.is_empty() {
        let known: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!(
            "unknown bench {}; the benches are {}",
            name.unwrap_or_default(),
            known.join(", ")
        );
    }
    for bench in chosen {
        run_one(bench).with_context(|| format!("cannot run the bench {}", bench.name))?;
    }
    Ok(())
}

/// The file of a bench's figures.
fn file(bench: &str) -> PathBuf {
    paths::root().join("target/bench").join(format!("{bench}.json"))
}

fn read(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))
}

fn none() -> Result<Vec<Value>> {
    Ok(Vec::new())
}

fn run_one(bench: &Bench) -> Result<()> {
    let guests: Vec<String> = bench.guests.iter().map(|&guest| guest.to_owned()).collect();
    if !guests.is_empty() {
        guests::build(&guests)?;
    }
    let path = file(bench.name);
    let mut figures = Vec::new();
    if !bench.package.is_empty() {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(paths::root());
        cargo
            .args(["bench", "--locked", "--bench", bench.name])
            .args(bench.package);
        if bench.anvil {
            cargo.env(anvil::VARIABLE, anvil::ensure()?);
        }
        if bench.postgres {
            cargo.env(postgres::VARIABLE, postgres::ensure()?);
        }
        process::run(&mut cargo)?;
        figures = read(&path)?;
    }
    let more = (bench.more)()?;
    if !more.is_empty() {
        figures.extend(more);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(&path, serde_json::to_string_pretty(&figures)? + "\n")?;
    }
    let with_goal = figures.iter().filter(|figure| !figure["goal"].is_null());
    let (met, missed): (Vec<_>, Vec<_>) = with_goal.partition(|figure| figure["met"] == true);
    println!(
        "{}: {} aims met, {} missed; {}",
        bench.name,
        met.len(),
        missed.len(),
        path.display()
    );
    Ok(())
}
