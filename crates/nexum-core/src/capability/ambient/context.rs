//! The interface `nexum:functions/context`.

use wasmtime::component::{Linker, Resource};

use crate::BoxError;
use crate::bindings::functions::CallContext;
use crate::bindings::functions::nexum::functions::context::{self, Caller};
use crate::capability::module_meta::ModuleMeta;
use crate::capability::{Capability, Has, HostState, View};
use nexum_config::interface;

/// The context of a function's call. The handle to it is in the table only during the call.
#[derive(Debug)]
pub(crate) struct Contexts;

impl Capability for Contexts {
    type State = ();

    fn name(&self) -> &'static str {
        "context"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        interface::CONTEXT
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        context::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn prepare(&self, _module: &ModuleMeta) -> Result<Self::State, BoxError> {
        Ok(())
    }
}

impl context::Host for View<'_, ()> {}

impl context::HostContext for View<'_, ()> {
    fn caller(&mut self, context: Resource<CallContext>) -> wasmtime::Result<Caller> {
        self.spend_call(0)?;
        Ok(self.table.get(&context)?.caller.clone())
    }

    fn request_id(&mut self, context: Resource<CallContext>) -> wasmtime::Result<String> {
        self.spend_call(0)?;
        Ok(self.table.get(&context)?.request_id.clone())
    }

    /// A guest only borrows contexts, so it never drops one.
    fn drop(&mut self, context: Resource<CallContext>) -> wasmtime::Result<()> {
        self.table.delete(context)?;
        Ok(())
    }
}
