//! The compiler that guests are built with.

use std::{path::Path, process::Command};

use anyhow::Result;
use nexum_build::{
    Error,
    toolchain::{BARE, Toolchain, WASI},
};

use crate::{
    cache::{self, builds},
    paths,
    process::{self, Steps},
};

/// The toolchain for guests. Makes it first if necessary.
pub(crate) fn ensure() -> Result<Toolchain> {
    let (cache, directory) = (cache::cache()?, paths::modules());
    let found = match Toolchain::find(&cache, &directory, &[BARE, WASI], &Steps) {
        Err(Error::Toolchain { .. }) => Toolchain::make(&cache, &directory, &Steps),
        found => found,
    };
    found.map_err(process::explain)
}

/// The command `cargo NAME` for the guests' workspace.
pub(crate) fn cargo(toolchain: &Toolchain, name: &str) -> Command {
    // The directory matters: the workspace's own configuration of cargo names the linker.
    let mut cargo = toolchain.cargo(name, &paths::modules());
    cargo.env("CARGO_TARGET_DIR", paths::modules().join("target"));
    if let Some(host) = std::env::var_os(builds::VARIABLE) {
        cargo.env(builds::VARIABLE, builds::of_guests(Path::new(&host)));
    }
    cargo
}
