//! The command line.

mod dead_letter;
mod exec;
mod module;
mod query;
mod state;

use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use nexum_core::names::ModuleName;
use serde::{Deserialize, Serialize};

pub(crate) use dead_letter::DeadLetter;
#[cfg(feature = "runtime")]
pub(crate) use dead_letter::Letters;
pub(crate) use exec::Exec;
#[cfg(feature = "runtime")]
pub(crate) use module::LoadModule;
pub(crate) use module::Module;
pub(crate) use query::{Answer, Input};
#[cfg(feature = "runtime")]
pub(crate) use state::Form;
pub(crate) use state::State;

/// Where the configuration is looked for unless `--config` says otherwise.
const CONFIG: &str = "engine.toml";

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
    #[command(after_help = "\
Examples:
  nexum run                             run the modules of ./engine.toml
  nexum run --config /etc/nexum.toml    run the modules of another file
  nexum run target/my_module.wasm       run this module on the chains of ./engine.toml
  nexum run --watch my_module.wasm      and go on with the new one whenever it is built anew

A module that is refused does not keep the others from running, unless `--strict` is given. `nexum status` and `nexum module`
show and change what runs.

Exit codes: 0 stopped, 1 failed while running, 2 refused to start.")]
    Run(Run),
    /// Check everything that `run` checks, without network and without running a module
    #[command(after_help = "\
Examples:
  nexum check                           check ./engine.toml and its modules
  nexum check --format json my.wasm     check one module, for a program to read

Exit codes: 0 all is well, 2 something would be refused; each error is a line on stderr.")]
    Check(Check),
    /// Run one WASI command in a sandbox
    #[command(after_help = "\
Examples:
  nexum exec tool.wasm -- --verbose input.txt          run a file, with arguments
  nexum exec --dir ./data::/data:ro package            run package/app.wasm, which sees ./data as /data
  nexum exec --allow-net node.example:443 tool.wasm    let it connect there, and nowhere else

READY is printed before the command is entered, and systemd is told.

Exit codes: the command's own; 2 refused to start, 3 trapped or ended by a limit, 130 and 143 ended by SIGINT and SIGTERM.")]
    Exec(Exec),
    /// Show what is in a component
    #[command(after_help = "\
Example:
  nexum inspect target/my_module.wasm")]
    Inspect(Inspect),
    /// Look at what modules keep, take it along, and mend it
    #[command(after_help = "\
Examples:
  nexum state list                              every module, how much it keeps and how far it has come
  nexum state get my-module balance --utf8      one value
  nexum state export my-module my-module.jsonl  all of a module, for `nexum state import`

A nexum that runs does all of this itself, when it is asked: only `compact` needs it to be stopped, and `purge` and `import` the module
to be removed from it. It also writes what `backup` names.

Exit codes: 0 done, 1 failed or found faults, 2 refused.")]
    State {
        /// The configuration file, which says where the state is [default: engine.toml, if it is there]
        #[arg(long, short, value_name = "FILE", global = true)]
        config: Option<PathBuf>,
        #[command(subcommand)]
        command: State,
    },
    /// Show the modules of a running nexum: where each is in its life, and what it has done
    Status {
        #[command(flatten)]
        running: Running,
        /// How to print them
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show what a module of a running nexum may use, and what it used
    Limits {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        running: Running,
        /// How to print them
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// See and change which modules a running nexum has
    #[command(after_help = "\
Examples:
  nexum module load target/my_module.wasm   add a module
  nexum module reload my-module             go on with what its files are now
  nexum module restart my-module            have a dead module go on

Exit codes: 0 done, 2 refused.")]
    Module {
        #[command(flatten)]
        running: Running,
        #[command(subcommand)]
        command: Module,
    },
    /// Ask a module of a running nexum that answers queries
    #[command(after_help = "\
Examples:
  nexum query my-module --input 'how much?'           ask, and print the answer as it is
  nexum query my-module --input-hex 0x00ff            ask with bytes
  nexum query my-module --input-file - --format json  ask with what comes on stdin

Exit codes: 0 answered, 1 the module did not answer, 2 it was not asked.")]
    Query {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        running: Running,
        #[command(flatten)]
        input: Input,
        /// How to print the answer
        #[arg(long, value_enum, default_value_t)]
        format: Answer,
    },
    /// Look at the events that a module could not handle, and decide about them
    #[command(after_help = "\
Examples:
  nexum dead-letter list my-module              every event that it could not handle
  nexum dead-letter show my-module 1:17:block   why, attempt by attempt
  nexum dead-letter retry my-module --all       have it try all of them again

Exit codes: 0 done, 1 some were not, 2 refused.")]
    DeadLetter {
        #[command(flatten)]
        running: Running,
        #[command(subcommand)]
        command: DeadLetter,
    },
    /// Print a completion script for a shell
    #[command(after_help = "\
Example:
  nexum completions bash > /etc/bash_completion.d/nexum")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which nexum is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Running {
    /// Its configuration file, which says where its state is [default: engine.toml, if it is there]
    #[arg(long, short, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) load: Load,
    /// Refuse to start if any module is refused, and end if the first `init` of any fails
    #[arg(long)]
    pub(crate) strict: bool,
    /// Reload a module when its files change
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// The configuration file [default: engine.toml, if it is there]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Components to load instead of the modules that the configuration names; `nexum.toml` beside one is its manifest
    #[arg(value_name = "MODULE.wasm")]
    pub(crate) modules: Vec<PathBuf>,
}

/// The configuration's path, and whether it may be missing.
pub(crate) fn config_path(named: Option<&Path>) -> (&Path, bool) {
    match named {
        Some(path) => (path, false),
        None => (Path::new(CONFIG), true),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) load: Load,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The component
    #[arg(value_name = "MODULE.wasm")]
    pub(crate) module: PathBuf,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
}
