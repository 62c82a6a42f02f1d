//! Child processes, whose errors name the command, and the steps of a task.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use nexum_build::{Error, Progress, process};
use nexum_config::{causes::Causes, hint::Hint};

pub(crate) use nexum_build::process::{exists, line};

/// Prints the steps of a task to stderr: its stdout is its result.
pub(crate) struct Steps;

impl Progress for Steps {
    fn begin(&self, step: &str) {
        eprintln!("{step} ...");
    }

    fn end(&self, step: &str, duration: Duration) {
        eprintln!("{step}: {}", seconds(duration));
    }

    fn note(&self, text: &str) {
        eprintln!("  {text}");
    }
}

/// Runs a command until it exits. The command inherits stdout and stderr.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    process::run(command, &Steps).map_err(explain)
}

/// Runs a command until it exits, and returns its stdout. The error of a failure contains its
/// stderr.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    process::output(command, &Steps).map_err(explain)
}

/// The error with its causes and its remedy.
pub(crate) fn explain(error: Error) -> anyhow::Error {
    match error.hint() {
        Some(hint) => anyhow!("{}; {hint}", Causes(&error)),
        None => error.into(),
    }
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

/// Runs one step of a task, and reports its name and its duration.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    nexum_build::progress::step(&Steps, what, || work().with_context(|| format!("{what}: failed")))
}

/// Formats a duration for the output of a task.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
