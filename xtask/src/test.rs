//! `cargo xtask test`: every test of the workspace, with all that they need.

use std::process::Command;

use anyhow::Result;

use crate::{
    anvil, guests, process, prometheus,
    tools::{self, NEXTEST},
    workspace,
};

/// Gets what the tests need, then runs them all.
pub(crate) fn run() -> Result<()> {
    let nextest = tools::ensure(&NEXTEST)?;
    guests::build(&[])?;
    let anvil = anvil::ensure()?;

    let mut tests = Command::new(nextest);
    tests
        .args(["nextest", "run", "--workspace", "--all-features"])
        .env(anvil::VARIABLE, &anvil)
        .envs(prometheus::ensure()?);
    // What is set on the machines of continuous integration everywhere.
    if std::env::var_os("CI").is_some() {
        tests.args(["--profile", "ci"]);
    }
    process::run(&mut tests)?;

    let mut doc_tests = Command::new("cargo");
    doc_tests
        .args(["test", "--doc", "--workspace", "--all-features"])
        .env(anvil::VARIABLE, &anvil);
    process::run(&mut doc_tests)
}

/// Runs the tests of the binary as it is built by default: those of what is absent in it are of no other build. The guests have been
/// built.
pub(crate) fn of_the_default_build() -> Result<()> {
    of_the_binary(&["default"])
}

/// Runs the tests of the binary that runs nothing.
pub(crate) fn of_the_build_without_features() -> Result<()> {
    of_the_binary(&[])
}

fn of_the_binary(features: &[&str]) -> Result<()> {
    let mut tests = Command::new(tools::ensure(&NEXTEST)?);
    tests
        .args(["nextest", "run", "--filterset", "package(nexum-cli)"])
        .args(workspace::with_features_of_binary(features)?)
        .env(anvil::VARIABLE, anvil::ensure()?)
        .envs(prometheus::ensure()?);
    process::run(&mut tests)
}
