//! The interface `nexum:host/logging`.

use nexum_config::limits::Limit;
use wasmtime::component::Linker;

use super::bindings::nexum::host::logging::{self, Level};
use super::bindings::trigger;
use crate::BoxError;
use crate::capability::module_meta::ModuleMeta;
use crate::capability::recorder::Excerpt;
use crate::capability::{Capability, Has, HostState, View};
use nexum_config::interface;

/// Log records for the operator, through the module's
/// [`Recorder`](crate::capability::recorder::Recorder).
#[derive(Debug)]
pub(crate) struct Logging;

impl Capability for Logging {
    type State = ();

    fn name(&self) -> &'static str {
        "logging"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        interface::LOGGING
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        logging::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)?;
        trigger::nexum::host::logging::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn prepare(&self, _module: &ModuleMeta) -> Result<Self::State, BoxError> {
        Ok(())
    }
}

impl logging::Host for View<'_, ()> {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Trace => tracing::Level::TRACE,
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        self.record(level, message.len(), || Excerpt::of(&message))
    }
}

impl View<'_, ()> {
    /// Makes a record whose arguments have this many bytes, if the operator's filter accepts the level.
    pub(super) fn record<'a>(
        &mut self,
        level: tracing::Level,
        bytes: usize,
        message: impl FnOnce() -> Excerpt<'a>,
    ) -> wasmtime::Result<()> {
        self.spend_call(bytes)?;
        if self.meta.recorder.is_heard(level) {
            self.scope.spend(Limit::LogRecords, 1)?;
            self.meta.recorder.record_excerpt(level, &message());
        }
        Ok(())
    }
}
