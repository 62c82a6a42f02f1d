//! The processes of the system.

use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long the end of a process is waited for: far longer than a slow machine needs.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A pause between two looks at the processes.
const PAUSE: Duration = Duration::from_millis(20);

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) id: u32,
    parent: u32,
    line: String,
}

impl Process {
    /// A word of the command line. The first is the program.
    pub(crate) fn argument(&self, index: usize) -> Option<&str> {
        self.line.split('\0').nth(index)
    }

    /// Whether the name of its program begins so.
    pub(crate) fn is(&self, program: &str) -> bool {
        let name = self.argument(0).and_then(|path| path.rsplit('/').next());
        name.is_some_and(|name| name.starts_with(program))
    }
}

/// `None` for a process that has ended.
fn process(id: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name of the program, in parentheses, can contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let line = std::fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
    (!"ZX".contains(state)).then_some(Process { id, parent, line })
}

fn all() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").expect("a list of processes").flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(process).collect()
}

/// The processes whose parent is `parent`.
pub(crate) fn children(parent: u32) -> Vec<Process> {
    all().into_iter().filter(|process| process.parent == parent).collect()
}

/// The processes below this one.
pub(crate) fn below(root: u32) -> Vec<Process> {
    let mut others = all();
    let mut parents = vec![root];
    let mut found = Vec::new();
    while let Some(parent) = parents.pop() {
        let (children, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(|process| process.parent == parent);
        parents.extend(children.iter().map(|process| process.id));
        found.extend(children);
        others = rest;
    }
    found
}

/// Waits for the end of a process.
pub(crate) async fn gone(id: u32) {
    let deadline = Instant::now() + WAIT_MAX;
    while process(id).is_some() {
        assert!(Instant::now() < deadline, "the process {id} goes on");
        sleep(PAUSE).await;
    }
}

pub(crate) fn send(signal: &str, id: u32) {
    let sent = Command::new("kill").args([signal, &id.to_string()]).status();
    assert!(sent.expect("kill").success());
}
