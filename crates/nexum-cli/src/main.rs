//! The `nexum` binary: what an operator runs.
//!
//! It reads arguments, puts capabilities together ([`compose`], the one file that names them), and reports. What an
//! embedder would need too is in `nexum-core`.
//!
//! Exit codes: 0 stopped, 1 failed while running, 2 refused to start.
#![allow(clippy::print_stdout, reason = "reports go to stdout; errors and logs go to stderr")]
#![allow(clippy::print_stderr, reason = "reports go to stdout; errors and logs go to stderr")]

mod args;
mod check;
mod compose;
mod control;
mod inspect;
mod logging;
mod modules;
mod progress;
mod report;
mod run;
#[cfg(feature = "store")]
mod state;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::{Args, Command, Running};
use control::client::{self, Client};

/// Told to stop, and did.
const STOPPED: u8 = 0;
/// Failed while running.
const FAILED: u8 = 1;
/// Refused to start.
const REFUSED: u8 = 2;

/// The command line with what only the build knows.
fn command() -> clap::Command {
    Args::command().version(compose::version())
}

/// Asks the nexum that runs with this configuration.
fn ask(
    running: &Running,
    question: impl FnOnce(&Client<'_>) -> Result<u8, report::Refusals>,
) -> Result<u8, report::Refusals> {
    let (config, _) = modules::configure(running.config.as_deref())?;
    question(&Client::of(&config.state_dir))
}

fn main() -> ExitCode {
    let args = match Args::from_arg_matches(&command().get_matches()) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    let result = match args.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        #[cfg(feature = "store")]
        Command::State { config, command } => state::state(config.as_deref(), &command),
        Command::Status { running, format } => ask(&running, |client| client::status(client, format)),
        Command::Limits {
            module,
            running,
            format,
        } => ask(&running, |client| client::limits(client, &module, format)),
        Command::Module { running, command } => ask(&running, |client| client::module(client, &command)),
        Command::DeadLetter { running, command } => ask(&running, |client| client::dead_letter(client, &command)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut command(), "nexum", &mut std::io::stdout());
            Ok(STOPPED)
        }
    };
    result
        .unwrap_or_else(|refusals| {
            refusals.print();
            REFUSED
        })
        .into()
}
