//! The overhead of nexum over its back-ends: commits, durable events, reads, reverts, starts and a long
//! replay. The baseline is the back-end alone, which writes and reads the same rows with nexum's
//! settings.
//!
//! Samples of both sides alternate, so that other load of the machine affects both.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a measurement runs on the machine's own clock, and cannot go on after a fault"
)]

mod bare;
mod blocks;
mod commits;
mod events;
mod host;
mod native;
mod reads;
mod recorder;
mod replay;
mod revert;
mod start;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nexum_store::Backend;
use nexum_testing::bench::{self, medians};
use tempfile::TempDir;
use tokio::runtime::Builder;

/// Any error ends the bench.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The back-ends with a file.
const BACKENDS: [Backend; 3] = [Backend::Redb, Backend::Sled, Backend::Fjall];

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    if let [_, child, what, backend, directory] = arguments.as_slice()
        && child == "child"
    {
        let backend = BACKENDS.into_iter().find(|known| known.name() == backend);
        let backend = backend.ok_or("a back-end that is not measured")?;
        return match what.as_str() {
            "replay" => replay::child(backend, &PathBuf::from(directory)),
            _ => start::child(what, backend, &PathBuf::from(directory)),
        };
    }
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut figures = Vec::new();
    for backend in BACKENDS {
        figures.extend(commits::figures(backend)?);
        figures.extend(events::figures(&runtime, backend)?);
        figures.push(blocks::figure(&runtime, backend)?);
        figures.extend(reads::figures(&runtime, backend)?);
        figures.push(revert::figure(&runtime, backend)?);
        figures.extend(start::figures(backend)?);
        figures.extend(replay::figures(backend)?);
    }
    bench::publish("state", &figures);
    Ok(())
}

/// A directory on the disk of the builds. Dropping it removes it.
fn directory() -> Result<TempDir> {
    Ok(TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// Runs this program as a child process for a part of a measurement. Returns the number that it
/// prints.
fn in_child(what: &str, backend: Backend, directory: &Path) -> Result<f64> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["child", what, backend.name()]).arg(directory);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{what} with {backend}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
