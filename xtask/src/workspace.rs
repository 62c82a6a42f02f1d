//! The packages of the workspace, and how to select them.

use std::process::Command;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::{paths, process};

/// The package of the binary.
const BINARY: &str = "nexum-cli";

/// The builds of the binary that are checked: cargo's arguments that select the features of each.
pub(crate) const BUILDS: [&[&str]; 11] = [
    &["--no-default-features"],
    &["--no-default-features", "--features=author"],
    &["--no-default-features", "--features=runtime"],
    &[],
    WITH_COW,
    &["--features=identity-aws"],
    &["--features=identity-gcp"],
    &["--features=store-fjall"],
    &["--features=top"],
    &["--features=otel"],
    &["--all-features"],
];

/// The features of the build with the order book.
pub(crate) const WITH_COW: &[&str] = &["--features=cow,chain"];

/// A package of the workspace.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) features: Vec<String>,
}

impl Package {
    pub(crate) fn parse(metadata: &str) -> Result<Vec<Self>> {
        let metadata: Value = serde_json::from_str(metadata)?;
        let Some(packages) = metadata["packages"].as_array() else {
            bail!("cargo's metadata names no packages")
        };
        let parse_one = |package: &Value| Self {
            name: package["name"].as_str().unwrap_or_default().to_owned(),
            features: package["features"]
                .as_object()
                .into_iter()
                .flat_map(|all| all.keys().cloned())
                .collect(),
        };
        Ok(packages.iter().map(parse_one).collect())
    }
}

/// Every package.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--format-version=1", "--no-deps", "--locked"]);
    Package::parse(&process::output(cargo.current_dir(paths::root()))?)
}

/// Selects the whole workspace, with only these features of the binary's package and all features
/// of every other package: the binary's dependencies then have all features, and are not compiled
/// again.
pub(crate) fn with_features_of_binary(features: &[&str]) -> Result<Vec<String>> {
    Ok(selection(&packages()?, features))
}

fn selection(packages: &[Package], features: &[&str]) -> Vec<String> {
    let of_others = packages.iter().filter(|package| package.name != BINARY);
    let of_others = of_others.flat_map(|Package { name, features }| {
        let qualify = move |feature| format!("{name}/{feature}");
        features.iter().map(qualify)
    });
    let of_binary = features.iter().map(|feature| format!("{BINARY}/{feature}"));
    let features: Vec<String> = of_others.chain(of_binary).collect();
    vec![
        "--workspace".into(),
        "--no-default-features".into(),
        format!("--features={}", features.join(",")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_everything_and_what_is_asked_for_of_the_binary() {
        let package = |name: &str, features: &[&str]| Package {
            name: name.into(),
            features: features.iter().map(ToString::to_string).collect(),
        };
        let packages = [
            package("nexum-core", &["runtime"]),
            package(BINARY, &["chain", "cow"]),
            package("nexum-store", &["redb", "sled"]),
        ];
        let others = "--features=nexum-core/runtime,nexum-store/redb,nexum-store/sled";
        assert_eq!(selection(&packages, &[])[2], others);
        assert_eq!(selection(&packages, &["chain"])[2], format!("{others},nexum-cli/chain"));
    }
}
