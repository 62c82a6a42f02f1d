//! `cargo xtask ci`: the checks that a change must pass.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    cache::builds::{self, BuildDirectory},
    demo, dist, features, guests, instructions, isolation, package, paths, process, prose, test,
    tools::{self, ACTIONLINT, DENY, TYPOS},
    workspace::{self, BUILDS, WITH_COW},
};

/// The number of blocks that the demo must handle.
const DEMO_BLOCKS: u64 = 3;

/// The blocks of the demo with conditional orders: most orders have posted all of their parts then.
const COW_DEMO_BLOCKS: &str = "40";

/// The manifests of the workspaces: the binary's and the guests'.
const WORKSPACES: [&str; 2] = ["Cargo.toml", "modules/Cargo.toml"];

/// The directory of GitHub's workflows.
const WORKFLOWS: &str = ".github/workflows";

/// A step's name, and its function.
type Step = (&'static str, fn() -> Result<()>);

/// The quick steps come first, so that they report small mistakes soon.
const STEPS: [Step; 26] = [
    ("fmt", fmt),
    ("locks", locks),
    ("isolation", isolation::check),
    ("features", features::check),
    ("typos", typos),
    ("prose", prose::check),
    ("workflows", workflows),
    ("deny", deny),
    ("clippy", || clippy(&["--workspace", "--all-features"])),
    ("clippy-no-features", || {
        let selection = workspace::with_features_of_binary(&[])?;
        clippy(&selection.iter().map(String::as_str).collect::<Vec<_>>())
    }),
    ("clippy-guests", guests::clippy),
    ("doc", doc),
    ("package", package::check),
    ("builds", builds),
    ("dist", dist::check),
    ("instructions", instructions::check),
    ("test", test::run),
    ("test-default", test::of_the_default_build),
    ("test-no-features", test::of_the_build_without_features),
    ("demo", || demo::run(Some(DEMO_BLOCKS))),
    ("demo-cow", || apart(&["demo", "--cow", "--blocks", COW_DEMO_BLOCKS])),
    ("demo-cluster", || apart(&["demo", "--cluster"])),
    ("torture", || apart(&["torture"])),
    ("torture-cluster", || apart(&["torture", "--cluster"])),
    ("torture-effects", || apart(&["torture", "--effects"])),
    ("soak", || apart(&["soak"])),
];

/// Runs the steps with these names, or all, until one fails. Prints the time of each. Runs them in
/// a child process whose environment names cargo's build directory in the user's cache, unless the
/// environment names one already.
pub(crate) fn run(names: &[String]) -> Result<()> {
    for name in names {
        ensure!(
            STEPS.iter().any(|(step, _)| step == name),
            "no step is called {name}; known are {}",
            known()
        );
    }
    if std::env::var_os(builds::VARIABLE).is_some() {
        return run_steps(names);
    }
    let Some(directory) = BuildDirectory::take()? else {
        println!("other tasks use the build directories of the cache; this one builds in the work tree");
        return run_steps(names);
    };
    let mut ci = myself(&["ci"])?;
    directory.apply(&mut ci);
    ci.args(names);
    let outcome = process::run(&mut ci);
    println!("{}", directory.describe());
    outcome
}

fn run_steps(names: &[String]) -> Result<()> {
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

fn fmt() -> Result<()> {
    WORKSPACES
        .iter()
        .try_for_each(|manifest| cargo(&["fmt", "--all", "--check", "--manifest-path", manifest]))
}

/// Fails when a lock file does not fit its manifests.
fn locks() -> Result<()> {
    for manifest in WORKSPACES {
        let mut tree = Command::new("cargo");
        tree.args(["tree", "--locked", "--manifest-path", manifest]);
        process::output(tree.current_dir(paths::root()))?;
    }
    Ok(())
}

fn workflows() -> Result<()> {
    let mut actionlint = Command::new(tools::ensure(&ACTIONLINT)?);
    actionlint.current_dir(paths::root());
    let directory = paths::root().join(WORKFLOWS);
    for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))? {
        actionlint.arg(entry?.path());
    }
    process::run(&mut actionlint)
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

/// Checks the whole workspace, each build of the binary, and the guests. Leaves advisories out,
/// because they change while the tree does not.
fn deny() -> Result<()> {
    let deny = tools::ensure(&DENY)?;
    let binary = BUILDS.map(|features| ("crates/nexum-cli/Cargo.toml", features));
    let whole: [(&str, &[&str]); 2] = [
        ("Cargo.toml", &["--all-features"]),
        ("modules/Cargo.toml", &["--all-features"]),
    ];
    for (manifest, features) in whole.into_iter().chain(binary) {
        let mut check = Command::new(&deny);
        check.args(features).args(["--locked", "--manifest-path", manifest]);
        // One list of exceptions serves all builds. No build needs all of its entries.
        check.args(["check", "--allow=unused-wrapper", "bans", "licenses", "sources"]);
        process::run(check.current_dir(paths::root()))?;
    }
    Ok(())
}

/// Checks each build of the binary, as a user selects it at the root, and links one of them. The
/// tests link and run the others.
fn builds() -> Result<()> {
    let check = |features: &&[&str]| cargo(&[&["check", "--locked"], *features].concat());
    BUILDS.iter().try_for_each(check)?;
    cargo(&[&["build", "--locked"], WITH_COW].concat())
}

/// Runs a task in a child process. A process can handle interrupts only once. The torture restarts
/// its process where it may mount disks, which would repeat the earlier steps.
fn apart(task: &[&str]) -> Result<()> {
    process::run(&mut myself(task)?)
}

/// A task of this program, as a command.
fn myself(task: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(task).current_dir(paths::root());
    Ok(command)
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
