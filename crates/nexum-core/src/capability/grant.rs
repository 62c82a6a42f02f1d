//! The grants of a module: the result of its imports, its manifest and the build.

mod stub;

use std::collections::BTreeMap;

use nexum_config::document::{ConfigError, Located, Section};
use nexum_config::hint::Hint;
use nexum_config::manifest::CapabilityRequests;
use wasmtime::component::{Component, Linker};

use super::module_meta::ModuleMeta;
use super::registry::{Availability, Capabilities, Known, Present};
use super::{HostState, Slot};
use crate::engine::Engine;

/// The capabilities that nexum grants to a module.
///
/// # Invariants
///
/// - `link` and `slots` cover exactly the granted capabilities.
#[derive(Clone)]
pub struct Grant {
    granted: Vec<(&'static str, Present)>,
    /// The imports of optional capabilities that this build lacks.
    stubs: Vec<String>,
}

/// The reason why nexum refuses an import or a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The manifest names an unknown capability, or contradicts itself.
    #[error(transparent)]
    Manifest(#[from] ConfigError),
    /// The component imports a capability that the manifest does not request.
    #[error("the import {import} needs the capability `{capability}`, which the manifest does not request")]
    NotRequested {
        /// The import.
        import: String,
        /// The capability that serves the import.
        capability: &'static str,
        /// The capabilities that the manifest requires, and this one.
        required: Vec<String>,
        /// The cargo feature that adds the capability, or `None` for none, if this build lacks the capability.
        absent: Option<Option<&'static str>>,
    },
    /// The component imports a capability that the manifest denies.
    #[error("the import {import} needs the capability `{capability}`, which the manifest denies")]
    Denied {
        /// The import.
        import: String,
        /// The capability that serves the import.
        capability: &'static str,
    },
    /// This build does not have the capability.
    #[error("the capability `{capability}` is not in this build")]
    Absent {
        /// The capability.
        capability: &'static str,
        /// The cargo feature that adds the capability.
        feature: Option<&'static str>,
    },
    /// No capability serves the import.
    #[error("no capability serves the import {import}")]
    Unknown {
        /// The import.
        import: String,
    },
}

impl Hint for GrantError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Manifest(error) => error.hint(),
            Self::NotRequested { required, absent, .. } => {
                let line = format!("write `required = {required:?}` under [capabilities] in the module's manifest");
                Some(match absent {
                    Some(feature) => format!("{line}, and {}", other_build(*feature)),
                    None => line,
                })
            }
            Self::Denied { capability, .. } => Some(format!(
                "remove \"{capability}\" from `denied`, or build the module without it"
            )),
            Self::Absent { feature, .. } => Some(other_build(*feature)),
            Self::Unknown { .. } => Some("build the module against nexum:host@0.2.0".to_owned()),
        }
    }
}

/// How to get a capability that is not in this build.
fn other_build(feature: Option<&str>) -> String {
    match feature {
        Some(feature) => format!("build nexum with `--features {feature}`"),
        None => "wait for a later version: no build of this version has the capability".to_owned(),
    }
}

impl Grant {
    /// Decides about each import. Without a `[capabilities]` table, every import is required.
    ///
    /// # Errors
    ///
    /// Returns every import and every request that nexum refuses.
    pub fn resolve(
        capabilities: &Capabilities,
        requests: Option<&CapabilityRequests>,
        imports: &[String],
    ) -> Result<Self, Vec<GrantError>> {
        let mut errors = requests.map_or_else(Vec::new, |requests| check_requests(capabilities, requests));
        let mut grant = Self {
            granted: Vec::new(),
            stubs: Vec::new(),
        };
        for import in imports.iter().filter(|import| !is_types(import)) {
            match decide(capabilities, requests, import) {
                Ok(Decision::Serve(name, present)) => {
                    if !grant.granted.iter().any(|(granted, _)| *granted == name) {
                        grant.granted.push((name, present));
                    }
                }
                Ok(Decision::Stub) => grant.stubs.push(import.clone()),
                Err(error) => {
                    let said = matches!(&error, GrantError::Absent { capability, .. } if errors.iter().any(
                        |earlier| matches!(earlier, GrantError::Absent { capability: earlier, .. } if earlier == capability)
                    ));
                    if !said {
                        errors.push(error);
                    }
                }
            }
        }
        grant.granted.sort_by_key(|(name, _)| *name);
        if errors.is_empty() { Ok(grant) } else { Err(errors) }
    }

    /// A grant of the capabilities that serve one of these imports. Other imports stay without a
    /// grant.
    pub(crate) fn of_served(capabilities: &Capabilities, imports: &[String]) -> Self {
        let serves = |known: &&Known| imports.iter().any(|import| known.serves(import));
        let present = |known: &Known| match &known.availability {
            Availability::Ambient(present) | Availability::Granted(present) => Some((known.name, present.clone())),
            Availability::Absent { .. } => None,
        };
        Self {
            granted: capabilities.known().iter().filter(serves).filter_map(present).collect(),
            stubs: Vec::new(),
        }
    }

    /// The names of the granted capabilities, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.granted.iter().map(|(name, _)| *name)
    }

    /// The imports that return `unsupported`, because their capability is optional and not in this
    /// build.
    pub fn stubs(&self) -> &[String] {
        &self.stubs
    }

    /// Creates a linker with only the granted capabilities' interfaces.
    pub(crate) fn link(&self, engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
        let mut linker = Linker::new(engine.wasmtime());
        self.granted
            .iter()
            .try_for_each(|(_, present)| present.link(&mut linker))?;
        Ok(linker)
    }

    /// Adds the stubs that this component needs.
    pub(crate) fn link_stubs(&self, linker: &mut Linker<HostState>, component: &Component) -> wasmtime::Result<()> {
        self.stubs
            .iter()
            .try_for_each(|import| stub::link(linker, component, import, &stub::UNSUPPORTED))
    }

    /// Replaces these interfaces in a linker: each function returns `denied`.
    pub(crate) fn deny<'a>(
        linker: &mut Linker<HostState>,
        component: &Component,
        mut imports: impl Iterator<Item = &'a String>,
    ) -> wasmtime::Result<()> {
        linker.allow_shadowing(true);
        imports.try_for_each(|import| stub::link(linker, component, import, &stub::DENIED_TO_QUERIES))
    }

    /// Creates the state of a new instance.
    pub(crate) fn slots(&self, meta: &ModuleMeta) -> Result<Vec<Slot>, (&'static str, crate::BoxError)> {
        let prepare = |(name, present): &(&'static str, Present)| present.prepare(meta).map_err(|error| (*name, error));
        self.granted.iter().map(prepare).collect()
    }
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant")
            .field("granted", &self.names().collect::<Vec<_>>())
            .field("stubs", &self.stubs)
            .finish()
    }
}

/// How nexum serves an import.
enum Decision {
    Serve(&'static str, Present),
    Stub,
}

/// Whether an interface only has types. It has no functions, so it needs no grant.
fn is_types(import: &str) -> bool {
    import
        .split_once('@')
        .map_or(import, |(name, _)| name)
        .ends_with("/types")
        && !import.starts_with("wasi:")
}

fn decide(
    capabilities: &Capabilities,
    requests: Option<&CapabilityRequests>,
    import: &str,
) -> Result<Decision, GrantError> {
    let Some(known) = capabilities.known().iter().find(|known| known.serves(import)) else {
        return Err(GrantError::Unknown {
            import: import.to_owned(),
        });
    };
    let asks = |names: &[Located<String>]| names.iter().any(|name| known.answers_to(&name.value));
    let capability = known.name;
    if requests.is_some_and(|requests| asks(&requests.denied)) {
        return Err(GrantError::Denied {
            import: import.to_owned(),
            capability,
        });
    }
    let required = requests.is_none_or(|requests| asks(&requests.required));
    let optional = requests.is_some_and(|requests| asks(&requests.optional));
    match &known.availability {
        Availability::Ambient(present) => Ok(Decision::Serve(capability, present.clone())),
        availability if !required && !optional => {
            let others = requests.into_iter().flat_map(|requests| &requests.required);
            let others = others.map(|name| name.value.clone());
            Err(GrantError::NotRequested {
                import: import.to_owned(),
                capability,
                required: others.chain([capability.to_owned()]).collect(),
                absent: match availability {
                    Availability::Absent { feature } => Some(*feature),
                    Availability::Ambient(_) | Availability::Granted(_) => None,
                },
            })
        }
        Availability::Granted(present) => Ok(Decision::Serve(capability, present.clone())),
        Availability::Absent { .. } if optional => Ok(Decision::Stub),
        Availability::Absent { feature } => Err(GrantError::Absent {
            capability,
            feature: *feature,
        }),
    }
}

/// Checks the manifest's settings with their capabilities. It cannot check the settings of a
/// capability that is not in this build.
pub(crate) fn check_settings(capabilities: &Capabilities, settings: &BTreeMap<String, Section>) -> Vec<GrantError> {
    let mut errors: Vec<GrantError> = Vec::new();
    for (name, section) in settings {
        match capabilities.known().iter().find(|known| known.answers_to(name)) {
            None => {
                let error = section.location("").error("there is no such capability");
                let names = capabilities.known().iter().map(|known| known.name);
                errors.push(error.with_nearest(name, names).into());
            }
            Some(known) => match &known.availability {
                Availability::Ambient(present) | Availability::Granted(present) => {
                    let found = present.check(section).err().into_iter().flatten();
                    errors.extend(found.map(GrantError::from));
                }
                Availability::Absent { .. } => {}
            },
        }
    }
    errors
}

/// The capabilities' warnings about the manifest's valid settings.
pub(crate) fn warnings(capabilities: &Capabilities, settings: &BTreeMap<String, Section>) -> Vec<String> {
    let of_one = |(name, section): (&String, &Section)| {
        let known = capabilities.known().iter().find(|known| known.answers_to(name));
        match known.map(|known| &known.availability) {
            Some(Availability::Ambient(present) | Availability::Granted(present)) => present.warnings(section),
            Some(Availability::Absent { .. }) | None => Vec::new(),
        }
    };
    settings.iter().flat_map(of_one).collect()
}

/// Checks the manifest's requests, including requests that the component does not import.
fn check_requests(capabilities: &Capabilities, requests: &CapabilityRequests) -> Vec<GrantError> {
    let find = |name: &str| capabilities.known().iter().find(|known| known.answers_to(name));
    let names = capabilities.known().iter().map(|known| known.name);
    let unknown = requests.unknown(|name| find(name).is_some(), names);
    let mut errors: Vec<GrantError> = unknown.into_iter().map(GrantError::from).collect();
    let absent = |known: &Known| match known.availability {
        Availability::Absent { feature } => Some(GrantError::Absent {
            capability: known.name,
            feature,
        }),
        Availability::Ambient(_) | Availability::Granted(_) => None,
    };
    errors.extend(
        requests
            .required
            .iter()
            .filter_map(|name| find(&name.value).and_then(absent)),
    );
    errors
}
