//! Compares the third-party features of the binary's builds with those of the whole workspace.
//!
//! Cargo compiles a dependency again for each set of features, with all that depends on it. `crates/workspace-hack` selects
//! the features that keep the sets equal.

use std::{collections::BTreeSet, process::Command};

use anyhow::{Result, ensure};

use crate::{paths, process, workspace::BUILDS};

/// Selects the binary without its tests.
const BINARY: &[&str] = &["--package=nexum-cli", "--edges=normal,build"];

/// Packages whose features differ between the binary and the tests, because the difference would add packages or code to
/// the binary. Few packages depend on them.
const DIFFERENT: [&str; 17] = [
    // Fake servers speak WebSocket.
    "axum",
    // The tests compare nexum with the HTTP client of `cowprotocol`, which brings its own root certificates.
    "cowprotocol",
    "cowprotocol-orderbook",
    "hyper-rustls",
    "rustls",
    "rustls-webpki",
    "tokio-rustls",
    // The client of PostgreSQL reads certificates, and hashes passwords.
    "const-oid",
    "der",
    "digest",
    "spki",
    // The library of Google Cloud needs fewer of their features than that of AWS.
    "hex",
    "jiff",
    "jiff-core",
    // A macro below the library of AWS needs fewer of its features than the one below fjall.
    "once_cell",
    // Snapshots are filtered by regular expressions with Unicode tables.
    "regex-automata",
    "regex-syntax",
];

/// Fails with each package that a build of the binary compiles with features the workspace does not have.
pub(crate) fn check() -> Result<()> {
    let workspace = tree(&["--workspace", "--all-features"])?;
    let mut different = BTreeSet::new();
    for features in BUILDS.iter().filter(|features| !is_small(features)) {
        let build = tree(&[BINARY, features].concat())?;
        different.extend(differences(&build, &workspace));
    }
    ensure!(
        different.is_empty(),
        "the binary and the tests compile these packages with different features: {}\n\
         hint: add the missing features to crates/workspace-hack/Cargo.toml",
        different.into_iter().collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// Whether a build has fewer features of its dependencies on purpose.
fn is_small(features: &[&str]) -> bool {
    features.contains(&"--no-default-features")
}

/// The packages of a selection: a line with name, version and features for each, from cargo.
fn tree(selection: &[&str]) -> Result<String> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::root());
    cargo.args(["tree", "--locked", "--prefix=none", "--format={p}|{f}"]);
    process::output(cargo.args(selection))
}

/// The third-party packages of `build` that `workspace` does not have with the same features.
fn differences(build: &str, workspace: &str) -> BTreeSet<String> {
    let packages = |tree: &str| -> BTreeSet<String> {
        let lines = tree.lines().map(|line| line.trim_end_matches(" (*)"));
        // A package of the workspace has its path behind the version.
        lines.filter(|line| !line.contains(" (/")).map(str::to_owned).collect()
    };
    let workspace = packages(workspace);
    let is_different = |package: &str| {
        let name = package.split(' ').next().unwrap_or_default();
        !DIFFERENT.contains(&name)
    };
    let differ = packages(build)
        .into_iter()
        .filter(|package| !workspace.contains(package));
    differ
        .filter(|package| is_different(package))
        .filter_map(|package| package.split('|').next().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_package_with_other_features() {
        let workspace =
            "nexum-core v0.1.0 (/w/crates/nexum-core)|runtime\nserde v1.0.0|derive,rc\nmio v1.2.0|log (*)\n";
        let build = "nexum-core v0.1.0 (/w/crates/nexum-core)|\nserde v1.0.0|derive\nmio v1.2.0|log\n";
        assert_eq!(
            differences(build, workspace),
            BTreeSet::from(["serde v1.0.0".to_owned()])
        );
    }

    #[test]
    fn accepts_the_second_feature_set_of_a_build_dependency() {
        let workspace = "syn v3.0.0|full\nsyn v3.0.0|full,visit\n";
        assert!(differences("syn v3.0.0|full\n", workspace).is_empty());
    }

    #[test]
    fn accepts_the_packages_that_differ_on_purpose() {
        assert!(differences("rustls v0.23.0|std\n", "rustls v0.23.0|ring,std\n").is_empty());
    }
}
