//! The wall clock that runs backwards.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{paths, process};

/// The environment variable that makes a process load a library before all others.
pub(super) const PRELOAD: &str = "LD_PRELOAD";

/// Builds the library with `cc`, which Rust needs for linking anyway.
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
