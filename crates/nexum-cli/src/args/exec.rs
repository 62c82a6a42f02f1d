//! `nexum exec`.

use std::path::PathBuf;

/// The largest `--memory-mib`: the largest `memory_bytes` that `[engine.limits]` accepts.
const MEMORY_MIB_MAX: u64 = 65_536;

#[derive(Debug, clap::Args)]
pub(crate) struct Exec {
    /// The command's file, or a directory with the command in app.wasm
    pub(crate) package: PathBuf,
    /// A directory of the host that the command sees as GUEST. With `:ro`, the command cannot
    /// change it
    #[arg(long = "dir", value_name = "HOST::GUEST[:ro]")]
    pub(crate) dirs: Vec<String>,
    /// A destination that the command may connect to. nexum resolves a name before the command
    /// runs, and accepts only public addresses
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) allow_net: Vec<String>,
    /// An environment variable of the command
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Limit of computation, in units of about one instruction [default: no bound]
    #[arg(long, value_name = "UNITS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) fuel: Option<u64>,
    /// Limit of memory, in MiB [default: 256]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=MEMORY_MIB_MAX))]
    pub(crate) memory_mib: Option<u64>,
    /// Limit of run time, in seconds [default: no bound]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) deadline: Option<u64>,
    /// The command's arguments
    #[arg(last = true)]
    pub(crate) args: Vec<String>,
}
