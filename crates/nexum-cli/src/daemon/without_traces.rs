//! A build without the feature `otel` exports no traces.

use std::sync::Arc;

use nexum_ledger::Observer;

use crate::configure::TracesConfig;
use crate::report::Refusal;

/// The export of traces: there is none.
pub(super) struct Traces;

impl Traces {
    /// Starts nothing.
    pub(super) fn new(config: Option<TracesConfig>) -> Result<Self, Refusal> {
        match config {
            None => Ok(Self),
            Some(impossible) => match impossible {},
        }
    }

    /// The observer of the ledger's entries: none.
    pub(super) fn observer(&self) -> Option<Arc<dyn Observer>> {
        None
    }

    /// Starts nothing.
    pub(super) fn start(&mut self) {}

    /// Waits for nothing.
    pub(super) async fn finish(self) {}
}
