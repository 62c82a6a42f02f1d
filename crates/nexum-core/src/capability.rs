//! The seam through which a module gets at the world.
//!
//! A capability is a type with state for each instance. It serves WIT interfaces, and is put into a module's linker only
//! if that module was granted it. Its implementation of the generated `Host` trait is on [`View`], which has the
//! capability's state and what every capability shares.
//!
//! Invariant: a [`HostState`] has a slot for every capability in its store's linker; one
//! [`Grant`](crate::grant::Grant) makes both.

use std::any::{Any, TypeId};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use wasmtime::component::{HasData, Linker, ResourceTable};

use crate::BoxError;
use crate::ambient::{self, Seams};
use crate::document::{ConfigErrors, Section};
use crate::host::HostState;
use crate::loader::ModuleMeta;
use crate::scope::EventScope;

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

/// Names a capability's [`View`] to the generated `add_to_linker` functions.
pub struct Has<C>(PhantomData<fn() -> C>);

impl<C: Capability> HasData for Has<C> {
    type Data<'a> = View<'a, C::State>;
}

/// A capability's state in an instance, by the capability's type.
pub(crate) type Slot = (TypeId, Box<dyn Any + Send>);

/// A [`Capability`] without its type.
trait Erased: Send + Sync {
    fn check(&self, settings: &Section) -> Result<(), ConfigErrors>;
    fn warnings(&self, settings: &Section) -> Vec<String>;
    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()>;
    fn prepare(&self, module: &ModuleMeta) -> Result<Slot, BoxError>;
}

impl<C: Capability> Erased for C {
    fn check(&self, settings: &Section) -> Result<(), ConfigErrors> {
        Capability::check(self, settings)
    }

    fn warnings(&self, settings: &Section) -> Vec<String> {
        Capability::warnings(self, settings)
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        Capability::link(self, linker)
    }

    fn prepare(&self, module: &ModuleMeta) -> Result<Slot, BoxError> {
        Ok((TypeId::of::<C>(), Box::new(Capability::prepare(self, module)?)))
    }
}

/// A capability that this build can grant.
#[derive(Clone)]
pub(crate) struct Present(Arc<dyn Erased>);

impl Present {
    pub(crate) fn check(&self, settings: &Section) -> Result<(), ConfigErrors> {
        self.0.check(settings)
    }

    pub(crate) fn warnings(&self, settings: &Section) -> Vec<String> {
        self.0.warnings(settings)
    }

    pub(crate) fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        self.0.link(linker)
    }

    pub(crate) fn prepare(&self, module: &ModuleMeta) -> Result<Slot, BoxError> {
        self.0.prepare(module)
    }
}

/// How a capability stands in a build.
#[derive(Clone)]
pub(crate) enum Standing {
    /// Every module has it unless its manifest denies it.
    Ambient(Present),
    /// A module has it if its manifest asks for it.
    Granted(Present),
    /// Known by name, but not in this build.
    Absent {
        /// The cargo feature that would bring it, if any release has it.
        feature: Option<&'static str>,
    },
}

/// A capability by name.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) interfaces: &'static [&'static str],
    pub(crate) standing: Standing,
}

impl Known {
    /// Whether it serves this import. A guest may have been built against another patch release of the interface.
    pub(crate) fn serves(&self, import: &str) -> bool {
        self.interfaces.iter().any(|interface| {
            interface == &import || compatible(interface).is_some_and(|ours| compatible(import) == Some(ours))
        })
    }

    /// Whether a manifest means this capability: by its name, or by the name of an interface that it serves.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.interfaces.iter().any(|interface| bare_name(interface) == name)
    }
}

/// An interface's name with the part of its version that has to match.
fn compatible(interface: &str) -> Option<(&str, &str)> {
    let (name, version) = interface.split_once('@')?;
    let mut dots = version.match_indices('.').map(|(index, _)| index);
    let (major, minor) = (dots.next()?, dots.next()?);
    Some((
        name,
        if version.starts_with("0.") {
            &version[..minor]
        } else {
            &version[..major]
        },
    ))
}

/// `chain` of `nexum:host/chain@0.2.0`.
pub(crate) fn bare_name(interface: &str) -> &str {
    let name = interface.split_once('@').map_or(interface, |(name, _)| name);
    name.rsplit_once('/').map_or(name, |(_, name)| name)
}

/// What a build can grant, and what it knows of but cannot.
#[derive(Clone)]
pub struct Capabilities {
    known: Vec<Known>,
}

impl Capabilities {
    /// The capabilities that are in every build: logging, clock, random, and WASI closed to the outside.
    pub fn ambient(seams: Seams) -> Self {
        let capabilities = Self { known: Vec::new() };
        capabilities
            .always(ambient::Logging)
            .always(ambient::Clocks::new(seams.clone()))
            .always(ambient::Random::new(seams.clone()))
            .always(ambient::Wasi::new(seams))
    }

    fn always<C: Capability>(self, capability: C) -> Self {
        self.add(capability, Standing::Ambient)
    }

    /// Adds a capability that modules are granted if their manifest asks for it. One with the name of an earlier one takes
    /// its place.
    pub fn with<C: Capability>(self, capability: C) -> Self {
        self.add(capability, Standing::Granted)
    }

    fn add<C: Capability>(self, capability: C, standing: fn(Present) -> Standing) -> Self {
        let (name, interfaces) = (capability.name(), capability.interfaces());
        self.put(Known {
            name,
            interfaces,
            standing: standing(Present(Arc::new(capability))),
        })
    }

    /// Makes a capability known that this build cannot grant, unless it is known already. A module that requires it is
    /// refused with the name of the `feature`; one for which it is optional gets functions that answer `unsupported`.
    pub fn absent(
        self,
        name: &'static str,
        interfaces: &'static [&'static str],
        feature: Option<&'static str>,
    ) -> Self {
        if self.known.iter().any(|known| known.name == name) {
            return self;
        }
        self.put(Known {
            name,
            interfaces,
            standing: Standing::Absent { feature },
        })
    }

    fn put(mut self, new: Known) -> Self {
        self.known.retain(|known| known.name != new.name);
        self.known.push(new);
        self
    }

    /// The names of what can be granted, and of what every module has.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.known
            .iter()
            .filter(|known| !matches!(known.standing, Standing::Absent { .. }))
            .map(|known| known.name)
    }

    /// For a name that is known but not in this build, the cargo feature that would bring it.
    pub fn missing_feature(&self, name: &str) -> Option<Option<&'static str>> {
        self.known
            .iter()
            .find(|known| known.name == name)
            .and_then(|known| match known.standing {
                Standing::Absent { feature } => Some(feature),
                Standing::Ambient(_) | Standing::Granted(_) => None,
            })
    }

    pub(crate) fn known(&self) -> &[Known] {
        &self.known
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
