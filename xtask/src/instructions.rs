//! `cargo xtask instructions`: the instructions of nexum's hot paths, against their budgets.
//!
//! Callgrind counts the same number on a busy machine and on a quiet one. The budgets are those of the toolchain and the
//! libraries of the tree: a change of one of them is a reason to accept new ones.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail, ensure};
use toml_edit::{DocumentMut, Item};

use crate::{guests, paths, process};

/// The bench, and its file with the budgets.
const BENCH: &str = "instructions";
const BUDGETS: &str = "crates/nexum-core/benches/instructions.toml";

/// The guests of the cases.
const GUESTS: [&str; 4] = ["calls", "counter", "noop", "query-echo"];

/// The cases of the bench.
const CASES: [&str; 5] = ["dispatch", "host-call", "commit", "routing", "query"];

/// The part of a budget that a case may exceed, in percent. Two runs differ by at most one percent.
const OVER_PERCENT: u64 = 3;

/// The options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Make the counts of this run the budgets
    #[arg(long)]
    accept: bool,
}

/// Counts each case, and fails if one of them exceeds its budget.
pub(crate) fn run(options: &Options) -> Result<()> {
    guests::build(&GUESTS.map(str::to_owned))?;
    let bench = build()?;
    let mut counts = Vec::new();
    for case in CASES {
        let count = count(&bench, case).with_context(|| format!("cannot count the case {case}"))?;
        counts.push((case, count));
    }
    let path = paths::root().join(BUDGETS);
    if options.accept {
        let mut text =
            "# The instructions of one operation. `cargo xtask instructions --accept` writes them.\n".to_owned();
        for (case, count) in &counts {
            text += &format!("{case} = {count}\n");
        }
        fs::write(&path, text)?;
    }
    let budgets = budgets()?;
    let mut over = Vec::new();
    for (case, count) in &counts {
        let budget = *budgets.get(*case).with_context(|| format!("{BUDGETS} has no {case}"))?;
        let more = (*count as f64 / budget as f64 - 1.0) * 100.0;
        println!("{case:<10} {count:>8} instructions, budget {budget:>8}, {more:+.1} %");
        if exceeds(*count, budget) {
            over.push(format!(
                "{case} needs {count} instructions, {more:.1} % more than {budget}"
            ));
        }
    }
    if !over.is_empty() {
        bail!(
            "{}; make it cheaper, or accept it with `cargo xtask instructions --accept` and say why in the commit",
            over.join("; ")
        );
    }
    Ok(())
}

/// The budget of each case.
fn budgets() -> Result<BTreeMap<String, u64>> {
    let path = paths::root().join(BUDGETS);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let document: DocumentMut = text
        .parse()
        .with_context(|| format!("cannot read {}", path.display()))?;
    let budget = |(case, budget): (&str, &Item)| {
        let budget = budget.as_integer().and_then(|budget| u64::try_from(budget).ok());
        Ok((
            case.to_owned(),
            budget.with_context(|| format!("{BUDGETS}: {case} is no number"))?,
        ))
    };
    document.iter().map(budget).collect()
}

/// For `cargo xtask ci`.
pub(crate) fn check() -> Result<()> {
    run(&Options { accept: false })
}

/// Whether a count is above its budget by more than [`OVER_PERCENT`].
fn exceeds(count: u64, budget: u64) -> bool {
    count * 100 > budget * (100 + OVER_PERCENT)
}

/// Builds the bench, and returns its program.
fn build() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args([
        "bench",
        "--locked",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]);
    cargo.args(["--package=nexum-core", "--bench", BENCH]);
    let output = process::output(cargo.current_dir(paths::root()))?;
    let messages = output.lines().filter_map(|line| serde_json::from_str(line).ok());
    let program = messages.into_iter().find_map(|message: serde_json::Value| {
        let is_bench = message["target"]["name"] == BENCH;
        message["executable"].as_str().filter(|_| is_bench).map(PathBuf::from)
    });
    program.context("cargo names no program of the bench")
}

/// The instructions of one operation of a case.
fn count(bench: &Path, case: &str) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet", "--dump-before=*measured*"]);
    valgrind.arg(format!("--callgrind-out-file={}", file.display()));
    valgrind.arg(bench).arg(case).current_dir(paths::root());
    let printed = process::output(&mut valgrind).context("cannot run valgrind: install the package valgrind")?;
    let operations: u64 = printed.trim().parse().context("the bench prints no number")?;
    // Everything before the measured part is in another file.
    let before = fs::read_dir(folder.path())?.count() - 1;
    ensure!(before == 1, "callgrind found the measured part {before} times");
    let text = fs::read_to_string(&file)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = total
        .and_then(|total| total.trim().parse().ok())
        .context("callgrind wrote no total")?;
    Ok(total / operations.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_compared_with_its_budget() {
        for (count, budget, is_over) in [(100, 100, false), (103, 100, false), (104, 100, true), (50, 100, false)] {
            assert_eq!(exceeds(count, budget), is_over, "{count} of {budget}");
        }
    }

    #[test]
    fn each_case_has_a_budget() {
        let mut cases = CASES;
        cases.sort_unstable();
        let known: Vec<_> = budgets().unwrap().into_keys().collect();
        assert_eq!(known, cases);
    }
}
