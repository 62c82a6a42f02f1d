//! Packs the crates that an author needs as a registry gets them, and builds each package.

use std::process::Command;

use anyhow::Result;
use nexum_build::toolchain::BARE;

use crate::{paths, process, toolchain};

/// The crates that a module depends on, directly or through another one.
const CRATES: [&str; 2] = ["nexum-sdk-macros", "nexum-sdk"];

/// Builds the packages natively, as tests of a module do, and for WebAssembly. Fails when a package
/// lacks a file that its build needs.
pub(crate) fn check() -> Result<()> {
    let mut native = Command::new("cargo");
    native.arg("package").current_dir(paths::root());
    process::run(native.args(arguments()))?;
    let mut guest = toolchain::cargo(&toolchain::ensure()?, "package");
    guest.arg("--manifest-path").arg(paths::root().join("Cargo.toml"));
    process::run(guest.args(["--target", BARE]).args(arguments()))
}

/// cargo's arguments for both builds. A change that is not committed yet can be checked too.
fn arguments() -> impl Iterator<Item = &'static str> {
    let packages = CRATES.into_iter().flat_map(|name| ["--package", name]);
    ["--locked", "--quiet", "--allow-dirty"].into_iter().chain(packages)
}
