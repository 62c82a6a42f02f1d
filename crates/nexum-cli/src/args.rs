//! The command line.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use nexum_core::names::ModuleName;
use serde::{Deserialize, Serialize};

/// The most memory of a command: as much as an operator may give a module.
const MEMORY_MIB_MAX: u64 = 65_536;

/// Where the configuration is looked for unless `--config` says otherwise.
const CONFIG: &str = "engine.toml";

/// Runs sandboxed WebAssembly modules beside an Ethereum node
#[derive(Debug, Parser)]
#[command(name = "nexum", propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
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
    #[cfg(feature = "store")]
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

#[derive(Debug, Subcommand)]
pub(crate) enum Module {
    /// List the modules: what each is, and what it may do
    List {
        /// How to print them
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Add a module
    Load(LoadModule),
    /// Have a module go on with what its files are now, at the same place and with the same state
    Reload {
        /// The module
        module: ModuleName,
    },
    /// Have a module finish the event in hand, and then wait
    Stop {
        /// The module
        module: ModuleName,
    },
    /// Have a stopped module go on where it was
    Start {
        /// The module
        module: ModuleName,
    },
    /// Have a module go on with a new instance: a dead one at the event that it died at
    Restart {
        /// The module
        module: ModuleName,
    },
    /// Take a module away. What it keeps stays, for when it is loaded again
    Remove {
        /// The module
        module: ModuleName,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct LoadModule {
    /// The component; `nexum.toml` beside it is its manifest
    #[arg(value_name = "MODULE.wasm")]
    pub(crate) path: PathBuf,
    /// Another manifest
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// A name in place of the manifest's
    #[arg(long)]
    pub(crate) name: Option<ModuleName>,
}

/// What a module is asked.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Input {
    /// Text
    #[arg(long, value_name = "TEXT")]
    pub(crate) input: Option<String>,
    /// Bytes, as 0x and hexadecimal digits
    #[arg(long, value_name = "DIGITS")]
    pub(crate) input_hex: Option<String>,
    /// What is in a file; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) input_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Answer {
    /// The bytes as they are
    #[default]
    Raw,
    /// As text and a line's end; refused where it is none
    Text,
    /// As 0x and hexadecimal digits
    Hex,
    /// As JSON, laid out; refused where it is none
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetter {
    /// List them, oldest block first
    List {
        /// The module
        module: ModuleName,
        /// How to print them
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show one, with its attempts and what the module logged in them
    Show {
        /// The module
        module: ModuleName,
        /// The event, as `list` names it
        event: String,
    },
    /// Have the module try them again, one after the other. What goes well is no dead letter any more
    Retry {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        events: Letters,
    },
    /// Forget them: the module will never handle these events
    Skip {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        events: Letters,
    },
}

/// Which dead letters are meant.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Letters {
    /// The events, as `list` names them
    #[arg(value_name = "EVENT")]
    pub(crate) events: Vec<String>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
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
pub(crate) struct Exec {
    /// A command's file, or a directory with the command in app.wasm
    pub(crate) package: PathBuf,
    /// A directory of the host that the command sees as GUEST, and may change unless `:ro` follows
    #[arg(long = "dir", value_name = "HOST::GUEST[:ro]")]
    pub(crate) dirs: Vec<String>,
    /// Where the command may connect to; a name is resolved before it runs, to public addresses alone
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) allow_net: Vec<String>,
    /// A variable of the command's environment
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// How much it may compute, in units of about one instruction [default: no bound]
    #[arg(long, value_name = "UNITS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) fuel: Option<u64>,
    /// How much memory it may have [default: 256]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=MEMORY_MIB_MAX))]
    pub(crate) memory_mib: Option<u64>,
    /// How long it may run [default: no bound]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) deadline: Option<u64>,
    /// The command's arguments
    #[arg(last = true)]
    pub(crate) args: Vec<String>,
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

#[cfg(feature = "store")]
#[derive(Debug, Subcommand)]
pub(crate) enum State {
    /// List modules: keys, bytes, cursors
    List {
        /// How to print them
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print the value of a key
    Get {
        /// The module
        module: ModuleName,
        /// The key
        key: String,
        #[command(flatten)]
        form: Form,
    },
    /// List a module's keys and values
    Scan {
        /// The module
        module: ModuleName,
        /// Only keys that begin with this
        #[arg(long, default_value = "")]
        prefix: String,
        /// How many at most
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Write all of a module as lines of JSON
    Export {
        /// The module
        module: ModuleName,
        /// A file that is not there yet [default: stdout]
        file: Option<PathBuf>,
    },
    /// Take in what `export` wrote
    Import {
        /// The file [default: stdin]
        file: Option<PathBuf>,
    },
    /// Remove a module and all that it kept
    Purge {
        /// The module
        module: ModuleName,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Give back the room that removed rows took
    Compact,
    /// Copy everything to a new redb file
    Backup {
        /// A file that is not there yet
        file: PathBuf,
    },
    /// Hold counters, cursors and undo records against the data
    Verify,
}

#[cfg(feature = "store")]
#[derive(Clone, Copy, Debug, Deserialize, Serialize, clap::Args)]
#[group(multiple = false)]
pub(crate) struct Form {
    /// As 0x and hexadecimal digits: the default
    #[arg(long)]
    pub(crate) hex: bool,
    /// As text; refused where it is none
    #[arg(long)]
    pub(crate) utf8: bool,
    /// As JSON, laid out; refused where it is none
    #[arg(long)]
    pub(crate) json: bool,
}
