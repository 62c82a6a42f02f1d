//! The command line of a build without the runtime: it only checks files.

mod check;
pub(super) mod functions;

use super::completions::completions;
use super::man::man;
use super::{errors, inspect};
use crate::args::Command;
#[cfg(feature = "author")]
use crate::author;
use crate::exit_code::STOPPED;
use crate::report::{Refusal, Refusals};

/// Carries out a command. Returns the exit code.
///
/// # Errors
///
/// Errors that prevent the start of the command, such as a command that needs the runtime.
pub(crate) fn perform(command: Command) -> Result<u8, Refusals> {
    let name = match command {
        Command::Check(args) => return check::check(&args),
        Command::Inspect(args) => return inspect::inspect(&args),
        #[cfg(feature = "author")]
        Command::New(args) => return author::new(args),
        #[cfg(feature = "author")]
        Command::Build(args) => return author::build(&args),
        Command::Errors { code, format } => return errors::errors(code.as_deref(), format),
        Command::Completions { shell } => {
            completions(shell, version());
            return Ok(STOPPED);
        }
        Command::Man { directory } => return man(directory.as_deref()),
        Command::Run(_) => "run",
        Command::Exec(_) => "exec",
        Command::State { .. } => "state",
        Command::Status(_) => "status",
        Command::Chains { .. } => "chains",
        Command::Health(_) => "health",
        Command::Explain { .. } => "explain",
        Command::Limits { .. } => "limits",
        Command::Logs(_) => "logs",
        Command::Events(_) => "events",
        Command::LogLevel(_) => "log-level",
        Command::Notify { .. } => "notify",
        Command::Module { .. } => "module",
        Command::Query { .. } => "query",
        Command::DeadLetter { .. } => "dead-letter",
        Command::Effect { .. } => "effect",
        Command::Reload(_) => "reload",
        Command::Config { .. } => "config",
    };
    let refusal = Refusal::new(format!("`nexum {name}` needs the runtime, which is not built in"));
    Err(refusal.with_hint("build nexum with `--features runtime`").into())
}

/// The version, with the features of this build.
pub(crate) fn version() -> String {
    format!("{} (features: {FEATURES})", env!("CARGO_PKG_VERSION"))
}

#[cfg(feature = "author")]
const FEATURES: &str = "author";
#[cfg(not(feature = "author"))]
const FEATURES: &str = "none";
