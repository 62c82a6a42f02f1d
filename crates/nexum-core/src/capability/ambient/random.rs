//! `nexum:host/random`.

use std::sync::Arc;

use wasmtime::component::Linker;

use super::bindings::nexum::host::random;
use crate::BoxError;
use crate::capability::module_meta::ModuleMeta;
use crate::capability::{Capability, Has, HostState, View};
use crate::clock::{Entropy, Seams};

/// How many bytes one call gives at most: far above any key or seed, and too few to cost a noticeable time.
pub(super) const RANDOM_BYTES_MAX: u32 = 65_536;

/// The host's entropy.
#[derive(Debug)]
pub struct Random {
    seams: Seams,
}

impl Random {
    /// Entropy of the seams.
    pub fn new(seams: Seams) -> Self {
        Self { seams }
    }
}

impl Capability for Random {
    type State = Arc<dyn Entropy>;

    fn name(&self) -> &'static str {
        "random"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["nexum:host/random@0.2.0"]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        random::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn prepare(&self, _module: &ModuleMeta) -> Result<Self::State, BoxError> {
        Ok(self.seams.entropy.clone())
    }
}

impl random::Host for View<'_, Arc<dyn Entropy>> {
    /// The contract leaves no room for an error here, and a short answer could become a short key: more than the bound
    /// traps.
    fn fill(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        if len > RANDOM_BYTES_MAX {
            wasmtime::bail!("random.fill was asked for {len} bytes; a call gives at most {RANDOM_BYTES_MAX}");
        }
        self.spend_call(len as usize)?;
        let mut bytes = vec![0; len as usize];
        self.state.fill(&mut bytes);
        Ok(bytes)
    }
}
