//! `nexum module`.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use nexum_config::engine::Metering;
use nexum_config::names::ModuleName;

use super::Format;

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
    /// What ends it when it computes without end: its fuel, or the deadline alone
    #[arg(long, default_value = FUEL, value_parser = metering())]
    pub(crate) metering: Metering,
}

const FUEL: &str = "fuel";
const EPOCH: &str = "epoch";

fn metering() -> impl TypedValueParser<Value = Metering> {
    PossibleValuesParser::new([FUEL, EPOCH]).map(|name| match name.as_str() {
        EPOCH => Metering::Epoch,
        _ => Metering::Fuel,
    })
}
