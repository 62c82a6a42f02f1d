//! `cargo xtask ci`: all that must hold before a change is accepted.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    demo, isolation, paths, process, prose, test,
    tools::{self, DENY, TYPOS},
    workspace,
};

/// How many blocks the demo must see handled.
const DEMO_BLOCKS: u64 = 3;

/// The builds of the binary that somebody may want, by what selects their features.
const MIXES: [&[&str]; 5] = [
    &["--no-default-features"],
    &["--no-default-features", "--features", "runtime"],
    &[],
    WITH_COW,
    &["--all-features"],
];

const WITH_COW: &[&str] = &["--features", "cow,chain"];

/// A step's name, and what it does.
type Step = (&'static str, fn() -> Result<()>);

/// Quick ones first, so that small mistakes are told soon.
const STEPS: [Step; 15] = [
    ("fmt", fmt),
    ("isolation", isolation::check),
    ("typos", typos),
    ("prose", prose::check),
    ("deny", deny),
    ("builds", builds),
    ("clippy", || clippy(&["--workspace", "--all-features"])),
    ("clippy-no-features", || {
        let selection = workspace::with_features_of_binary(&[])?;
        clippy(&selection.iter().map(String::as_str).collect::<Vec<_>>())
    }),
    ("doc", doc),
    ("test", test::run),
    ("test-default", test::of_the_default_build),
    ("test-no-features", test::of_the_build_without_features),
    ("demo", || demo::run(Some(DEMO_BLOCKS))),
    ("torture", || apart("torture")),
    ("soak", || apart("soak")),
];

/// Does the steps of these names, or all, until one fails, and tells how long each took.
pub(crate) fn run(names: &[String]) -> Result<()> {
    for name in names {
        ensure!(
            STEPS.iter().any(|(step, _)| step == name),
            "no step is called {name}; known are {}",
            known()
        );
    }
    let mut durations = Vec::new();
    let mut chosen = STEPS
        .iter()
        .filter(|(name, _)| names.is_empty() || names.iter().any(|chosen| chosen == name));
    let outcome = chosen.try_for_each(|(name, step)| {
        println!("==> {name}");
        let begin = Instant::now();
        let outcome = step().with_context(|| format!("the step `{name}` failed"));
        durations.push((*name, begin.elapsed()));
        outcome
    });
    print!("{}", table(&durations, outcome.is_ok()));
    outcome
}

fn known() -> String {
    STEPS.map(|(name, _)| name).join(", ")
}

/// The steps that ran. Only the last can have failed.
fn table(durations: &[(&str, Duration)], all_passed: bool) -> String {
    let row = |(index, (name, duration)): (usize, &(&str, Duration))| {
        let passed = all_passed || index + 1 < durations.len();
        let outcome = if passed { "ok" } else { "FAILED" };
        format!("{name:<24} {:>9}  {outcome}\n", process::seconds(*duration))
    };
    let total: Duration = durations.iter().map(|(_, duration)| *duration).sum();
    let rows: String = durations.iter().enumerate().map(row).collect();
    format!("\n{rows}{:<24} {:>9}\n", "all", process::seconds(total))
}

/// Every workspace of the tree: ours, the guests', the fuzz targets'.
fn fmt() -> Result<()> {
    for manifest in ["Cargo.toml", "modules/Cargo.toml", "fuzz/Cargo.toml"] {
        if paths::root().join(manifest).exists() {
            cargo(&["fmt", "--all", "--check", "--manifest-path", manifest])?;
        }
    }
    Ok(())
}

fn clippy(selection: &[&str]) -> Result<()> {
    let before = ["clippy", "--locked", "--all-targets"];
    cargo(&[&before, selection, &["--", "--deny=warnings"]].concat())
}

fn doc() -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["doc", "--locked", "--workspace", "--all-features", "--no-deps"]);
    process::run(cargo.current_dir(paths::root()).env("RUSTDOCFLAGS", "--deny=warnings"))
}

fn typos() -> Result<()> {
    process::run(Command::new(tools::ensure(&TYPOS)?).current_dir(paths::root()))
}

/// Of the whole workspace, of each build of the binary, and of the guests. Advisories are left out: what is known about a dependency
/// changes while the tree does not.
fn deny() -> Result<()> {
    let deny = tools::ensure(&DENY)?;
    let binary = MIXES.map(|mix| ("crates/nexum-cli/Cargo.toml", mix));
    let whole: [(&str, &[&str]); 2] = [
        ("Cargo.toml", &["--all-features"]),
        ("modules/Cargo.toml", &["--all-features"]),
    ];
    for (manifest, features) in whole.into_iter().chain(binary) {
        let mut check = Command::new(&deny);
        check.args(features).args(["--locked", "--manifest-path", manifest]);
        // One list serves all: no mix has everything that may be reached through something.
        check.args(["check", "--allow=unused-wrapper", "bans", "licenses", "sources"]);
        process::run(check.current_dir(paths::root()))?;
    }
    Ok(())
}

/// At the root, as one who wants the binary builds it: each is checked, and one is built to the end. Each compiles the large
/// dependencies anew, which takes minutes; the binary of other mixes is built and tried by the tests.
fn builds() -> Result<()> {
    let check = |mix: &&[&str]| cargo(&[&["check", "--locked"], *mix].concat());
    MIXES.iter().try_for_each(check)?;
    cargo(&[&["build", "--locked"], WITH_COW].concat())
}

/// In a process of its own: who has to end in order when it is interrupted can say so once in a process; and the torture starts itself
/// anew where it may mount disks, and would begin with the first step again.
fn apart(task: &str) -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    process::run(command.arg(task).current_dir(paths::root()))
}

fn cargo(arguments: &[&str]) -> Result<()> {
    process::run(Command::new("cargo").args(arguments).current_dir(paths::root()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_step_that_failed() {
        let durations = [
            ("format", Duration::from_millis(1_240)),
            ("check", Duration::from_secs(61)),
        ];
        let table = table(&durations, false);
        assert_eq!(
            table
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>(),
            ["", "format 1.2 s ok", "check 61.0 s FAILED", "all 62.2 s"]
        );
    }
}
