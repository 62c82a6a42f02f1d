//! The limits of the process, and the memory of the machine, against what the modules need.

use std::fs;
use std::path::Path;

use nexum_config::engine::Config;
use nexum_core::module::Candidate;
use rustix::process::{Resource, getrlimit};

use crate::report::findings::{Area, Finding, bytes};

/// The open files of nexum itself: the ports for metrics and queries, connections to endpoints, the
/// state and the log.
const OWN_FILES: u64 = 512;

/// The open files of an instance whose manifest names a directory of files.
const FILES_PER_INSTANCE: u64 = 64;

/// Looks at the limits of the daemon `pid`, or of this process if no daemon runs.
pub(super) fn findings(config: &Config, candidates: &[Candidate], pid: Option<u32>) -> Vec<Finding> {
    let process = match pid {
        Some(0) | None => "self".to_owned(),
        Some(pid) => pid.to_string(),
    };
    vec![open_files(candidates, &process), memory(config, candidates, &process)]
}

fn open_files(candidates: &[Candidate], process: &str) -> Finding {
    let with_files = candidates.iter().filter(|candidate| candidate.meta.files.is_some());
    let instances: u64 = with_files.map(|candidate| u64::from(candidate.instances())).sum();
    let needed = OWN_FILES.saturating_add(FILES_PER_INSTANCE.saturating_mul(instances));
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap_or_default();
    // nexum raises its limit to the highest that the system permits.
    let limit = match process {
        "self" => Some(getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)),
        _ => open_files_of(&limits),
    };
    let (area, subject) = (Area::Limits, "open files");
    let Some(limit) = limit else {
        let text = format!("/proc/{process}/limits cannot be read");
        return area.unknown(subject, text, "run this command as the user that runs nexum");
    };
    let text = format!("at most {limit}, and nexum needs up to {needed}");
    match limit < needed {
        true => area.warning(subject, text).with_remedy(format!(
            "`LimitNOFILE={needed}` in the systemd unit, or `ulimit -Hn {needed}`"
        )),
        false => area.ok(subject, text),
    }
}

/// The soft limit of open files in `/proc/PID/limits`.
fn open_files_of(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

fn memory(config: &Config, candidates: &[Candidate], process: &str) -> Finding {
    let (area, subject) = (Area::Memory, "modules");
    let modules = candidates
        .iter()
        .map(Candidate::memory_bytes)
        .fold(0, u64::saturating_add);
    let bound = config.total_memory_bytes.map_or(modules, |total| total.min(modules));
    let Some(machine) = memory_of(process) else {
        let text = "the system does not say how much memory there is";
        return area.unknown(
            subject,
            text,
            "compare the memory of the machine with `total_memory_bytes`",
        );
    };
    of_memory(bound, machine)
}

fn of_memory(bound: u64, machine: u64) -> Finding {
    let (area, subject) = (Area::Memory, "modules");
    let text = format!(
        "instances may use up to {}, and {} of memory are there",
        bytes(bound),
        bytes(machine)
    );
    match bound > machine {
        true => area.warning(subject, text).with_remedy(format!(
            "set total_memory_bytes below {machine} in [engine.limits], or lower memory_bytes of the modules"
        )),
        false => area.ok(subject, text),
    }
}

/// The memory of the machine, or of the control group of a process if that has less.
fn memory_of(process: &str) -> Option<u64> {
    let machine = total_of(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let group = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
    let group = group
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .unwrap_or_default();
    let bounds = Path::new(group).ancestors().filter_map(|group| {
        let path = Path::new("/sys/fs/cgroup").join(group).join("memory.max");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    });
    Some(bounds.fold(machine, u64::min))
}

/// The total in `/proc/meminfo`, in bytes.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::findings::Verdict;

    #[test]
    fn instances_must_fit_the_machine() {
        let found = of_memory(2 << 30, 1 << 30);
        assert_eq!(found.state, Verdict::Warning);
        assert_eq!(
            found.text,
            "instances may use up to 2.0 GiB, and 1.0 GiB of memory are there"
        );
        let remedy = "set total_memory_bytes below 1073741824 in [engine.limits], or lower memory_bytes of the modules";
        assert_eq!(found.remedy.as_deref(), Some(remedy));
        assert_eq!(of_memory(1 << 30, 1 << 30).state, Verdict::Ok);
    }

    #[test]
    fn reads_the_texts_of_the_system() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             95000                95000                processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(open_files_of(limits), Some(1_024));
        assert_eq!(
            open_files_of("Max open files            unlimited  unlimited  files\n"),
            Some(u64::MAX)
        );
        assert_eq!(open_files_of(""), None);
        assert_eq!(
            total_of("MemTotal:       24576000 kB\nMemFree: 1 kB\n"),
            Some(24_576_000 << 10)
        );
        assert_eq!(total_of("MemFree: 1 kB\n"), None);
    }
}
