//! The project's tasks, run as `cargo xtask TASK`.
//!
//! A task gets the tools that it needs, each at a pinned version, into the user's cache ([`cache`]), and installs nothing on the
//! machine. A task that cannot get a tool fails and says what to do: none passes by leaving something out.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "telling the developer what happens is what a task does"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a task runs on the machine's own clock and environment"
)]

mod bench;
mod ci;
mod demo;
mod prose;
mod soak;
mod test;
mod torture;

mod anvil;
mod features;
mod guests;
mod isolation;
mod nexum;
mod prometheus;
mod toolchain;
mod tools;

mod cache;
mod paths;
mod process;
mod rpc;
mod workspace;

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
    /// Run nexum with two modules on a local Ethereum node, for somebody to look at.
    Demo {
        /// End when each module has handled so many blocks, instead of on Ctrl-C.
        #[arg(long, value_name = "N")]
        blocks: Option<u64>,
    },
    /// Run every test, getting what they need first.
    Test,
    /// Check all that must hold before a change is accepted.
    Ci {
        /// Which steps; all of them when none is named.
        steps: Vec<String>,
    },
    /// Find words that the project's prose avoids.
    Prose,
    /// Measure what nexum adds to its parts; see docs/performance.md.
    Bench {
        /// Which bench.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        name: Option<String>,
        /// All of them, one after another.
        #[arg(long)]
        all: bool,
    },
    /// Kill nexum again and again on a chain with reorgs, and compare what is left with what should be.
    Torture(torture::Options),
    /// Run many modules, some of which misbehave in every way, and look whether the others notice.
    Soak(soak::Options),
    /// Make the compiler for guests, if the active one cannot build them.
    Toolchain,
    /// Build the modules of `modules/` into `target/modules/`.
    Guests {
        /// Which ones; all of them when none is named.
        names: Vec<String>,
    },
    /// Print the path of anvil, fetching it if it is not installed.
    Anvil,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Demo { blocks } => demo::run(blocks),
        Task::Test => test::run(),
        Task::Ci { steps } => ci::run(&steps),
        Task::Prose => prose::check(),
        Task::Bench { name, all: _ } => bench::run(name.as_deref()),
        Task::Torture(options) => torture::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Toolchain => toolchain::ensure().map(|_| ()),
        Task::Guests { names } => guests::build(&names),
        Task::Anvil => anvil::ensure().map(|path| println!("{}", path.display())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
