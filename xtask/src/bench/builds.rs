//! The times that an author waits.

use std::{
    fs::File,
    path::Path,
    time::{Instant, SystemTime},
};

use anyhow::{Context, Result};
use nexum_build::{cache::remove, toolchain::BARE};
use serde_json::{Value, json};

use crate::{
    cache::builds,
    first_event::{self, Times},
    paths,
    process::{self, explain},
    toolchain,
};

/// The module that is built: settings, an event, calls and state.
const MODULE: &str = "transfer-watch";

/// The builds after a change of the source. The figure is their median.
const REBUILDS: usize = 5;

/// The longest time from an empty directory to the first event, in seconds.
const FIRST_EVENT_MAX: f64 = 180.0;

/// The longest time from a saved change to the reloaded module, in seconds.
const RELOAD_MAX: f64 = 2.0;

/// The figures of builds of [`MODULE`], and of the first steps of an author.
pub(super) fn measure() -> Result<Vec<Value>> {
    let mut figures = builds()?;
    let Times {
        first_event,
        mut reloads,
        ..
    } = first_event::measure(None)?;
    reloads.sort();
    let reload = reloads.get(reloads.len() / 2).copied().unwrap_or_default();
    let waits = [
        (
            "from an empty directory to the first event",
            first_event,
            FIRST_EVENT_MAX,
        ),
        ("from a saved change to the reloaded module", reload, RELOAD_MAX),
    ];
    for (name, wait, most) in waits {
        let seconds = wait.as_secs_f64();
        println!("{name}: {seconds:.1} s");
        figures.push(json!({
            "name": name,
            "median": seconds,
            "unit": "s",
            "goal": most,
            "met": seconds <= most,
        }));
    }
    Ok(figures)
}

/// The figures of builds of [`MODULE`], in seconds: the first one, which compiles all of its
/// dependencies, and one after a change of its source.
fn builds() -> Result<Vec<Value>> {
    let directory = paths::root().join("target/bench/sdk-build");
    remove(&directory).map_err(explain)?;
    let first = build(&directory)?;
    let source = paths::modules().join("examples").join(MODULE).join("src/lib.rs");
    let mut rebuilds = Vec::new();
    for _ in 0..REBUILDS {
        // For cargo, a later time is a change.
        let file = File::options().append(true).open(&source);
        file.and_then(|file| file.set_modified(SystemTime::now()))
            .with_context(|| format!("cannot touch {}", source.display()))?;
        rebuilds.push(build(&directory)?);
    }
    rebuilds.sort_by(f64::total_cmp);
    let rebuild = rebuilds.get(REBUILDS / 2).copied().unwrap_or_default();
    println!("{MODULE}: first build {first:.1} s, build after a change {rebuild:.2} s");
    remove(&directory).map_err(explain)?;
    Ok(vec![
        figure("first build, from downloaded sources", first, first),
        figure("build after a change", rebuild, first),
    ])
}

/// Builds the module's component in this directory. Returns the seconds.
fn build(directory: &Path) -> Result<f64> {
    let mut cargo = toolchain::cargo(&toolchain::ensure()?, "build");
    cargo.args([
        "--release",
        "--locked",
        "--quiet",
        "--target",
        BARE,
        "--package",
        MODULE,
    ]);
    cargo
        .env("CARGO_TARGET_DIR", directory)
        .env(builds::VARIABLE, directory);
    let begin = Instant::now();
    process::run(&mut cargo)?;
    Ok(begin.elapsed().as_secs_f64())
}

fn figure(name: &str, seconds: f64, baseline: f64) -> Value {
    json!({
        "name": format!("{MODULE}: {name}"),
        "median": seconds,
        "unit": "s",
        "baseline": baseline,
        "ratio": seconds / baseline,
        "goal": Value::Null,
        "met": true,
    })
}
