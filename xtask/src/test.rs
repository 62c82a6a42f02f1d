//! `cargo xtask test`: every test of the workspace, with all that they need.

use std::process::Command;

use anyhow::Result;

use crate::{
    anvil, guests, process, prometheus,
    tools::{self, NEXTEST},
    workspace,
};

/// Selects the tests of the binary.
const BINARY: &str = "package(nexum-cli)";

/// Selects the test of what a build without the capability `store` keeps.
const CURSORS: &str = "package(nexum-cli) and test(cursors_outlive_the_process_without_the_capability)";

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
    // Every service of continuous integration sets this variable.
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

/// Runs the tests of the binary as it is built by default: those of what is absent in it are of no other build. A build without
/// the capability `store` has to keep durable cursors, so the test of these runs with that build, too. The guests have been built.
pub(crate) fn of_the_default_build() -> Result<()> {
    of_the_binary(&["default"], BINARY)?;
    of_the_binary(&["chain"], CURSORS)
}

/// Runs the tests of the binary that runs nothing.
pub(crate) fn of_the_build_without_features() -> Result<()> {
    of_the_binary(&[], BINARY)
}

/// Runs the tests that the filter selects, with these features of the binary.
fn of_the_binary(features: &[&str], filter: &str) -> Result<()> {
    let mut tests = Command::new(tools::ensure(&NEXTEST)?);
    tests
        .args(["nextest", "run", "--filterset", filter])
        .args(workspace::with_features_of_binary(features)?)
        .env(anvil::VARIABLE, anvil::ensure()?)
        .envs(prometheus::ensure()?);
    process::run(&mut tests)
}
