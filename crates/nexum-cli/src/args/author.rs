//! The arguments of the commands for authors of modules.

#[cfg(feature = "runtime")]
use std::ffi::OsString;
#[cfg(feature = "runtime")]
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use nexum_build::Language;
use nexum_build::template::{Kind, Sdk};

use super::Format;

/// A project to make.
#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// The directory to create. Its last part is the name of the module
    #[arg(value_name = "NAME")]
    pub(crate) directory: PathBuf,
    /// The language
    #[arg(long, default_value = Language::Rust.as_str(), value_parser = language())]
    pub(crate) lang: Language,
    /// The kind of module [default: block, or event for an ABI with an event]
    #[arg(long, value_parser = kind())]
    pub(crate) template: Option<Kind>,
    /// A JSON file with the ABI of a contract, or the output of Foundry or Hardhat
    #[arg(long, value_name = "FILE")]
    pub(crate) abi: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sdk: SdkSource,
}

/// Where cargo gets the SDK.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct SdkSource {
    /// The directory of the crate nexum-sdk [default: that of the checkout in which nexum was
    /// built, or else the registry's version]
    #[arg(long, value_name = "DIR")]
    sdk_path: Option<PathBuf>,
    /// A git repository with the crate nexum-sdk
    #[arg(long, value_name = "URL")]
    sdk_git: Option<String>,
    /// The version of nexum-sdk in the registry
    #[arg(long, value_name = "VERSION")]
    sdk_version: Option<String>,
}

impl SdkSource {
    /// The source that the command line names.
    pub(crate) fn source(self) -> Option<Sdk> {
        let path = self.sdk_path.map(Sdk::Path);
        let git = self.sdk_git.map(Sdk::Git);
        path.or(git).or(self.sdk_version.map(Sdk::Version))
    }
}

#[cfg(feature = "runtime")]
fn seconds(text: &str) -> Result<NonZeroU64, &'static str> {
    text.parse()
        .map_err(|_| "expected a whole number of seconds, at least 1")
}

fn language() -> impl TypedValueParser<Value = Language> {
    let words = Language::ALL.map(|language| language.as_str());
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Language>())
}

fn kind() -> impl TypedValueParser<Value = Kind> {
    let words = Kind::ALL.map(|kind| kind.as_str());
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Kind>())
}

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
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
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
