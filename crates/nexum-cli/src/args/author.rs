//! The arguments of the commands for authors of modules.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;

use super::Format;

#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// The directory of the module
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Make a Rust compiler for WebAssembly from Debian's packages, if the machine has none
    #[arg(long)]
    pub(crate) make_toolchain: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Runs a project on local chains, and reloads it on each change.
#[cfg(feature = "runtime")]
#[derive(Debug, clap::Args)]
pub(crate) struct Dev {
    /// The project's directory
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
    #[command(flatten)]
    pub(crate) chains: ChainSources,
    /// Mine a block every so many seconds, instead of one for each transaction
    #[arg(long, value_name = "SECONDS")]
    pub(crate) blocks_every: Option<NonZeroU64>,
    #[command(flatten)]
    pub(crate) build: BuildWith,
}

/// Tests a project.
#[cfg(feature = "runtime")]
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// The project's directory
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Build the component and check it in the runtime, on local chains, before the native tests
    #[arg(long)]
    pub(crate) component: bool,
    /// The blocks that the component handles
    #[arg(long, value_name = "COUNT", default_value_t = 3, requires = "component")]
    pub(crate) blocks: u64,
    #[command(flatten)]
    pub(crate) chains: ChainSources,
    #[command(flatten)]
    pub(crate) build: BuildWith,
    /// Arguments for the native tests
    #[arg(value_name = "ARGS", last = true)]
    pub(crate) args: Vec<OsString>,
}

/// The nodes of the local chains.
#[cfg(feature = "runtime")]
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ChainSources {
    /// Use the node at this URL for its chain, instead of starting anvil; repeatable
    #[arg(long, value_name = "URL")]
    pub(crate) rpc: Vec<String>,
    /// Start anvil as a fork of the chain of the node at this URL; repeatable
    #[arg(long, value_name = "URL")]
    pub(crate) fork: Vec<String>,
}

/// Another way to build a project.
#[cfg(feature = "runtime")]
#[derive(Debug, Default, clap::Args)]
pub(crate) struct BuildWith {
    /// Build with this shell command instead of `nexum build`. It writes `build/NAME.wasm` and
    /// `build/nexum.toml`
    #[arg(long, value_name = "COMMAND")]
    pub(crate) build_with: Option<String>,
}

/// The arguments of a process that becomes another program.
#[cfg(feature = "runtime")]
#[derive(Debug, clap::Args)]
pub(crate) struct Leash {
    /// The process that this one ends with
    pub(crate) parent: u32,
    /// The program
    pub(crate) program: OsString,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<OsString>,
}
