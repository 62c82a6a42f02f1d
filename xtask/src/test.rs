//! `cargo xtask test`: builds what all tests of the workspace need, and runs them.

use std::process::Command;

use anyhow::Result;

use crate::{
    anvil, browser, cache, contracts,
    guests::{self, Selection},
    postgres, process, prometheus, schemathesis,
    tools::{self, NEXTEST},
    workspace,
};

/// Selects the tests of the binary.
const BINARY: &str = "package(nexum-cli)";

/// Selects the test of the cursors in a build without the capability `store`.
const CURSORS: &str = "package(nexum-cli) and test(cursors_outlive_the_process_without_the_capability)";

/// Gets what the tests need, then runs them all.
pub(crate) fn run() -> Result<()> {
    let nextest = tools::ensure(&NEXTEST)?;
    guests::build_selection(Selection::AllLanguages)?;
    guests::test_natively()?;
    let anvil = anvil::ensure()?;

    let mut tests = Command::new(nextest);
    tests
        .args(["nextest", "run", "--workspace", "--all-features"])
        .env(anvil::VARIABLE, &anvil)
        .env(contracts::VARIABLE, contracts::ensure()?)
        .env(nexum_build::cache::VARIABLE, cache::cache()?.root())
        .env(postgres::VARIABLE, postgres::ensure()?)
        .env(schemathesis::VARIABLE, schemathesis::ensure()?)
        .envs(browser::ensure()?)
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

/// Runs the tests of the binary with its default features, because some tests cover the absence of
/// features. A build without the capability `store` must keep durable cursors, so that test runs
/// with it too. The guests must be built.
pub(crate) fn of_the_default_build() -> Result<()> {
    of_the_binary(&["default"], BINARY)?;
    of_the_binary(&["chain"], CURSORS)
}

/// Runs the tests of the binary without the runtime.
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
        .env(contracts::VARIABLE, contracts::ensure()?)
        .env(nexum_build::cache::VARIABLE, cache::cache()?.root())
        .env(postgres::VARIABLE, postgres::ensure()?)
        .env(schemathesis::VARIABLE, schemathesis::ensure()?)
        .envs(browser::ensure()?)
        .envs(prometheus::ensure()?);
    process::run(&mut tests)
}
