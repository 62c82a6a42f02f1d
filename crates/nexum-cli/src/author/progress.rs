//! The steps of a command on stderr, and its interruption.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexum_build::Progress;

use crate::report::Refusal;
use crate::report::print::errln;

/// Set by SIGINT and SIGTERM.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Prints the steps of a command to stderr. SIGINT and SIGTERM end the command, with the processes that it
/// started.
pub(crate) struct Steps(());

impl Steps {
    /// Takes over the signals. Call it once.
    ///
    /// # Errors
    ///
    /// If the system refuses the handler.
    pub(crate) fn until_interrupted() -> Result<Self, Refusal> {
        let handle = || INTERRUPTED.store(true, Ordering::Relaxed);
        ctrlc::set_handler(handle).map_err(|error| Refusal::of(&error))?;
        Ok(Self(()))
    }
}

impl Progress for Steps {
    fn begin(&self, step: &str) {
        errln!("{step} ...");
    }

    fn end(&self, step: &str, duration: Duration) {
        errln!("{step}: {:.1} s", duration.as_secs_f64());
    }

    fn note(&self, text: &str) {
        errln!("{text}");
    }

    fn interrupt(&self) -> Option<&AtomicBool> {
        Some(&INTERRUPTED)
    }
}
