//! Child processes whose failure says what was run, and steps whose duration is told.

use std::{
    ffi::OsStr,
    io::ErrorKind,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Runs a command to its end, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = without_package(command)
        .status()
        .with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs a command to its end and returns what it wrote to stdout. What it wrote to stderr is told only if it fails.
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

/// Set when somebody wants it to end.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Has an interrupt end the next [`pause`], so that what was started is ended as well.
pub(crate) fn end_in_order() -> Result<()> {
    Ok(ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))?)
}

/// Waits, unless somebody wants it all to end.
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

/// Whether a program of this name can be started.
pub(crate) fn exists(program: impl AsRef<OsStr>) -> bool {
    let probe = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    !matches!(probe, Err(error) if error.kind() == ErrorKind::NotFound)
}

/// Does one step of a task, saying so before and how long it took after.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("{what} ...");
    let begin = Instant::now();
    let done = work().with_context(|| format!("{what}: failed"))?;
    println!("{what}: {}", seconds(begin.elapsed()));
    Ok(done)
}

/// A duration as people read it in a build's output.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// The command as one would type it, for messages.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn cannot_start(command: &Command) -> String {
    format!(
        "cannot start `{}`; is it installed?",
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
