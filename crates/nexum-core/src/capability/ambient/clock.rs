//! The interface `nexum:host/clock`.

use wasmtime::component::Linker;

use super::bindings::nexum::host::clock;
use crate::BoxError;
use crate::capability::module_meta::ModuleMeta;
use crate::capability::{Capability, Has, HostState, View};
use crate::clock::{Clock, Seams};
use nexum_config::interface;

/// The kind of a call for the time of day in a transcript. The other clock has no meaning outside its process, so no
/// transcript has it.
pub(super) const TIME: &str = "time";

/// The host's clocks.
#[derive(Debug)]
pub(crate) struct Clocks {
    seams: Seams,
}

impl Clocks {
    /// Creates clocks with the seams' time.
    pub(crate) fn new(seams: Seams) -> Self {
        Self { seams }
    }
}

impl Capability for Clocks {
    type State = std::sync::Arc<dyn Clock>;

    fn name(&self) -> &'static str {
        "clock"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        interface::CLOCK
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        clock::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn prepare(&self, _module: &ModuleMeta) -> Result<Self::State, BoxError> {
        Ok(self.seams.clock.clone())
    }
}

impl clock::Host for View<'_, std::sync::Arc<dyn Clock>> {
    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        self.spend_call(0)?;
        Ok(self.scope.journal().ask_now(TIME, &[], || self.state.now_ms()))
    }

    fn monotonic_ns(&mut self) -> wasmtime::Result<u64> {
        self.spend_call(0)?;
        Ok(self.scope.journal().monotonic(|| self.state.monotonic_ns()))
    }
}
