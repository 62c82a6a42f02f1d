//! The command line.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

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

Exit codes: 0 stopped, 1 failed while running, 2 refused to start.")]
    Run(Load),
    /// Check everything that `run` checks, without network and without running a module
    #[command(after_help = "\
Examples:
  nexum check                           check ./engine.toml and its modules
  nexum check --format json my.wasm     check one module, for a program to read

Exit codes: 0 all is well, 2 something would be refused; each error is a line on stderr.")]
    Check(Check),
    /// Show what is in a component
    #[command(after_help = "\
Example:
  nexum inspect target/my_module.wasm")]
    Inspect(Inspect),
    /// Print a completion script for a shell
    #[command(after_help = "\
Example:
  nexum completions bash > /etc/bash_completion.d/nexum")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
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

impl Load {
    /// The configuration's path, and whether it may be missing.
    pub(crate) fn config_path(&self) -> (&Path, bool) {
        match &self.config {
            Some(path) => (path, false),
            None => (Path::new(CONFIG), true),
        }
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

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
}
