//! The Debian package, by cargo-deb. `[package.metadata.deb]` of the binary's manifest lists its files.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use super::{Build, EPOCH, PACKAGE};
use crate::{
    paths, process,
    tools::{self, CARGO_DEB},
};

/// Makes the package of a build, and returns its path.
pub(super) fn make(build: &Build) -> Result<PathBuf> {
    ensure!(
        process::exists("dpkg-shlibdeps"),
        "cargo-deb needs dpkg-shlibdeps for the list of libraries; install the Debian package dpkg-dev"
    );
    let mut deb = Command::new(tools::ensure_compiled(&CARGO_DEB)?);
    deb.args(["deb", "--quiet", "--locked", "--no-build", "--package", PACKAGE]);
    deb.args(["--profile", build.profile]).arg("--output").arg(build.dist());
    deb.env("CARGO_TARGET_DIR", &build.target_dir);
    deb.env(EPOCH, build.epoch.to_string());
    let path = process::output(deb.current_dir(paths::root()))?;
    Ok(path.trim().into())
}
