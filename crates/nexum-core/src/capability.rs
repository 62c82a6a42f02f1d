//! The seam through which a module gets at the world.
//!
//! A capability is a type with state for each instance. It serves WIT interfaces, and is put into a module's linker only
//! if that module was granted it. Its implementation of the generated `Host` trait is on [`View`], which has the
//! capability's state and what every capability shares.
//!
//! Invariant: a [`HostState`] has a slot for every capability in its store's linker; one
//! [`Grant`](crate::capability::grant::Grant) makes both.

pub mod ambient;
pub mod grant;
pub mod module_meta;
pub mod recorder;
pub mod registry;

use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::sync::Arc;

use nexum_config::document::{ConfigErrors, Section};
use nexum_config::engine::Metering;
use nexum_config::limits::Limit;
use wasmtime::component::{HasData, Linker, ResourceTable};

use self::module_meta::ModuleMeta;
use crate::BoxError;
use crate::engine::limiter::Limiter;
use crate::state::scope::{BudgetExhausted, EventScope};

/// Something that a module can be granted.
pub trait Capability: Send + Sync + 'static {
    /// What one instance of a module has of this capability.
    type State: Send + 'static;

    /// The key in manifests and in `engine.toml`: one lower-case word, also the cargo feature's name.
    fn name(&self) -> &'static str;

    /// The WIT interfaces that it serves, with package and version: `nexum:host/chain@0.2.0`.
    fn interfaces(&self) -> &'static [&'static str];

    /// Puts the interfaces into a linker. Called once for each module that was granted the capability, at load.
    ///
    /// # Errors
    ///
    /// When a name is already taken, which is a fault of the program.
    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()>;

    /// Checks a module's own settings, its manifest's `[module.<name>]` or `[capabilities.<name>]`. Called at load, before any
    /// guest code runs, and only if there are settings. The same are in [`ModuleMeta::settings`] when the capability's
    /// other functions are called. A capability that has none, which is the default, refuses every key.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    fn check(&self, settings: &Section) -> Result<(), ConfigErrors> {
        ConfigErrors::check(settings.unknown_keys(&[]))
    }

    /// What the operator should know of a module's settings, though it keeps nothing from working: a sentence each, without a
    /// full stop. Called after [`check`](Self::check) has found nothing wrong. By default there is nothing.
    fn warnings(&self, settings: &Section) -> Vec<String> {
        let _ = settings;
        Vec::new()
    }

    /// Makes the state of a new instance. Called before each `init`, on an async thread: must not block.
    ///
    /// # Errors
    ///
    /// When this module cannot be served; then it does not start.
    fn prepare(&self, module: &ModuleMeta) -> Result<Self::State, BoxError>;
}

/// What a capability's host functions work on.
pub struct View<'a, S> {
    /// The capability's own state in this instance.
    pub state: &'a mut S,
    /// The event in hand and its transaction.
    pub scope: &'a mut EventScope,
    /// Resources that the guest holds handles of.
    pub table: &'a mut ResourceTable,
    /// The module that calls.
    pub meta: &'a ModuleMeta,
}

/// The fuel of a host call that has no other budget, beside one unit per byte: about as many instructions as it takes the host.
const CALL_FUEL: u64 = 500;

impl<S> View<'_, S> {
    /// Draws a host call that handles so many bytes on the event's fuel. Modules whose fuel is not counted draw nothing.
    ///
    /// # Errors
    ///
    /// When the host calls of the event exceed its fuel: the host function returns the error as its trap.
    pub fn spend_call(&mut self, bytes: usize) -> Result<(), BudgetExhausted> {
        match self.meta.metering {
            Metering::Fuel => self.scope.spend(Limit::Fuel, CALL_FUEL.saturating_add(bytes as u64)),
            Metering::Epoch => Ok(()),
        }
    }
}

/// Names a capability's [`View`] to the generated `add_to_linker` functions.
pub struct Has<C>(PhantomData<fn() -> C>);

impl<C: Capability> HasData for Has<C> {
    type Data<'a> = View<'a, C::State>;
}

/// A capability's state in an instance, by the capability's type.
pub(crate) type Slot = (TypeId, Box<dyn Any + Send>);

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
