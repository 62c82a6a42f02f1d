//! What a module may call: its imports, its manifest and the build, brought together.

mod stub;

use std::collections::BTreeMap;

use nexum_config::document::{ConfigError, Placed, Section};
use nexum_config::hint::Hint;
use nexum_config::manifest::CapabilityRequests;
use wasmtime::component::{Component, Linker};

use super::module_meta::ModuleMeta;
use super::registry::{Capabilities, Known, Present, Standing};
use super::{HostState, Slot};
use crate::engine::Engine;

/// The capabilities that a module gets.
///
/// Invariant: what `link` puts into a linker and what `slots` makes are of the same
/// capabilities.
#[derive(Clone)]
pub struct Grant {
    granted: Vec<(&'static str, Present)>,
    /// Imports of optional capabilities that this build lacks.
    stubs: Vec<String>,
}

/// Why an import is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The manifest names a capability that does not exist, or contradicts itself.
    #[error(transparent)]
    Manifest(#[from] ConfigError),
    /// The manifest does not ask for what the component imports.
    #[error("the import {import} needs the capability `{capability}`, which the manifest does not ask for")]
    NotRequested {
        /// The import.
        import: String,
        /// The capability that serves it.
        capability: &'static str,
    },
    /// The manifest denies what the component imports.
    #[error("the import {import} needs the capability `{capability}`, which the manifest denies")]
    Denied {
        /// The import.
        import: String,
        /// The capability that serves it.
        capability: &'static str,
    },
    /// The capability is not in this build.
    #[error("the capability `{capability}` is not in this build")]
    Absent {
        /// The capability.
        capability: &'static str,
        /// The cargo feature that would bring it.
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
            Self::NotRequested { capability, .. } => Some(format!(
                "add \"{capability}\" to `required` under [capabilities] in the module's manifest"
            )),
            Self::Denied { capability, .. } => Some(format!(
                "take \"{capability}\" out of `denied`, or build the module without it"
            )),
            Self::Absent {
                feature: Some(feature), ..
            } => Some(format!("build nexum with `--features {feature}`")),
            Self::Absent { feature: None, .. } => Some("no build of this version has it".to_owned()),
            Self::Unknown { .. } => Some("build the module against nexum:host@0.2.0".to_owned()),
        }
    }
}

impl Grant {
    /// Decides for each import. Without a `[capabilities]` table every import counts as required.
    ///
    /// # Errors
    ///
    /// Every import and every request that cannot be served.
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

    /// The names of the capabilities, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.granted.iter().map(|(name, _)| *name)
    }

    /// The imports that answer `unsupported`, because their capability is optional and not in this build.
    pub fn stubs(&self) -> &[String] {
        &self.stubs
    }

    /// A linker with the capabilities' interfaces and nothing else.
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
            .try_for_each(|import| stub::link(linker, component, import))
    }

    /// The state of a new instance.
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

/// How an import is served.
enum Decision {
    Serve(&'static str, Present),
    Stub,
}

/// An interface that only names types: there is nothing in it to call, and nothing to grant.
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
    let asks = |names: &[Placed<String>]| names.iter().any(|name| known.answers_to(&name.value));
    let capability = known.name;
    if requests.is_some_and(|requests| asks(&requests.denied)) {
        return Err(GrantError::Denied {
            import: import.to_owned(),
            capability,
        });
    }
    let required = requests.is_none_or(|requests| asks(&requests.required));
    let optional = requests.is_some_and(|requests| asks(&requests.optional));
    match &known.standing {
        Standing::Ambient(present) => Ok(Decision::Serve(capability, present.clone())),
        _ if !required && !optional => Err(GrantError::NotRequested {
            import: import.to_owned(),
            capability,
        }),
        Standing::Granted(present) => Ok(Decision::Serve(capability, present.clone())),
        Standing::Absent { .. } if optional => Ok(Decision::Stub),
        Standing::Absent { feature } => Err(GrantError::Absent {
            capability,
            feature: *feature,
        }),
    }
}

/// Has each capability check the settings that a manifest gives it. Those of one that is not in this build cannot be checked.
pub(crate) fn check_settings(capabilities: &Capabilities, settings: &BTreeMap<String, Section>) -> Vec<GrantError> {
    let mut errors: Vec<GrantError> = Vec::new();
    for (name, section) in settings {
        match capabilities.known().iter().find(|known| known.answers_to(name)) {
            None => {
                let error = section.place("").error("there is no such capability");
                let names = capabilities.known().iter().map(|known| known.name);
                errors.push(error.with_nearest(name, names).into());
            }
            Some(known) => match &known.standing {
                Standing::Ambient(present) | Standing::Granted(present) => {
                    let found = present.check(section).err().into_iter().flatten();
                    errors.extend(found.map(GrantError::from));
                }
                Standing::Absent { .. } => {}
            },
        }
    }
    errors
}

/// What each capability has to say of the settings that a manifest gives it, which it has found to be in order.
pub(crate) fn warnings(capabilities: &Capabilities, settings: &BTreeMap<String, Section>) -> Vec<String> {
    let of_one = |(name, section): (&String, &Section)| {
        let known = capabilities.known().iter().find(|known| known.answers_to(name));
        match known.map(|known| &known.standing) {
            Some(Standing::Ambient(present) | Standing::Granted(present)) => present.warnings(section),
            Some(Standing::Absent { .. }) | None => Vec::new(),
        }
    };
    settings.iter().flat_map(of_one).collect()
}

/// Checks what the manifest asks for, imported or not.
fn check_requests(capabilities: &Capabilities, requests: &CapabilityRequests) -> Vec<GrantError> {
    let find = |name: &str| capabilities.known().iter().find(|known| known.answers_to(name));
    let names = capabilities.known().iter().map(|known| known.name);
    let unknown = requests.unknown(|name| find(name).is_some(), names);
    let mut errors: Vec<GrantError> = unknown.into_iter().map(GrantError::from).collect();
    let absent = |known: &Known| match known.standing {
        Standing::Absent { feature } => Some(GrantError::Absent {
            capability: known.name,
            feature,
        }),
        Standing::Ambient(_) | Standing::Granted(_) => None,
    };
    errors.extend(
        requests
            .required
            .iter()
            .filter_map(|name| find(&name.value).and_then(absent)),
    );
    errors
}
