//! The arguments of the commands for authors of modules.

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
