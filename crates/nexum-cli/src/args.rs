//! The command line.

#[cfg(feature = "identity")]
mod account;
#[cfg(feature = "author")]
mod author;
#[cfg(feature = "store-postgres")]
mod cluster;
mod config;
mod dead_letter;
mod effect;
mod exec;
mod help;
mod load;
mod logs;
mod module;
mod query;
mod reload;
mod state;
mod status;
#[cfg(feature = "runtime")]
mod trial;

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use nexum_config::names::ModuleName;
use serde::{Deserialize, Serialize};

#[cfg(feature = "identity")]
pub(crate) use account::Account;
#[cfg(feature = "author")]
pub(crate) use author::{Build, New};
#[cfg(all(feature = "author", feature = "runtime"))]
pub(crate) use author::{ChainSources, Dev, Leash, Test};
#[cfg(feature = "store-postgres")]
pub(crate) use cluster::{Cluster, MoveTarget};
pub(crate) use config::Config;
#[cfg(feature = "runtime")]
pub(crate) use config::{ConfigFormat, ShowConfig};
pub(crate) use dead_letter::DeadLetter;
#[cfg(feature = "runtime")]
pub(crate) use dead_letter::Letters;
pub(crate) use effect::Effect;
#[cfg(feature = "runtime")]
pub(crate) use effect::{Only, Outcome};
pub(crate) use exec::Exec;
pub(crate) use load::{Files, Load};
#[cfg(feature = "runtime")]
pub(crate) use logs::Since;
pub(crate) use logs::{Events, LogLevel, Logs, Notify};
#[cfg(feature = "runtime")]
pub(crate) use module::LoadModule;
pub(crate) use module::Module;
pub(crate) use query::{Answer, Question};
#[cfg(feature = "runtime")]
pub(crate) use query::{Arguments, Input};
pub(crate) use reload::Reload;
#[cfg(feature = "runtime")]
pub(crate) use state::Form;
pub(crate) use state::State;
#[cfg(feature = "runtime")]
pub(crate) use status::HealthFormat;
pub(crate) use status::{Health, Status};
#[cfg(feature = "runtime")]
pub(crate) use trial::{Effects as TrialEffects, Replay, Rules, StartState, Try};

/// The name of the configuration file in the working directory.
pub(crate) const CONFIG: &str = "engine.toml";

/// Runs sandboxed WebAssembly modules beside an Ethereum node
#[derive(Debug, Parser)]
#[command(name = "nexum", propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The command line of a build with this version.
pub(crate) fn command_line(version: String) -> clap::Command {
    Args::command().version(version)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run modules until interrupted
    #[command(after_help = help::RUN)]
    Run(Run),
    /// Check the configuration and the modules as `run` does, without events
    #[command(after_help = help::CHECK)]
    Check(Check),
    /// Look at everything that nexum needs: files, rights, disk, memory, clock, endpoints
    #[cfg(feature = "runtime")]
    #[command(after_help = help::DOCTOR)]
    Doctor {
        #[command(flatten)]
        running: Running,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Write a file for a person who helps you: status, log, metrics, masked configuration
    #[cfg(feature = "runtime")]
    #[command(after_help = help::SUPPORT_BUNDLE)]
    SupportBundle {
        /// The new file [default: nexum-support-TIME.tar.gz]
        file: Option<PathBuf>,
        /// Replace the file if it exists
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        running: Running,
    },
    /// Create the project of a module
    #[cfg(feature = "author")]
    #[command(after_help = help::NEW)]
    New(New),
    /// Build the module in a directory: the component, and its manifest
    #[cfg(feature = "author")]
    #[command(after_help = help::BUILD)]
    Build(Build),
    /// Build, run and reload a module on local chains while you write it
    #[cfg(all(feature = "author", feature = "runtime"))]
    #[command(after_help = help::DEV)]
    Dev(Dev),
    /// Run the tests of a module: natively, and as a component on local chains
    #[cfg(all(feature = "author", feature = "runtime"))]
    #[command(after_help = help::TEST)]
    Test(Test),
    /// Run a component on a past block, without effects
    #[cfg(feature = "runtime")]
    #[command(after_help = help::TRY)]
    Try(Try),
    /// Run a module on past blocks again, and compare it with another version
    #[cfg(feature = "runtime")]
    #[command(after_help = help::REPLAY)]
    Replay(Replay),
    /// Run one WASI command in a sandbox
    #[command(after_help = help::EXEC)]
    Exec(Exec),
    /// Show what is in a component or a command
    #[command(after_help = help::INSPECT)]
    Inspect(Inspect),
    /// Inspect, export and repair module state
    #[command(after_help = help::STATE)]
    State {
        /// The configuration file, which names the state directory [default: that of `nexum run`]
        #[arg(long, short, value_name = "FILE", global = true)]
        config: Option<PathBuf>,
        #[command(subcommand)]
        command: State,
    },
    /// Show what the modules of the running daemon do, and why
    #[command(after_help = help::STATUS)]
    Status(Status),
    /// Show the running daemon in this terminal, live
    #[cfg(feature = "top")]
    #[command(after_help = help::TOP)]
    Top(Running),
    /// Show the chains of the running daemon, with their endpoints
    #[command(after_help = help::CHAINS)]
    Chains {
        #[command(flatten)]
        running: Running,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Check whether the running daemon is healthy
    #[command(after_help = help::HEALTH)]
    Health(Health),
    /// Explain what happened to an event, and why
    #[command(after_help = help::EXPLAIN)]
    Explain {
        /// MODULE@BLOCK, an event id, or MODULE for its last event
        of: String,
        #[command(flatten)]
        running: Running,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show the limits of a module of the running daemon, and its use of them
    Limits {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        running: Running,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show the last log records of the running daemon, or follow its log
    #[command(after_help = help::LOGS)]
    Logs(Logs),
    /// Show what happened to modules and chains of the running daemon, or follow it
    #[command(after_help = help::EVENTS)]
    Events(Events),
    /// Show or set the log level of the running daemon
    #[command(after_help = help::LOG_LEVEL)]
    LogLevel(LogLevel),
    /// Test the notifications of the running daemon
    #[command(after_help = help::NOTIFY)]
    Notify {
        #[command(flatten)]
        running: Running,
        #[command(subcommand)]
        command: Notify,
    },
    /// List and change the modules of the running daemon
    #[command(after_help = help::MODULE)]
    Module {
        #[command(flatten)]
        running: Running,
        #[command(subcommand)]
        command: Module,
    },
    /// Send a query to a module of the running daemon, or call one of its functions
    #[command(
        override_usage = "\
nexum query [OPTIONS] <MODULE> <FUNCTION> [--args <JSON>]
       nexum query [OPTIONS] <MODULE> --args <JSON>
       nexum query [OPTIONS] <MODULE> --list
       nexum query [OPTIONS] <MODULE> --input <TEXT>
       nexum query [OPTIONS] <MODULE> --input-hex <DIGITS>
       nexum query [OPTIONS] <MODULE> --input-file <FILE>",
        after_help = help::QUERY
    )]
    Query {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        question: Question,
        #[command(flatten)]
        running: Running,
        /// Format of the answer [default: json for a function, text for a list,
        /// raw for other answers]
        #[arg(long, value_enum)]
        format: Option<Answer>,
    },
    /// Inspect, retry and skip dead letters: events that a module failed to handle
    #[command(after_help = help::DEAD_LETTER)]
    DeadLetter {
        #[command(flatten)]
        running: Running,
        #[command(subcommand)]
        command: DeadLetter,
    },
    /// Inspect and resolve effects: requests of modules that change something outside nexum
    #[command(after_help = help::EFFECT)]
    Effect {
        #[command(flatten)]
        running: Running,
        #[command(subcommand)]
        command: Effect,
    },
    /// Inspect and steer the nodes that share one PostgreSQL database
    #[cfg(feature = "store-postgres")]
    #[command(after_help = help::CLUSTER)]
    Cluster {
        /// The configuration file, which names the database [default: that of `nexum run`]
        #[arg(long, short, value_name = "FILE", global = true)]
        config: Option<PathBuf>,
        #[command(subcommand)]
        command: Cluster,
    },
    /// Inspect the accounts that modules may sign with
    #[cfg(feature = "identity")]
    #[command(after_help = help::ACCOUNT)]
    Account {
        /// The configuration file [default: that of `nexum run`]
        #[arg(long, short, value_name = "FILE", global = true)]
        config: Option<PathBuf>,
        #[command(subcommand)]
        command: Account,
    },
    /// Reload the configuration of the running daemon
    #[command(after_help = help::RELOAD)]
    Reload(Reload),
    /// Show the configuration
    Config {
        #[command(subcommand)]
        command: Config,
    },
    /// Explain the codes of the daemon's errors
    #[command(after_help = help::ERRORS)]
    Errors {
        /// The code, which errors show in brackets
        code: Option<String>,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Become another program, which ends with the process of this id
    #[cfg(all(feature = "author", feature = "runtime"))]
    #[command(hide = true)]
    Leash(Leash),
    /// Compile the component on stdin, as a child process of `run` or `check`
    #[cfg(feature = "runtime")]
    #[command(hide = true)]
    Compile(Compile),
    /// Print a completion script for a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    #[command(after_help = help::MAN)]
    Man {
        /// The directory for the pages of all commands [default: the page of nexum, on stdout]
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// Selects a running daemon.
#[derive(Debug, clap::Args)]
pub(crate) struct Running {
    /// The daemon's configuration file, which names the state directory [default: that of
    /// `nexum run`]
    #[arg(long, short, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}

/// Explains a command that changes something.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Why {
    /// The reason, for the daemon's audit record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) load: Load,
    /// Exit if nexum refuses a module, or if the first `init` of a module fails
    #[arg(long)]
    pub(crate) strict: bool,
    /// Reload a module when its files change
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) load: Load,
    /// Look at the database, the endpoints and the clock too, as `doctor` does. Without this, nexum uses
    /// no network
    #[cfg(feature = "runtime")]
    #[arg(long)]
    pub(crate) online: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// The arguments that nexum-core adds to the command line of a child process.
#[cfg(feature = "runtime")]
#[derive(Debug, clap::Args)]
pub(crate) struct Compile {
    /// The directory of compiled components
    pub(crate) cache: PathBuf,
    /// How the engine meters modules
    pub(crate) metering: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// A component, or a core module that is a command
    #[arg(value_name = "FILE.wasm")]
    pub(crate) module: PathBuf,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// The format of a command's output.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ValueEnum)]
#[cfg_attr(feature = "runtime", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}
