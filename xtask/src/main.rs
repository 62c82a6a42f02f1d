//! The project's tasks: `cargo xtask TASK`.
//!
//! A task downloads its tools in pinned versions into the user's cache ([`cache`]) and installs nothing
//! on the machine. If it cannot get a tool, it fails and says what to do. No task passes by skipping a
//! check.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task reports to the developer"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a task uses the clock and the environment of the machine"
)]

mod bench;
mod ci;
mod demo;
mod dist;
mod first_event;
mod instructions;
mod prose;
mod soak;
mod test;
mod torture;

mod anvil;
mod browser;
mod cluster;
mod contracts;
mod features;
mod guests;
mod isolation;
mod nexum;
mod package;
mod postgres;
mod prometheus;
mod schemathesis;
mod toolchain;
mod tools;

mod cache;
mod paths;
mod process;
mod rpc;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::guests::Selection;

/// The project's tasks.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run nexum with two modules on a local Ethereum node.
    Demo {
        /// Stop after each module has handled N blocks. The default is to run until Ctrl-C.
        #[arg(long, value_name = "N")]
        blocks: Option<u64>,
        /// Run the module `twap` instead, with conditional orders of CoW Protocol and an order book.
        #[arg(long)]
        cow: bool,
        /// Run two processes on one PostgreSQL instead, and kill one.
        #[arg(long, conflicts_with_all = ["cow", "blocks"])]
        cluster: bool,
        /// The number of conditional orders.
        #[arg(long, value_name = "N", requires = "cow")]
        orders: Option<u64>,
    },
    /// Build what the tests need, then run all tests.
    Test,
    /// Run the checks that a change must pass.
    Ci {
        /// The steps to run. The default is all.
        steps: Vec<String>,
    },
    /// Check which crate may depend on which, and that the modules of no crate form a circle.
    Isolation,
    /// Find words that the project's prose avoids.
    Prose,
    /// Measure nexum's performance; see docs/performance.md.
    Bench {
        /// The bench to run.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        name: Option<String>,
        /// Run all benches, one after another.
        #[arg(long)]
        all: bool,
    },
    /// Count the instructions of the hot paths with callgrind, and compare them with their budgets.
    Instructions(instructions::Options),
    /// Measure the time from an empty directory to the first event that a new module handles.
    FirstEvent(first_event::Options),
    /// Kill nexum many times on a chain with reorganisations, and compare its state with the
    /// expected state.
    Torture(torture::Options),
    /// Run good modules beside misbehaving ones, and check that the good ones are unaffected.
    Soak(soak::Options),
    /// Build a compiler for guests, if the active toolchain has no WebAssembly targets.
    Toolchain,
    /// Build the modules of `modules/` into `target/modules/`.
    Guests {
        /// The modules to build. The default is all in Rust.
        names: Vec<String>,
        /// Also build the modules in JavaScript, Python and C. Fetches their tools.
        #[arg(long)]
        all_languages: bool,
    },
    /// Pack the crates that an author needs, and build each from its package.
    Package,
    /// Build nexum, and make the packages that operators install: a tarball and a Debian package.
    Dist(dist::Options),
    /// Print the path of anvil. Download it first if it is not installed.
    Anvil,
    /// Print the variables with which tests find a browser. Fetch Chromium and the packages of npm first if they are
    /// absent.
    Browser,
    /// Print the path of the compiled contracts of the tests. Compile them first if the sources have
    /// changed.
    Contracts,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Demo {
            blocks,
            cow: true,
            orders,
            ..
        } => demo::cow::run(orders, blocks),
        Task::Demo { cluster: true, .. } => demo::cluster::run(),
        Task::Demo { blocks, .. } => demo::run(blocks),
        Task::Test => test::run(),
        Task::Ci { steps } => ci::run(&steps),
        Task::Isolation => isolation::check(),
        Task::Prose => prose::check(),
        Task::Bench { name, all: _ } => bench::run(name.as_deref()),
        Task::Instructions(options) => instructions::run(&options),
        Task::FirstEvent(options) => first_event::run(&options),
        Task::Torture(options) => torture::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Toolchain => toolchain::ensure().map(|_| ()),
        Task::Package => package::check(),
        Task::Dist(options) => dist::run(&options),
        Task::Guests { names, all_languages } => guests::build_selection(Selection::of(&names, all_languages)),
        Task::Anvil => anvil::ensure().map(|path| println!("{}", path.display())),
        Task::Browser => browser::ensure().map(|found| {
            found
                .iter()
                .for_each(|(variable, path)| println!("{variable}={}", path.display()));
        }),
        Task::Contracts => contracts::ensure().map(|path| println!("{}", path.display())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
