//! `nexum exec`.

use std::path::PathBuf;

/// The most memory of a command: as much as an operator may give a module.
const MEMORY_MIB_MAX: u64 = 65_536;

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
