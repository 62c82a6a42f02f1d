//! The `nexum` binary: what an operator runs.
//!
//! It reads arguments, puts capabilities together (`compose`, the one file that names them), and reports. What an
//! embedder would need too is in `nexum-core` and `nexum-exec`.
//!
//! Exit codes: 0 stopped, 1 failed while running, 2 refused to start; `exec` has the command's, and 3 where it trapped.
#![allow(clippy::print_stdout, reason = "reports go to stdout; errors and logs go to stderr")]
#![allow(clippy::print_stderr, reason = "reports go to stdout; errors and logs go to stderr")]

mod args;
#[cfg(feature = "runtime")]
mod check;
#[cfg(feature = "runtime")]
mod compose;
mod configure;
mod contract;
#[cfg(feature = "runtime")]
mod control;
#[cfg(feature = "runtime")]
mod exec;
mod inspect;
#[cfg(feature = "runtime")]
mod listen;
#[cfg(feature = "runtime")]
mod logging;
#[cfg(feature = "runtime")]
mod metrics;
#[cfg(feature = "runtime")]
mod modules;
#[cfg(feature = "runtime")]
mod perform;
#[cfg(feature = "runtime")]
mod progress;
#[cfg(feature = "runtime")]
mod query;
mod report;
#[cfg(feature = "runtime")]
mod run;
#[cfg(feature = "runtime")]
mod state;
#[cfg(feature = "runtime")]
mod watch;
#[cfg(not(feature = "runtime"))]
mod without_runtime;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::Args;
#[cfg(feature = "runtime")]
use perform::{perform, version};
#[cfg(not(feature = "runtime"))]
use without_runtime::{perform, version};

/// A daemon of many threads and short tasks: memory that was given back has to be used again, or go back to the system.
#[cfg(feature = "runtime")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Told to stop, and did.
const STOPPED: u8 = 0;
/// Failed while running.
#[cfg(feature = "runtime")]
const FAILED: u8 = 1;
/// Refused to start.
const REFUSED: u8 = 2;
/// A command trapped, or was ended by a limit.
#[cfg(feature = "runtime")]
const TRAPPED: u8 = 3;

/// The command line with what only the build knows.
fn command() -> clap::Command {
    Args::command().version(version())
}

/// Prints a completion script.
fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut command(), "nexum", &mut std::io::stdout());
}

fn main() -> ExitCode {
    let args = match Args::from_arg_matches(&command().get_matches()) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    perform(args.command)
        .unwrap_or_else(|refusals| {
            refusals.print();
            REFUSED
        })
        .into()
}
