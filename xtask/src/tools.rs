//! Cargo's helpers, installed once into `.tools/`, each at one version.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{paths, process};

/// A program that comes as a crate.
#[derive(Debug)]
pub(crate) struct Tool {
    package: &'static str,
    binary: &'static str,
    version: &'static str,
    /// Whether any version that is on PATH already will do.
    any_on_path: bool,
}

/// Checks licences, sources and banned crates.
pub(crate) const DENY: Tool = Tool {
    package: "cargo-deny",
    binary: "cargo-deny",
    version: "0.20.2",
    any_on_path: false,
};

/// Finds misspelt words.
pub(crate) const TYPOS: Tool = Tool {
    package: "typos-cli",
    binary: "typos",
    version: "1.52.0",
    any_on_path: false,
};

/// Runs tests. What passes with one version passes with another.
pub(crate) const NEXTEST: Tool = Tool {
    package: "cargo-nextest",
    binary: "cargo-nextest",
    version: "0.9.143",
    any_on_path: true,
};

/// The path of a tool, installed first if need be.
pub(crate) fn ensure(tool: &Tool) -> Result<PathBuf> {
    if tool.any_on_path && process::exists(tool.binary) {
        return Ok(tool.binary.into());
    }
    // A directory for each version, so that a new pin is a new installation.
    let prefix = paths::tools().join(format!("{}-{}", tool.package, tool.version));
    let binary = prefix.join("bin").join(tool.binary);
    if binary.exists() {
        return Ok(binary);
    }
    process::step(&format!("install {} {}", tool.package, tool.version), || {
        let mut cargo = Command::new("cargo");
        cargo.args([
            "install",
            "--quiet",
            "--locked",
            tool.package,
            "--version",
            tool.version,
        ]);
        cargo.arg("--root").arg(&prefix);
        // These run for a second: what counts is how long they take to build.
        for (key, value) in [
            ("LTO", "off"),
            ("OPT_LEVEL", "1"),
            ("CODEGEN_UNITS", "16"),
            ("DEBUG", "false"),
        ] {
            cargo.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
        }
        process::run(&mut cargo)
    })
    .with_context(|| format!("cannot install {}; is cargo's registry within reach?", tool.package))?;
    Ok(binary)
}
