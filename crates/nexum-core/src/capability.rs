//! The seam between modules and the outside world.
//!
//! A capability is a type with a state for each instance. It serves WIT interfaces. nexum links
//! them only for modules with the grant. The capability implements the generated `Host` trait for
//! [`View`], which has the capability's state and the state that all capabilities share.
//!
//! # Invariants
//!
//! - A [`HostState`] has a slot for every capability in its store's linker. One
//!   [`Grant`] creates both.

pub(crate) mod activity;
pub(crate) mod ambient;
pub(crate) mod answers;
pub(crate) mod chain_methods;
pub(crate) mod effects;
pub(crate) mod grant;
pub(crate) mod module_files;
pub(crate) mod module_meta;
pub(crate) mod recorder;
pub(crate) mod registry;
pub(crate) mod stdio;
mod trial;

use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::sync::Arc;

use nexum_config::document::{ConfigErrors, Section};
use nexum_config::engine::Metering;
use nexum_config::limits::Limit;
use wasmtime::component::{HasData, Linker, ResourceTable};

pub use self::activity::{
    Activity, BackgroundCall, CurrentCall, EndpointTime, Handling, HostCall, HostCallKind, TimeKind, TimeShare, TimeUse,
};
pub use self::answers::{AnswerPlace, Asked};
pub use self::chain_methods::{ChainAccess, ChainMethods, Submission, SubmitError, SubmitTo, Submitted};
pub use self::effects::EffectJournal;
pub use self::grant::{Grant, GrantError};
pub use self::module_files::ModuleFiles;
pub use self::module_meta::{ModuleMeta, Revision};
pub use self::recorder::Recorder;
pub use self::registry::Capabilities;
pub use self::stdio::Stdio;
use crate::BoxError;
use crate::engine::limiter::Limiter;
pub use crate::event::Handler;
pub use crate::state::scope::journal::trial::NotRecorded;
pub use crate::state::scope::journal::{
    EffectCall, EffectError, EffectFault, EffectOutcome, EffectPlan, PreparedEffect, Sending,
};
pub use crate::state::scope::{BudgetExhausted, EventScope, SetError};
pub use crate::state::{CapabilityRows, EffectClass, RowChanges};

/// A unit of access that nexum can grant to a module.
pub trait Capability: Send + Sync + 'static {
    /// The capability's state for one instance of a module.
    type State: Send + 'static;

    /// The key in manifests and in `engine.toml`: one lower-case word, which is also the name of
    /// the cargo feature.
    fn name(&self) -> &'static str;

    /// The WIT interfaces that the capability serves, with package and version:
    /// `nexum:host/chain@0.2.0`.
    fn interfaces(&self) -> &'static [&'static str];

    /// Adds the interfaces to a linker. Called at load, once for each module with the grant.
    ///
    /// # Errors
    ///
    /// Fails if a name is already in the linker, which is a fault of the program.
    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()>;

    /// Checks a module's own settings, the manifest's `[module.<name>]` or `[capabilities.<name>]`.
    /// Called at load, before any guest code runs, and only if there are settings. The other
    /// functions read these settings from [`ModuleMeta::settings`]. The default implementation is
    /// for a capability without settings, and refuses every key.
    ///
    /// # Errors
    ///
    /// Returns all faults of the settings.
    fn check(&self, settings: &Section) -> Result<(), ConfigErrors> {
        ConfigErrors::check(settings.unknown_keys(&[]))
    }

    /// Warnings about valid settings for the operator: one sentence each, without a full stop.
    /// Called after a successful [`check`](Self::check). The default implementation returns none.
    fn warnings(&self, settings: &Section) -> Vec<String> {
        let _ = settings;
        Vec::new()
    }

    /// The requests of a module with these settings that change something outside nexum, and whose receiver may not
    /// recognise a repetition: a few words for the operator. `None` if there are none, as in the default
    /// implementation. Called at load, after a successful [`check`](Self::check) of settings that exist.
    fn unrepeatable(&self, settings: Option<&Section>) -> Option<String> {
        let _ = settings;
        None
    }

    /// Creates the state of a new instance. Called before each `init`, on an async thread, so it
    /// must not block.
    ///
    /// # Errors
    ///
    /// Fails if the capability cannot serve this module. The module then does not start.
    fn prepare(&self, module: &ModuleMeta) -> Result<Self::State, BoxError>;
}

/// The most resources of one instance: streams, pollables and the parts of HTTP requests. A component
/// of the JavaScript tools leaves nine behind for each HTTP request until it collects garbage, so
/// this number lasts for thousands. All of them take about 13 MB of the host's memory, without the
/// contents that a capability bounds.
pub const RESOURCES_MAX: usize = 32_768;

/// The arguments of a capability's host functions.
pub struct View<'a, S> {
    /// The capability's state for this instance.
    pub state: &'a mut S,
    /// The current event and its transaction.
    pub scope: &'a mut EventScope,
    /// The resources to which the guest has handles, up to [`RESOURCES_MAX`].
    pub table: &'a mut ResourceTable,
    /// The calling module.
    pub meta: &'a ModuleMeta,
}

/// The fuel of a host call that has no other budget, beside one unit per byte: about as many
/// instructions as it takes the host.
const CALL_FUEL: u64 = 500;

impl<'a, S> View<'a, S> {
    /// Begins a host call for the module's status: the call that it waits for, and where its time
    /// goes. Each host function that can wait, or whose work adds up, holds the guard until it
    /// returns. `method` is from a fixed list: it is no text of the guest.
    pub fn host_call(&self, kind: HostCallKind, method: &'static str) -> HostCall<'a> {
        if let Some(trial) = self.scope.journal().trial() {
            trial.called(kind.name(), method);
        }
        self.meta.activity.host_call(kind, method)
    }

    /// The committed rows of the capability with this name.
    pub fn rows(&self, name: &'static str) -> CapabilityRows {
        self.scope.capability_rows(name)
    }

    /// The same view for a part of the host with no state of its own in the instance.
    pub fn without_state<'b>(&'b mut self, nothing: &'b mut ()) -> View<'b, ()> {
        View {
            state: nothing,
            scope: self.scope,
            table: self.table,
            meta: self.meta,
        }
    }

    /// Draws a host call that handles this many bytes on the event's fuel. Modules whose fuel is not
    /// counted draw nothing.
    ///
    /// # Errors
    ///
    /// When the host calls of the event exceed its fuel: the host function returns the error as its
    /// trap.
    pub fn spend_call(&mut self, bytes: usize) -> Result<(), BudgetExhausted> {
        match self.meta.metering {
            Metering::Fuel => self.scope.spend(Limit::Fuel, CALL_FUEL.saturating_add(bytes as u64)),
            Metering::Epoch => Ok(()),
        }
    }
}

/// The type that gives a capability's [`View`] to the generated `add_to_linker` functions.
pub struct Has<C>(PhantomData<fn() -> C>);

impl<C: Capability> HasData for Has<C> {
    type Data<'a> = View<'a, C::State>;
}

/// A capability's state for an instance, with the capability's type.
pub(crate) type Slot = (TypeId, Box<dyn Any + Send>);

/// The host's part of one instance. Host functions access it through a [`View`].
pub struct HostState {
    pub(crate) meta: Arc<ModuleMeta>,
    pub(crate) scope: EventScope,
    pub(crate) limiter: Limiter,
    pub(crate) table: ResourceTable,
    /// One slot for each granted capability. They are few, so a list is smaller and faster than a
    /// map.
    slots: Vec<Slot>,
}

impl HostState {
    pub(crate) fn new(meta: Arc<ModuleMeta>, scope: EventScope, slots: Vec<Slot>) -> Self {
        let limiter = Limiter::new(meta.limits);
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let state = Self {
            meta,
            scope,
            limiter,
            table,
            slots,
        };
        state.share_journal();
        state
    }

    /// The view of a capability, for the `add_to_linker` function of its bindings.
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
