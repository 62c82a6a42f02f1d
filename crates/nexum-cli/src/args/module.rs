//! `nexum module`.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use nexum_config::engine::Metering;
use nexum_config::names::ModuleName;

use super::{Format, Why};

#[derive(Debug, Subcommand)]
pub(crate) enum Module {
    /// List the modules: what is wanted, stage, capabilities, origin, file
    List {
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Add a module, until it is removed
    Load(LoadModule),
    /// Replace a module with the current content of its files. It keeps its cursor and state
    Reload {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        why: Why,
    },
    /// Finish the current event of a module, then pause the module until `start`
    Stop {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        why: Why,
    },
    /// Resume a stopped module at its cursor
    Start {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        why: Why,
    },
    /// Restart a module with a new instance. A dead module resumes at the event at which it died
    Restart {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        why: Why,
    },
    /// Remove a module until `load`. Its state stays in the store
    Remove {
        /// The module
        module: ModuleName,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct LoadModule {
    /// The component
    #[arg(value_name = "MODULE.wasm")]
    pub(crate) path: PathBuf,
    /// The manifest [default: `nexum.toml` or `module.toml` beside the component]
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// The module's name; overrides the manifest's
    #[arg(long)]
    pub(crate) name: Option<ModuleName>,
    /// Permit the module's queries to read the state of this module; repeatable
    #[arg(long, value_name = "MODULE")]
    pub(crate) reads: Vec<ModuleName>,
    /// The limit that ends an endless computation: fuel and the deadline, or with `epoch` only the
    /// deadline
    #[arg(long, default_value = FUEL, value_parser = metering())]
    pub(crate) metering: Metering,
    #[command(flatten)]
    pub(crate) why: Why,
}

const FUEL: &str = "fuel";
const EPOCH: &str = "epoch";

fn metering() -> impl TypedValueParser<Value = Metering> {
    PossibleValuesParser::new([FUEL, EPOCH]).map(|name| match name.as_str() {
        EPOCH => Metering::Epoch,
        _ => Metering::Fuel,
    })
}
