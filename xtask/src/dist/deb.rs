//! The Debian package, by cargo-deb. `[package.metadata.deb]` of the binary's manifest lists its files.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use super::{Build, EPOCH, PACKAGE};
use crate::{
    paths, process,
    tools::{self, CARGO_DEB},
};

/// The maintainer in the manifest and in the change log.
const MAINTAINER: &str = "The nexum authors <nexum@nexum.invalid>";

/// The change log that Debian's policy asks for: this version, without a list of changes.
pub(super) fn changelog(build: &Build) -> Result<String> {
    let mut date = Command::new("date");
    date.args(["--utc", "--rfc-email", &format!("--date=@{}", build.epoch)]);
    let date = process::output(date.env("LC_ALL", "C"))?;
    Ok(format!(
        "nexum ({version}-1) unstable; urgency=medium\n\n  * Version {version}.\n\n -- {MAINTAINER}  {date}\n",
        version = build.version,
        date = date.trim(),
    ))
}

/// Makes the package of a build, and returns its path.
pub(super) fn make(build: &Build) -> Result<PathBuf> {
    ensure!(
        process::exists("dpkg-shlibdeps"),
        "cargo-deb needs dpkg-shlibdeps for the list of libraries; install the Debian package dpkg-dev"
    );
    let mut deb = Command::new(tools::ensure_compiled(&CARGO_DEB)?);
    deb.args(["deb", "--quiet", "--locked", "--no-build", "--package", PACKAGE]);
    // Half the time for packages that no operator installs.
    if build.profile == "dev" {
        deb.arg("--fast");
    }
    deb.args(["--profile", build.profile]).arg("--output").arg(build.dist());
    deb.env("CARGO_TARGET_DIR", &build.target_dir);
    deb.env(EPOCH, build.epoch.to_string());
    let path = process::output(deb.current_dir(paths::root()))?;
    Ok(path.trim().into())
}
