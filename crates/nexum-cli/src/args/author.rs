//! The arguments of the commands for authors of modules.

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
