//! Reports of a source that cannot replay.

use std::sync::Arc;
use std::time::Duration;

use nexum_config::causes::Causes;
use nexum_config::names::ModuleName;
use nexum_config::topic::ChainId;

use crate::bus::source::SourceError;
use crate::capability::ModuleMeta;
use crate::clock::Clock;
use crate::outage::{Extent, Outage};

/// The failed replays of one module from one source.
#[derive(Debug)]
pub(super) struct SourceOutage {
    module: ModuleName,
    chain: ChainId,
    clock: Arc<dyn Clock>,
    outage: Outage,
}

impl SourceOutage {
    pub(super) fn new(meta: &ModuleMeta, chain: ChainId) -> Self {
        Self {
            module: meta.name.clone(),
            chain,
            clock: meta.clock.clone(),
            outage: Outage::default(),
        }
    }

    /// Records a failed replay, and reports it if a report is due.
    pub(super) fn failed(&mut self, error: &SourceError) {
        let Some(Extent { seconds, attempts }) = self.outage.failed(self.now()) else {
            return;
        };
        tracing::warn!(
            target: "nexum::event",
            module = self.module.as_str(),
            chain = self.chain,
            error = %Causes(error),
            seconds,
            attempts,
            "cannot replay the events that the module missed; nexum retries"
        );
    }

    /// Records an event from the source, and reports the end of an outage.
    pub(super) fn ended(&mut self) {
        let Some(Extent { seconds, attempts }) = self.outage.ended(self.now()) else {
            return;
        };
        tracing::info!(
            target: "nexum::event",
            module = self.module.as_str(),
            chain = self.chain,
            seconds,
            attempts,
            "the source can replay the events that the module missed again"
        );
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.monotonic_ns())
    }
}
