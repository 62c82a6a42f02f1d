//! The interface `nexum:host/random`.

use std::sync::Arc;

use serde_bytes::ByteBuf;
use wasmtime::component::Linker;

use super::bindings::nexum::host::random;
use crate::BoxError;
use crate::capability::module_meta::ModuleMeta;
use crate::capability::{Capability, Has, HostState, View};
use crate::clock::{Entropy, Seams};
use crate::state::scope::journal::RANDOM;
use nexum_config::interface;

/// The most bytes of one call: far above any key or seed, and few enough to take no noticeable
/// time.
pub(super) const RANDOM_BYTES_MAX: u32 = 65_536;

/// The host's entropy.
#[derive(Debug)]
pub(crate) struct Random {
    seams: Seams,
}

impl Random {
    /// Creates a source of the seams' entropy.
    pub(crate) fn new(seams: Seams) -> Self {
        Self { seams }
    }
}

impl Capability for Random {
    type State = Arc<dyn Entropy>;

    fn name(&self) -> &'static str {
        "random"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        interface::RANDOM
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        random::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn prepare(&self, _module: &ModuleMeta) -> Result<Self::State, BoxError> {
        Ok(self.seams.entropy.clone())
    }
}

impl random::Host for View<'_, Arc<dyn Entropy>> {
    /// A request above the bound traps, because the contract has no error here, and a short result
    /// could become a short key.
    fn fill(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        if len > RANDOM_BYTES_MAX {
            wasmtime::bail!("random.fill cannot return {len} bytes; the maximum per call is {RANDOM_BYTES_MAX}");
        }
        self.spend_call(len as usize)?;
        let bytes = self.scope.journal().ask_now(RANDOM, &[&len.to_be_bytes()], || {
            let mut bytes = ByteBuf::from(vec![0; len as usize]);
            self.state.fill(&mut bytes);
            bytes
        });
        Ok(bytes.into_vec())
    }
}
