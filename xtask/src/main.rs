//! The project's tasks, run as `cargo xtask TASK`.
//!
//! Whatever a task needs it gets itself, pinned, into `.tools/`; nothing is installed on the machine. A task that cannot
//! get what it needs fails and says what to do: none passes by leaving something out.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "telling the developer what happens is what a task does"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a task runs on the machine's own clock and environment"
)]

mod guests;
mod paths;
mod process;
mod toolchain;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's tasks.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make the compiler for guests, if the active one cannot build them.
    Toolchain,
    /// Build the modules of `modules/` into `target/modules/`.
    Guests {
        /// Which ones; all of them when none is named.
        names: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Toolchain => toolchain::ensure().map(|_| ()),
        Task::Guests { names } => guests::build(&names),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
