//! Runs nexum with only the system calls that the service permits.
//!
//! systemd returns an error from a denied call. The filter of this check ends the process instead, so
//! that a denied call of any library fails the check.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use syscalls::Sysno;

use crate::{
    anvil,
    nexum::{Listener, Nexum},
    process,
};

/// The blocks that the module must handle.
const BLOCKS: u64 = 3;

/// The longest wait for these blocks, which take as many seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The groups of system calls, by their names with an `@`, with the calls and groups in each.
type Groups<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Checks and runs a module with the system calls of `unit`. Fails if nexum makes a denied one.
pub(super) fn check(unit: &str, nexum: &Path, module: &Path) -> Result<()> {
    let mut list = Command::new("systemd-analyze");
    let list = process::output(list.args(["syscall-filter", "--no-pager"]))?;
    let filter = filter(&allowed(unit, &groups(&list)))?;

    let anvil = anvil::start(&["--block-time", "1"])?;
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("engine.toml");
    let (id, url, state) = (anvil::CHAIN_ID, anvil.ws_url(), directory.path().join("state"));
    let text =
        format!("[engine]\nstate_dir = {state:?}\n[chains.{id}]\nrpc_url = {url:?}\n[[modules]]\npath = {module:?}\n");
    fs::write(&config, text)?;

    let mut checking = Command::new(nexum);
    checking.args(["check", "--config"]).arg(&config);
    within(&filter, move || process::output(&mut checking))?;
    let (program, log) = (nexum.to_owned(), directory.path().join("log"));
    let mut running = within(&filter, {
        let log = log.clone();
        move || Nexum::<Blocks>::start(&program, &config, &log, &[])
    })?;
    let has_run = running.wait_until(|seen| seen.0 >= BLOCKS, PATIENCE)?;
    let stopped = running.stop();
    let log = || fs::read_to_string(&log).unwrap_or_default();
    ensure!(has_run, "the module handled less than {BLOCKS} blocks:\n{}", log());
    stopped.map(drop).with_context(log)
}

/// The number of log lines of the module, one for each block.
#[derive(Default)]
struct Blocks(u64);

impl Listener for Blocks {
    fn note(&mut self, line: &str) {
        self.0 += u64::from(line.contains("nexum::module: block "));
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Runs `work` in a thread with this filter, which the processes that it starts inherit.
fn within<T: Send + 'static>(filter: &BpfProgram, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let filter = filter.clone();
    let thread = thread::spawn(move || {
        apply_filter(&filter)?;
        work()
    });
    thread.join().map_err(|_| anyhow!("the thread with the filter ended"))?
}

/// The filter that permits these system calls.
fn filter(allowed: &BTreeSet<&str>) -> Result<BpfProgram> {
    // Names of other machines have no number.
    let numbers = allowed.iter().filter_map(|name| name.parse::<Sysno>().ok());
    let rules = numbers.map(|number| (i64::from(number.id()), Vec::new())).collect();
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture)?;
    Ok(filter.try_into()?)
}

/// The groups in the output of `systemd-analyze syscall-filter`: a name, and below it indented entries.
fn groups(list: &str) -> Groups<'_> {
    let mut groups = Groups::new();
    let mut group = "";
    for line in list.lines().filter(|line| !line.trim_start().starts_with('#')) {
        match line.strip_prefix("    ") {
            Some(entry) => groups.entry(group).or_default().push(entry.trim()),
            None => group = line.trim(),
        }
    }
    groups
}

/// The system calls that the lines `SystemCallFilter=` of a unit permit.
fn allowed<'a>(unit: &'a str, groups: &Groups<'a>) -> BTreeSet<&'a str> {
    let mut allowed = BTreeSet::new();
    expand("@default", groups, &mut allowed);
    for line in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let mut named = BTreeSet::new();
        let names = line.strip_prefix('~').unwrap_or(line).split_whitespace();
        names.for_each(|name| expand(name, groups, &mut named));
        match line.starts_with('~') {
            true => allowed.retain(|call| !named.contains(call)),
            false => allowed.extend(named),
        }
    }
    allowed
}

/// Adds a system call, or those of a group.
fn expand<'a>(name: &'a str, groups: &Groups<'a>, calls: &mut BTreeSet<&'a str>) {
    match groups.get(name) {
        Some(entries) => entries.iter().for_each(|entry| expand(entry, groups, calls)),
        None => drop(calls.insert(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_permits_the_calls_of_its_groups_without_the_denied_ones() {
        let list = "@default\n    # Always\n    exit\n\n@io\n    read\n    write\n\n@all\n    # All\n    @io\n    chroot\n\n\
                    # Ungrouped\n";
        let unit = "[Service]\nSystemCallFilter=@all open\nSystemCallFilter=~chroot\n";
        let allowed: Vec<_> = allowed(unit, &groups(list)).into_iter().collect();
        assert_eq!(allowed, ["exit", "open", "read", "write"]);
    }

    #[test]
    fn a_denied_call_ends_the_process() {
        let all_but = |denied: &str| {
            let names = Sysno::iter().map(|call| call.name()).filter(|name| *name != denied);
            filter(&names.collect()).expect("a filter")
        };
        let run = |filter: &BpfProgram| {
            let mut program = Command::new("true");
            within(filter, move || Ok(program.status()?)).expect("an end").success()
        };
        assert!(run(&all_but("reboot")));
        assert!(!run(&all_but("exit_group")));
    }
}
