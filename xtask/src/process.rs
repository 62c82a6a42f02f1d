//! Child processes, whose errors name the command, and the steps of a task.

use std::{
    ffi::OsStr,
    io::ErrorKind,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Runs a command until it exits. The command inherits stdout and stderr.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = without_package(command)
        .status()
        .with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs a command until it exits, and returns its stdout. The error of a failure contains its
/// stderr.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = without_package(command)
        .stdin(Stdio::null())
        .output()
        .with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!(
            "`{}` failed: {status}\n{}",
            line(command),
            String::from_utf8_lossy(&stderr).trim_end()
        );
    }
    String::from_utf8(stdout).with_context(|| format!("`{}` did not print UTF-8", line(command)))
}

/// Removes the variables in which `cargo run` describes this program's package, with the path of the clone. Build scripts of
/// dependencies read variables of these names: cargo would compile `ring` and its dependents again for each clone.
fn without_package(command: &mut Command) -> &mut Command {
    let names = std::env::vars_os().map(|(name, _)| name);
    let of_package = names.filter(|name| is_of_package(&name.to_string_lossy()));
    of_package.fold(command, |command, name| command.env_remove(name))
}

fn is_of_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"]
        .iter()
        .any(|prefix| variable.starts_with(prefix))
}

/// Set by an interrupt.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes an interrupt fail the next [`pause`], so that the task stops its child processes.
pub(crate) fn end_in_order() -> Result<()> {
    Ok(ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))?)
}

/// Waits. Fails after an interrupt.
pub(crate) fn pause(duration: Duration) -> Result<()> {
    const STEP: Duration = Duration::from_millis(50);
    let end = Instant::now() + duration;
    loop {
        if INTERRUPTED.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(STEP));
    }
}

/// Whether a program with this name can start.
pub(crate) fn exists(program: impl AsRef<OsStr>) -> bool {
    let probe = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    !matches!(probe, Err(error) if error.kind() == ErrorKind::NotFound)
}

/// Runs one step of a task. It prints the step's name before and its duration after, to stderr: a
/// task's stdout is its result.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("{what} ...");
    let begin = Instant::now();
    let done = work().with_context(|| format!("{what}: failed"))?;
    eprintln!("{what}: {}", seconds(begin.elapsed()));
    Ok(done)
}

/// Formats a duration for the output of a task.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// The command as a shell line, for messages.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn cannot_start(command: &Command) -> String {
    format!(
        "cannot start `{}`; install it, or add it to PATH",
        command.get_program().to_string_lossy()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_does_not_see_the_package_of_this_program() {
        // Cargo sets the variable for tests, too.
        assert_eq!(std::env::var("CARGO_PKG_NAME").as_deref(), Ok("xtask"));
        let variables = output(&mut Command::new("env")).expect("the variables of a child");
        assert!(variables.contains("PATH="), "{variables}");
        assert!(!variables.lines().any(is_of_package), "{variables}");
    }
}
