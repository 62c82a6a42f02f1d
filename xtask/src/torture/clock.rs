//! A wall clock that runs backwards, for processes that are to be started under it.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{paths, process};

/// The environment variable that has a library loaded before all others.
pub(super) const PRELOAD: &str = "LD_PRELOAD";

/// Builds the library, which needs the linker's driver that a Rust compiler needs as well.
pub(super) fn build() -> Result<PathBuf> {
    let directory = paths::root().join("target/torture");
    fs::create_dir_all(&directory)?;
    let library = directory.join("clock.so");
    let source = paths::root().join("xtask/torture/clock.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
    process::output(compiler.arg(&library).arg(source))?;
    Ok(library)
}
