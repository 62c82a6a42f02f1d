//! Reports of builds and downloads on stderr, and their interruption.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexum_build::{Error, Progress};
use tokio::sync::RwLock;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::report::print::errln;
use crate::report::{Refusal, Refusals};

/// Prints the steps that take long, and ends operations that an interrupt makes useless.
#[derive(Clone, Debug, Default)]
pub(in crate::author) struct Reports {
    interrupted: Arc<AtomicBool>,
    /// Locked for reading by each operation that runs.
    running: Arc<RwLock<()>>,
}

impl Reports {
    /// Ends the running operations, with the processes that they have started, and waits for their end.
    pub(in crate::author) async fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
        drop(self.running.write().await);
    }

    /// Runs an operation that blocks in a thread of its own. The operation has to end after an
    /// [interrupt](Self::interrupt), whether its caller waits for the result or not.
    pub(in crate::author) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let reports = self.clone();
        spawn_blocking(move || {
            let _running = reports.running.blocking_read();
            work(&reports)
        })
    }

    /// Runs an operation as [`Self::spawn`] does, and waits for its result.
    ///
    /// # Errors
    ///
    /// The error of the operation.
    pub(in crate::author) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Progress) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refusal> {
        match self.spawn(|reports| work(reports)).await {
            Ok(done) => done.map_err(|error| Refusal::with_hint_of(&error)),
            Err(error) => Err(Refusal::of(&error)),
        }
    }
}

/// The errors of a build, each with its hint.
pub(in crate::author) fn refusals(error: Error) -> Refusals {
    match error {
        Error::Manifest(errors) => errors.into(),
        error => Refusal::with_hint_of(&error).into(),
    }
}

impl Progress for Reports {
    fn begin(&self, step: &str) {
        // The compiler shows its own progress.
        if !step.starts_with("compile ") {
            errln!("{step} ...");
        }
    }

    fn end(&self, _: &str, _: Duration) {}

    fn note(&self, _: &str) {}

    fn interrupt(&self) -> Option<&AtomicBool> {
        Some(&self.interrupted)
    }
}
