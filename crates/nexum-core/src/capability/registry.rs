//! The capabilities that a build can grant, and those that it knows only by name.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use nexum_config::document::{ConfigErrors, Section};
use nexum_config::interface;
use wasmtime::component::Linker;

use super::module_meta::ModuleMeta;
use super::{Capability, HostState, Slot};
use crate::BoxError;

/// A [`Capability`] without its type.
trait Erased: Send + Sync {
    fn check(&self, settings: &Section) -> Result<(), ConfigErrors>;
    fn warnings(&self, settings: &Section) -> Vec<String>;
    fn unrepeatable(&self, settings: Option<&Section>) -> Option<String>;
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

    fn unrepeatable(&self, settings: Option<&Section>) -> Option<String> {
        Capability::unrepeatable(self, settings)
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

    pub(crate) fn unrepeatable(&self, settings: Option<&Section>) -> Option<String> {
        self.0.unrepeatable(settings)
    }

    pub(crate) fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        self.0.link(linker)
    }

    pub(crate) fn prepare(&self, module: &ModuleMeta) -> Result<Slot, BoxError> {
        self.0.prepare(module)
    }
}

/// The availability of a capability in a build.
#[derive(Clone)]
pub(crate) enum Availability {
    /// Every module has the capability unless its manifest denies it.
    Ambient(Present),
    /// A module has the capability if its manifest requests it.
    Granted(Present),
    /// The build knows the capability by name, but does not have it.
    Absent {
        /// The cargo feature that adds the capability.
        feature: &'static str,
    },
    /// The contract has the capability, but no build serves it yet.
    Unserved {
        /// The functions that return an empty list instead of `unsupported`.
        empty: &'static [&'static str],
    },
}

/// A capability by name.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) interfaces: &'static [&'static str],
    pub(crate) availability: Availability,
}

impl Known {
    /// Whether the capability serves this import. The guest may use another patch release of the
    /// interface.
    pub(crate) fn serves(&self, import: &str) -> bool {
        self.interfaces.iter().any(|ours| interface::serves(ours, import))
    }

    /// Whether a name in a manifest means this capability. It may be the capability's name, or the
    /// name of an interface that the capability serves.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.interfaces.iter().any(|ours| interface::bare_name(ours) == name)
    }
}

/// The capabilities that a build can grant, and those that it knows only by name.
#[derive(Clone)]
pub struct Capabilities {
    known: Vec<Known>,
}

impl Capabilities {
    pub(crate) fn none() -> Self {
        Self { known: Vec::new() }
    }

    /// Adds a capability that every module has unless its manifest denies it.
    pub(crate) fn always<C: Capability>(self, capability: C) -> Self {
        self.add(capability, Availability::Ambient)
    }

    /// Adds a capability for modules whose manifest requests it. It replaces an earlier one of its
    /// name.
    pub fn with<C: Capability>(self, capability: C) -> Self {
        self.add(capability, Availability::Granted)
    }

    fn add<C: Capability>(self, capability: C, availability: fn(Present) -> Availability) -> Self {
        let (name, interfaces) = (capability.name(), capability.interfaces());
        self.put(Known {
            name,
            interfaces,
            availability: availability(Present(Arc::new(capability))),
        })
    }

    /// Adds the name of a capability that another build has, unless the name is known already. nexum
    /// refuses a module that requires the capability, and names the `feature`. A module with an
    /// optional request gets functions that return `unsupported`.
    pub fn absent(self, name: &'static str, interfaces: &'static [&'static str], feature: &'static str) -> Self {
        self.know(name, interfaces, Availability::Absent { feature })
    }

    /// Adds the name of a capability that no build serves yet, unless the name is known already. A
    /// module that requires the capability runs with a warning: the functions return `unsupported`,
    /// and those in `empty` return an empty list.
    pub fn unserved(
        self,
        name: &'static str,
        interfaces: &'static [&'static str],
        empty: &'static [&'static str],
    ) -> Self {
        self.know(name, interfaces, Availability::Unserved { empty })
    }

    fn know(self, name: &'static str, interfaces: &'static [&'static str], availability: Availability) -> Self {
        if self.known.iter().any(|known| known.name == name) {
            return self;
        }
        self.put(Known {
            name,
            interfaces,
            availability,
        })
    }

    fn put(mut self, new: Known) -> Self {
        self.known.retain(|known| known.name != new.name);
        self.known.push(new);
        self
    }

    /// The names of the capabilities that a module can have in this build.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.known
            .iter()
            .filter(|known| matches!(known.availability, Availability::Ambient(_) | Availability::Granted(_)))
            .map(|known| known.name)
    }

    /// For the name of a capability that is not in this build, the cargo feature that adds it. `None`
    /// inside if no build has the capability.
    pub fn missing_feature(&self, name: &str) -> Option<Option<&'static str>> {
        self.known
            .iter()
            .find(|known| known.name == name)
            .and_then(|known| match known.availability {
                Availability::Absent { feature } => Some(Some(feature)),
                Availability::Unserved { .. } => Some(None),
                Availability::Ambient(_) | Availability::Granted(_) => None,
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
