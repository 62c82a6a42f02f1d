//! What a store holds for its guest.

use std::any::TypeId;
use std::sync::Arc;

use wasmtime::component::ResourceTable;

use crate::capability::{Capability, Slot, View};
use crate::limiter::Limiter;
use crate::loader::ModuleMeta;
use crate::scope::EventScope;

/// The host's side of one instance. Host functions reach it through a [`View`].
pub struct HostState {
    pub(crate) meta: Arc<ModuleMeta>,
    pub(crate) scope: EventScope,
    pub(crate) limiter: Limiter,
    table: ResourceTable,
    /// One for each granted capability: a handful, so a list is both smaller and faster than a map.
    slots: Vec<Slot>,
}

impl HostState {
    pub(crate) fn new(meta: Arc<ModuleMeta>, scope: EventScope, slots: Vec<Slot>) -> Self {
        let limiter = Limiter::new(meta.limits);
        Self {
            meta,
            scope,
            limiter,
            table: ResourceTable::new(),
            slots,
        }
    }

    /// The view of a capability: pass it to the `add_to_linker` of the capability's bindings.
    #[expect(clippy::expect_used, reason = "a grant that links a capability also makes its slot")]
    pub fn view<C: Capability>(&mut self) -> View<'_, C::State> {
        let wanted = TypeId::of::<C>();
        let slot = self.slots.iter_mut().find(|(capability, _)| *capability == wanted);
        let state = slot.and_then(|(_, state)| state.downcast_mut::<C::State>());
        View {
            state: state.expect("a capability in the linker has its slot"),
            scope: &mut self.scope,
            table: &mut self.table,
            meta: &self.meta,
        }
    }
}
