//! The `nexum` binary.
//!
//! It reads arguments, puts capabilities together (only in `compose`), and reports. Code that an
//! embedder needs too is in `nexum-core` and `nexum-exec`.
//!
//! Exit codes: 0 stopped, 1 failed while running, 2 refused to start. `exec` returns the command's
//! exit code, and 3 after a trap. `build` returns 130 after an interrupt.

mod args;
mod error_code;
mod exit_code;
mod report;

#[cfg(all(test, feature = "runtime"))]
mod kept;

#[cfg(feature = "runtime")]
mod compiler;
#[cfg(feature = "runtime")]
mod compose;
mod configure;
mod contract;
#[cfg(feature = "runtime")]
mod effective;
#[cfg(feature = "runtime")]
mod explain;
#[cfg(feature = "runtime")]
mod modules;
#[cfg(feature = "runtime")]
mod process;
#[cfg(feature = "runtime")]
mod state;

#[cfg(feature = "runtime")]
mod protocol;

#[cfg(feature = "runtime")]
mod client;
#[cfg(feature = "runtime")]
mod daemon;

#[cfg(feature = "author")]
mod author;

mod command;

use std::process::ExitCode;

use clap::FromArgMatches;

use args::Args;
use exit_code::REFUSED;

/// The daemon has many threads and short tasks. Its allocator must reuse freed memory, or return it
/// to the system.
#[cfg(feature = "runtime")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    command::answer(&command::version());
    let args = match Args::from_arg_matches(&args::command_line(command::version()).get_matches()) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    command::perform(args.command)
        .unwrap_or_else(|refusals| {
            refusals.print();
            REFUSED
        })
        .into()
}
