//! Which crate may depend on which: the rules of `docs/architecture.md` that the compiler does not know.

use std::process::Command;

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::{paths, process};

/// What the name of every host crate begins with.
const HOST: &str = "nexum-host-";

/// The feature of the binary that alone may bring in the order book's library, which has a licence of its own.
const COW: &str = "cow";

/// Checks every rule and fails with each edge that breaks one.
pub(crate) fn check() -> Result<()> {
    let metadata = process::output(Command::new("cargo").current_dir(paths::root()).args([
        "metadata",
        "--format-version=1",
        "--no-deps",
        "--locked",
    ]))?;
    let mut broken = Vec::new();
    for rule in rules(&Package::parse(&metadata)?) {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(paths::root())
            .args(["tree", "--locked", "--edges=normal,build", "--prefix=none"]);
        cargo.args(["--format={p}", "--package", &rule.package, "--no-default-features"]);
        let tree = process::output(cargo.arg(format!("--features={}", rule.features.join(","))))?;
        let found = rule.broken_by(&tree);
        broken.extend(
            found
                .iter()
                .map(|name| format!("{} depends on {name}: {}", rule.package, rule.why)),
        );
    }
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

/// A package of the workspace.
#[derive(Debug, Clone, PartialEq)]
struct Package {
    name: String,
    features: Vec<String>,
}

impl Package {
    fn parse(metadata: &str) -> Result<Vec<Self>> {
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

/// What one package, with some of its features, must not depend on, directly or through others.
#[derive(Debug)]
struct Rule {
    package: String,
    features: Vec<String>,
    /// What the name of a forbidden package begins with.
    forbidden: &'static str,
    why: &'static str,
}

impl Rule {
    fn new(package: &Package, forbidden: &'static str, why: &'static str) -> Self {
        Self {
            package: package.name.clone(),
            features: package.features.clone(),
            forbidden,
            why,
        }
    }

    /// The packages of a tree that break the rule. A package is no dependency of its own.
    fn broken_by<'a>(&self, tree: &'a str) -> Vec<&'a str> {
        let names = tree.lines().filter_map(|line| line.split_whitespace().next());
        let mut broken: Vec<_> = names
            .filter(|name| name.starts_with(self.forbidden) && *name != self.package)
            .collect();
        broken.sort_unstable();
        broken.dedup();
        broken
    }
}

fn rules(packages: &[Package]) -> Vec<Rule> {
    let mut rules = Vec::new();
    for package in packages {
        match package.name.as_str() {
            "nexum-core" => rules.push(Rule::new(package, HOST, "the core knows no capability")),
            "nexum-cli" => {
                rules.push(Rule::new(package, "nexum-testing", "test tools are not shipped"));
                let mut without_cow = Rule::new(package, "cowprotocol", "a build without `cow` is free of its licence");
                without_cow
                    .features
                    .retain(|feature| feature != COW && feature != "default");
                rules.push(without_cow);
            }
            name if name.starts_with(HOST) => rules.push(Rule::new(package, HOST, "host crates are independent")),
            _ => {}
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"packages": [
        {"name": "nexum-core", "features": {}},
        {"name": "nexum-host-chain", "features": {}},
        {"name": "nexum-cli", "features": {"default": ["chain"], "chain": [], "cow": []}},
        {"name": "xtask", "features": {}}
    ]}"#;

    fn rule(package: &str, forbidden: &str) -> Rule {
        let packages = Package::parse(METADATA).expect("metadata");
        let rule = rules(&packages)
            .into_iter()
            .find(|rule| rule.package == package && rule.forbidden == forbidden);
        rule.expect("a rule")
    }

    #[test]
    fn finds_the_core_depending_on_a_host_crate() {
        let tree =
            "nexum-core v0.1.0 (/w)\nnexum-host-chain v0.1.0 (/w)\nserde v1.0.0\nnexum-host-chain v0.1.0 (/w) (*)\n";
        assert_eq!(rule("nexum-core", HOST).broken_by(tree), ["nexum-host-chain"]);
    }

    #[test]
    fn lets_a_host_crate_be_itself() {
        let tree = "nexum-host-chain v0.1.0 (/w)\nnexum-core v0.1.0 (/w)\n";
        assert!(rule("nexum-host-chain", HOST).broken_by(tree).is_empty());
    }

    #[test]
    fn looks_for_the_order_book_in_builds_without_it() {
        let rule = rule("nexum-cli", "cowprotocol");
        assert_eq!(rule.features, ["chain"]);
        assert_eq!(
            rule.broken_by("nexum-cli v0.1.0\ncowprotocol-primitives v0.2.0\n"),
            ["cowprotocol-primitives"]
        );
    }
}
