//! The rules of `docs/architecture.md` that the compiler does not check: the dependencies between
//! crates, their licences, the absence of cycles between the modules of a crate, and files that no
//! crate contains.

mod circles;
mod reach;

use std::process::Command;

use anyhow::{Result, ensure};

use crate::{
    paths, process,
    workspace::{self, Package},
};

/// The common prefix of the host crates' names.
const HOST: &str = "nexum-host-";

/// The crate that runs modules.
const CORE: &str = "nexum-core";

/// The common prefix of the names of the WebAssembly runtime's crates.
const WASMTIME: &str = "wasmtime";

/// The runtime's implementation of `wasi:http`.
const WASI_HTTP: &str = "wasmtime-wasi-http";

/// The crate that builds modules.
const BUILD: &str = "nexum-build";

/// The only feature of the binary that adds it.
const AUTHOR: &str = "author";

/// The only feature of the binary that adds HTTP for modules.
const HTTP: &str = "http";

/// The only feature of the binary that adds the order book's library, which is under the GPL.
const COW: &str = "cow";

/// The only features of the binary that add the libraries of clouds, with the common prefix of the
/// names of each cloud's packages.
const AWS: (&str, &str) = ("identity-aws", "reqsign-");
const GCP: (&str, &str) = ("identity-gcp", "google-cloud-");

/// The feature with the features of the default build.
const DEFAULT: &str = "default";

/// The only crate that may use the order book's library.
const HOST_COW: &str = "nexum-host-cow";

/// The crate that authors of modules use, and its macros.
const SDK: &str = "nexum-sdk";
const SDK_MACROS: &str = "nexum-sdk-macros";

/// Checks every rule, and fails with each dependency that breaks one.
pub(crate) fn check() -> Result<()> {
    let mut broken = Vec::new();
    for rule in rules(&workspace::packages()?) {
        let tree = rule.tree()?;
        let found = rule.broken_by(&tree).into_iter();
        broken.extend(found.map(|name| format!("{} depends on {name}: {}", rule.package, rule.why)));
    }
    broken.extend(circles::check()?);
    broken.extend(reach::check()?);
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

/// A kind of forbidden dependency.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Forbidden {
    /// Packages whose names have this prefix.
    Named(&'static str),
    /// Packages with this prefix, in the form `name vMAJOR.MINOR`.
    Version(&'static str),
    /// Packages under the GPL without another choice of licence.
    Gpl,
}

impl Forbidden {
    /// Whether the line of a tree is forbidden. A line has a name, a version, a place, and after a
    /// bar the licence.
    fn is(self, line: &str) -> bool {
        let (package, licence) = line.split_once('|').unwrap_or((line, ""));
        match self {
            Self::Named(name) => package.starts_with(name),
            Self::Version(version) => package.starts_with(version),
            Self::Gpl => licence.split(" OR ").all(|choice| choice.contains("GPL")),
        }
    }
}

/// A dependency that a package with certain features must not have, directly or transitively.
#[derive(Debug)]
struct Rule {
    package: String,
    features: Vec<String>,
    forbidden: Forbidden,
    /// The only package that may have the dependency.
    but_through: Option<&'static str>,
    why: &'static str,
}

impl Rule {
    fn new(package: &Package, forbidden: Forbidden, why: &'static str) -> Self {
        Self {
            package: package.name.clone(),
            features: package.features.clone(),
            forbidden,
            but_through: None,
            why,
        }
    }

    fn without(mut self, left_out: &[&str]) -> Self {
        self.features.retain(|feature| !left_out.contains(&feature.as_str()));
        self
    }

    fn only(mut self, feature: &str) -> Self {
        self.features.retain(|other| other == feature);
        self
    }

    fn without_features(mut self) -> Self {
        self.features.clear();
        self
    }

    fn but_through(mut self, package: &'static str) -> Self {
        self.but_through = Some(package);
        self
    }

    /// The dependency tree of the package, one dependency per line.
    fn tree(&self) -> Result<String> {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(paths::root());
        cargo.args([
            "tree",
            "--locked",
            "--edges=normal,build",
            "--prefix=none",
            "--format={p}|{l}",
        ]);
        cargo.args(["--package", &self.package, "--no-default-features"]);
        cargo.arg(format!("--features={}", self.features.join(",")));
        cargo.args(self.but_through.map(|package| format!("--prune={package}")));
        process::output(&mut cargo)
    }

    /// The packages in a tree that break the rule, without the rule's own package.
    fn broken_by<'a>(&self, tree: &'a str) -> Vec<&'a str> {
        let lines = tree.lines().filter(|line| self.forbidden.is(line));
        let names = lines.filter_map(|line| line.split([' ', '|']).next());
        let mut broken: Vec<_> = names.filter(|name| *name != self.package).collect();
        broken.sort_unstable();
        broken.dedup();
        broken
    }
}

fn rules(packages: &[Package]) -> Vec<Rule> {
    packages.iter().flat_map(rules_of).collect()
}

fn rules_of(package: &Package) -> Vec<Rule> {
    let rule = |forbidden, why| Rule::new(package, forbidden, why);
    let gpl_free = |why| rule(Forbidden::Gpl, why);
    match package.name.as_str() {
        CORE => vec![
            rule(Forbidden::Named(HOST), "the core is independent of capabilities"),
            gpl_free("its licence is free of the GPL"),
        ],
        "nexum-config" => vec![
            rule(Forbidden::Named(CORE), "file checks run without the core"),
            rule(Forbidden::Named(HOST), "file checks run without capabilities"),
            rule(Forbidden::Named(WASMTIME), "file checks run without the runtime"),
            gpl_free("its licence is free of the GPL"),
        ],
        "nexum-accounts" => vec![
            rule(Forbidden::Named(CORE), "rules and keys are independent of the core"),
            rule(Forbidden::Named(HOST), "several capabilities share the accounts"),
            rule(
                Forbidden::Named(WASMTIME),
                "rules and keys are independent of the runtime",
            ),
            gpl_free("its licence is free of the GPL"),
        ],
        BUILD => vec![
            rule(Forbidden::Named(CORE), "a module is built without the core"),
            rule(Forbidden::Named(HOST), "a module is built without capabilities"),
            rule(Forbidden::Named(WASMTIME), "a module is built without the runtime"),
            gpl_free("its licence is free of the GPL"),
        ],
        "nexum-exec" => vec![
            rule(Forbidden::Named(HOST), "commands use no capabilities"),
            rule(Forbidden::Named(WASI_HTTP), "commands have no network"),
            gpl_free("its licence is free of the GPL"),
        ],
        "nexum-ledger" => vec![
            rule(Forbidden::Named(HOST), "the ledger knows no capability"),
            gpl_free("its licence is free of the GPL"),
        ],
        "nexum-store" => vec![
            rule(Forbidden::Named(HOST), "the state is durable without any capability"),
            gpl_free("its licence is free of the GPL"),
        ],
        "nexum-cli" => vec![
            rule(Forbidden::Named("nexum-testing"), "the binary contains no test tools"),
            rule(
                Forbidden::Named("cowprotocol"),
                "a build without `cow` must not contain its licence",
            )
            .without(&[COW, DEFAULT]),
            rule(
                Forbidden::Named(WASI_HTTP),
                "a build without `http` has no HTTP for modules",
            )
            .without(&[HTTP, DEFAULT]),
            rule(
                Forbidden::Named(AWS.1),
                "a build without `identity-aws` has no library of AWS",
            )
            .without(&[AWS.0, DEFAULT]),
            rule(
                Forbidden::Named(GCP.1),
                "a build without `identity-gcp` has no library of Google Cloud",
            )
            .without(&[GCP.0, DEFAULT]),
            rule(Forbidden::Named(AWS.1), "the default build has no library of AWS").only(DEFAULT),
            rule(
                Forbidden::Named(GCP.1),
                "the default build has no library of Google Cloud",
            )
            .only(DEFAULT),
            gpl_free("a build without `cow` must be free of the GPL").without(&[COW, DEFAULT]),
            gpl_free("only the order book may be under the GPL").but_through(HOST_COW),
            rule(
                Forbidden::Version("reqwest v0.12."),
                "the binary contains one HTTP client",
            ),
            rule(Forbidden::Named(WASMTIME), "a build without `runtime` runs no modules").without_features(),
            rule(Forbidden::Named(BUILD), "a build without `author` builds no modules").without(&[AUTHOR, DEFAULT]),
        ],
        "workspace-hack" => vec![
            rule(
                Forbidden::Named("nexum-"),
                "it selects features of third-party crates alone",
            ),
            rule(Forbidden::Named(WASMTIME), "it adds no package to a build"),
            gpl_free("its licence is free of the GPL"),
        ],
        SDK => vec![
            rule(Forbidden::Named("nexum-"), "modules are independent of the host").but_through(SDK_MACROS),
            gpl_free("its licence is free of the GPL"),
        ],
        SDK_MACROS => vec![
            rule(Forbidden::Named("nexum-"), "modules are independent of the host"),
            gpl_free("its licence is free of the GPL"),
        ],
        HOST_COW => vec![rule(Forbidden::Named(HOST), "host crates are independent")],
        "nexum-testing" => vec![gpl_free("the test crate is under the workspace's licence")],
        name if name.starts_with("nexum-") => {
            let mut rules = vec![gpl_free("its licence is free of the GPL")];
            if name.starts_with(HOST) {
                rules.push(rule(Forbidden::Named(HOST), "host crates are independent"));
            }
            rules
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"packages": [
        {"name": "nexum-build", "features": {}},
        {"name": "nexum-config", "features": {}},
        {"name": "nexum-core", "features": {}},
        {"name": "nexum-host-chain", "features": {}},
        {"name": "nexum-store", "features": {"redb": [], "sled": []}},
        {"name": "nexum-cli", "features": {"default": ["chain"], "author": [], "chain": [], "cow": [], "http": [], "identity-aws": [], "identity-gcp": []}},
        {"name": "xtask", "features": {}}
    ]}"#;

    /// The features of clouds in [`METADATA`].
    const CLOUDS: &[&str] = &[AWS.0, GCP.0];

    fn rules_on(package: &str, forbidden: Forbidden) -> Vec<Rule> {
        let packages = Package::parse(METADATA).expect("metadata");
        let mut rules = rules(&packages);
        rules.retain(|rule| rule.package == package && rule.forbidden == forbidden);
        rules
    }

    #[test]
    fn finds_the_core_depending_on_a_host_crate() {
        let tree = "nexum-core v0.1.0 (/w)|MIT\nnexum-host-chain v0.1.0 (/w)|MIT\nserde v1.0.0|MIT\n\
                    nexum-host-chain v0.1.0 (/w)|MIT (*)\n";
        let [rule] = &rules_on("nexum-core", Forbidden::Named(HOST))[..] else {
            panic!("one rule")
        };
        assert_eq!(rule.broken_by(tree), ["nexum-host-chain"]);
    }

    #[test]
    fn finds_the_back_ends_depending_on_a_capability() {
        let tree = "nexum-store v0.1.0 (/w)|MIT\nnexum-core v0.1.0 (/w)|MIT\nnexum-host-store v0.1.0 (/w)|MIT\n";
        let [rule] = &rules_on("nexum-store", Forbidden::Named(HOST))[..] else {
            panic!("one rule")
        };
        assert_eq!(rule.features, ["redb", "sled"]);
        assert_eq!(rule.broken_by(tree), ["nexum-host-store"]);
    }

    #[test]
    fn lets_a_host_crate_be_itself() {
        let tree = "nexum-host-chain v0.1.0 (/w)|MIT\nnexum-core v0.1.0 (/w)|MIT\n";
        let [rule] = &rules_on("nexum-host-chain", Forbidden::Named(HOST))[..] else {
            panic!("one rule")
        };
        assert!(rule.broken_by(tree).is_empty());
    }

    #[test]
    fn looks_for_the_order_book_in_builds_without_it() {
        let [rule] = &rules_on("nexum-cli", Forbidden::Named("cowprotocol"))[..] else {
            panic!("one rule")
        };
        assert_eq!(rule.features, [&["author", "chain", "http"][..], CLOUDS].concat());
        let tree = "nexum-cli v0.1.0|MIT\ncowprotocol-primitives v0.2.0|GPL-3.0-or-later\n";
        assert_eq!(rule.broken_by(tree), ["cowprotocol-primitives"]);
    }

    #[test]
    fn looks_for_the_gpl_without_the_order_book_and_beside_it() {
        let [without, beside] = &rules_on("nexum-cli", Forbidden::Gpl)[..] else {
            panic!("two rules")
        };
        assert_eq!(without.features, [&["author", "chain", "http"][..], CLOUDS].concat());
        assert_eq!(without.but_through, None);
        assert_eq!(beside.but_through, Some(HOST_COW));
        let tree = "nexum-cli v0.1.0|MIT\na v1.0.0|MIT OR LGPL-2.1-or-later\nb v1.0.0|GPL-3.0-or-later (*)\n";
        assert_eq!(beside.broken_by(tree), ["b"]);
    }

    #[test]
    fn looks_for_the_runtime_where_nothing_runs() {
        for package in [BUILD, "nexum-config", "nexum-cli"] {
            let [rule] = &rules_on(package, Forbidden::Named(WASMTIME))[..] else {
                panic!("one rule")
            };
            assert!(rule.features.is_empty());
            let tree = "nexum-cli v0.1.0|MIT\nwasmparser v0.254.2|MIT\nwasmtime-wasi v48.0.8|MIT\n";
            assert_eq!(rule.broken_by(tree), ["wasmtime-wasi"]);
        }
    }

    #[test]
    fn looks_for_the_builder_in_builds_without_it() {
        let [rule] = &rules_on("nexum-cli", Forbidden::Named(BUILD))[..] else {
            panic!("one rule")
        };
        assert_eq!(rule.features, [&["chain", "cow", "http"][..], CLOUDS].concat());
        let tree = "nexum-cli v0.1.0|MIT\nnexum-build v0.1.0 (/w)|MIT\n";
        assert_eq!(rule.broken_by(tree), ["nexum-build"]);
    }

    #[test]
    fn looks_for_http_in_builds_without_it() {
        let [rule] = &rules_on("nexum-cli", Forbidden::Named(WASI_HTTP))[..] else {
            panic!("one rule")
        };
        assert_eq!(rule.features, [&["author", "chain", "cow"][..], CLOUDS].concat());
        let tree = "nexum-cli v0.1.0|MIT\nwasmtime-wasi v48.0.8|MIT\nwasmtime-wasi-http v48.0.8|MIT\n";
        assert_eq!(rule.broken_by(tree), ["wasmtime-wasi-http"]);
    }

    #[test]
    fn looks_for_the_libraries_of_clouds_in_builds_without_them() {
        for (feature, prefix) in [AWS, GCP] {
            let [without, default] = &rules_on("nexum-cli", Forbidden::Named(prefix))[..] else {
                panic!("two rules")
            };
            assert!(
                !without
                    .features
                    .iter()
                    .any(|other| other == feature || other == DEFAULT)
            );
            assert!(without.features.iter().any(|other| other.starts_with("identity-")));
            assert_eq!(default.features, [DEFAULT]);
            let tree = format!("nexum-cli v0.1.0|MIT\n{prefix}core v3.0.0|Apache-2.0\n");
            assert_eq!(default.broken_by(&tree), [format!("{prefix}core")]);
        }
    }

    #[test]
    fn looks_for_a_second_http_client() {
        let [rule] = &rules_on("nexum-cli", Forbidden::Version("reqwest v0.12."))[..] else {
            panic!("one rule")
        };
        let tree = "nexum-cli v0.1.0|MIT\nreqwest v0.13.5|MIT\nreqwest v0.12.28|MIT\n";
        assert_eq!(rule.broken_by(tree), ["reqwest"]);
    }
}
