//! Reports of a long operation to its caller.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Error;

/// Receives the steps of an operation, and can end the operation early.
///
/// Implement it for the interface of a program. No method may block, or print to stdout, which has
/// the result of a command.
pub trait Progress: Sync {
    /// A step begins. `step` is a noun phrase such as `guest toolchain`. Steps nest.
    fn begin(&self, step: &str);

    /// The step that began last ends, without an error.
    fn end(&self, step: &str, duration: Duration);

    /// A remark for the author, which is no error: one line.
    fn note(&self, text: &str);

    /// The flag that ends the operation with [`Error::Interrupted`] when it becomes true.
    ///
    /// With a flag, each child process leads a process group of its own: a signal from the terminal
    /// does not reach it, and the operation ends the whole group when the flag is set. Without a
    /// flag, child processes stay in the group of the caller and receive its signals.
    fn interrupt(&self) -> Option<&AtomicBool> {
        None
    }
}

/// Reports nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str) {}

    fn end(&self, _: &str, _: Duration) {}

    fn note(&self, _: &str) {}
}

/// Reports the beginning and the end of a step, and returns its result.
///
/// # Errors
///
/// The error of the step.
pub fn step<T, E>(progress: &dyn Progress, name: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    progress.begin(name);
    let begin = Instant::now();
    let done = work()?;
    progress.end(name, begin.elapsed());
    Ok(done)
}

/// Fails if the caller has set the flag of [`Progress::interrupt`].
pub(crate) fn check(progress: &dyn Progress) -> Result<(), Error> {
    match progress.interrupt().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
        true => Err(Error::Interrupted),
        false => Ok(()),
    }
}

/// A caller that can interrupt, for tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Interruptible(pub(crate) AtomicBool);

#[cfg(test)]
impl Progress for Interruptible {
    fn begin(&self, _: &str) {}

    fn end(&self, _: &str, _: Duration) {}

    fn note(&self, _: &str) {}

    fn interrupt(&self) -> Option<&AtomicBool> {
        Some(&self.0)
    }
}
