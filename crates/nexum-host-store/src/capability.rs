//! The capability.

use nexum_core::BoxError;
use nexum_core::capability::ModuleMeta;
use nexum_core::capability::{Capability, Has, HostState};
use wasmtime::component::Linker;

use crate::bindings::nexum::host::local_store;
use crate::bindings::trigger;

/// The capability that provides `nexum:host/local-store`, on the host's state store.
#[derive(Clone, Copy, Debug)]
pub struct LocalStore;

impl Capability for LocalStore {
    type State = ();

    fn name(&self) -> &'static str {
        "store"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["nexum:host/local-store@0.2.0", "nexum:host/local-store@0.1.0"]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        local_store::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)?;
        trigger::nexum::host::local_store::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn prepare(&self, _module: &ModuleMeta) -> Result<(), BoxError> {
        Ok(())
    }
}
