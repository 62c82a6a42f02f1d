//! The grants of a module: the result of its imports, its manifest and the build.

mod stub;

use std::collections::BTreeMap;

use nexum_config::document::{ConfigError, Located, Section};
use nexum_config::hint::Hint;
use nexum_config::manifest::{CapabilityRequests, Subscription, UnknownCapabilities};
use nexum_config::topic::{Finality, Topic};
use wasmtime::component::{Component, Linker};

use super::module_meta::ModuleMeta;
use super::registry::{Availability, Capabilities, Known, Present};
use super::{HostState, Slot};
use crate::engine::Engine;
pub(crate) use stub::resource_type;
use stub::{Reason, Stub};

/// The capabilities that nexum grants to a module.
///
/// # Invariants
///
/// - `link` and `slots` cover exactly the granted capabilities.
#[derive(Clone)]
pub struct Grant {
    granted: Vec<(&'static str, Present)>,
    /// The imports of optional capabilities that this build lacks, and of capabilities that no build
    /// serves yet.
    stubs: Vec<Stub>,
    warnings: Vec<String>,
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
        /// The capabilities that the manifest lists as optional, and all that it has to add.
        optional: Vec<String>,
        /// The cargo feature that adds the capability, if this build lacks the capability.
        feature: Option<&'static str>,
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
        feature: &'static str,
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
            Self::NotRequested { optional, feature, .. } => {
                let line = format!("write `optional = {optional:?}` under [capabilities] in the module's manifest");
                Some(match feature {
                    Some(feature) => format!("{line}; {} to serve it", other_build(feature)),
                    None => line,
                })
            }
            Self::Denied { capability, .. } => Some(format!(
                "remove \"{capability}\" from `denied`, or build the module without it"
            )),
            Self::Absent { feature, .. } => Some(other_build(feature)),
            Self::Unknown { import } if import.starts_with("videre:") => {
                Some("nexum has no venues: run the module with the host that it was made for".to_owned())
            }
            Self::Unknown { import } if import.starts_with("nexum:host/") && import.ends_with("@0.1.0") => Some(
                "of nexum:host@0.1.0, nexum serves chain, local-store and logging: build the module without the others"
                    .to_owned(),
            ),
            Self::Unknown { .. } => Some("build the module against nexum:host@0.2.0".to_owned()),
        }
    }
}

/// How to get a capability that is not in this build.
fn other_build(feature: &str) -> String {
    format!("build nexum with `--features {feature}`")
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
        let unknown = requests.map_or_else(UnknownCapabilities::default, |requests| unknown(capabilities, requests));
        let mut errors: Vec<_> = unknown.refused.into_iter().map(GrantError::from).collect();
        errors.extend(requests.into_iter().flat_map(|requests| absent(capabilities, requests)));
        let mut grant = Self {
            granted: Vec::new(),
            stubs: Vec::new(),
            warnings: unknown.ignored.iter().map(ToString::to_string).collect(),
        };
        for import in imports.iter().filter(|import| !is_types(import)) {
            match decide(capabilities, requests, import) {
                Ok(Decision::Serve(name, present)) => {
                    if !grant.granted.iter().any(|(granted, _)| *granted == name) {
                        grant.granted.push((name, present));
                    }
                }
                Ok(Decision::Stub(stub)) => grant.stubs.push(stub),
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
        complete_hints(&mut errors, requests);
        grant.granted.sort_by_key(|(name, _)| *name);
        grant.warnings.extend(grant.unserved_warning());
        if errors.is_empty() { Ok(grant) } else { Err(errors) }
    }

    /// The warning about required imports that no build serves yet, if there are any.
    fn unserved_warning(&self) -> Option<String> {
        let is_unserved = |stub: &&Stub| matches!(stub.reason, Reason::Unserved { is_required: true, .. });
        let imports: Vec<_> = self
            .stubs
            .iter()
            .filter(is_unserved)
            .map(|stub| stub.import.as_str())
            .collect();
        (!imports.is_empty()).then(|| {
            let imports = imports.join(", ");
            format!("no version of nexum serves {imports} yet: the calls return `unsupported`")
        })
    }

    /// A grant of the capabilities that serve one of these imports. Other imports stay without a
    /// grant.
    pub(crate) fn of_served(capabilities: &Capabilities, imports: &[String]) -> Self {
        let serves = |known: &&Known| imports.iter().any(|import| known.serves(import));
        let present = |known: &Known| match &known.availability {
            Availability::Ambient(present) | Availability::Granted(present) => Some((known.name, present.clone())),
            Availability::Absent { .. } | Availability::Unserved { .. } => None,
        };
        Self {
            granted: capabilities.known().iter().filter(serves).filter_map(present).collect(),
            stubs: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The names of the granted capabilities, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.granted.iter().map(|(name, _)| *name)
    }

    /// The imports that return `unsupported`, because their capability is optional and not in this
    /// build, or because no build serves it yet.
    pub fn stubs(&self) -> impl Iterator<Item = &str> {
        self.stubs.iter().map(|stub| stub.import.as_str())
    }

    /// Warnings for the operator: optional names that no capability has, and required imports that no
    /// build serves yet.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The warning about effects that a reorganisation does not undo, if the module may have such effects and
    /// subscribes to the latest blocks.
    pub(crate) fn effects_warning(
        &self,
        settings: &BTreeMap<String, Section>,
        subscriptions: &[Subscription],
    ) -> Option<String> {
        let is_latest = |topic: Topic| matches!(topic, Topic::Chain(topic) if topic.finality == Finality::Latest);
        if !subscriptions.iter().any(|subscription| is_latest(subscription.topic())) {
            return None;
        }
        let of_one = |(name, present): &(&'static str, Present)| present.unrepeatable(settings.get(*name));
        let requests: Vec<_> = self.granted.iter().filter_map(of_one).collect();
        (!requests.is_empty()).then(|| {
            let requests = requests.join(" and ");
            format!(
                "the module subscribes to the latest blocks, and a reorganisation cannot undo {requests}: consider \
                 `confirmations` or `finality` in its subscriptions"
            )
        })
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
        self.stubs.iter().try_for_each(|stub| stub.link(linker, component))
    }

    /// Replaces these interfaces in a linker: each function returns `denied`.
    pub(crate) fn deny<'a>(
        linker: &mut Linker<HostState>,
        component: &Component,
        mut imports: impl Iterator<Item = &'a String>,
    ) -> wasmtime::Result<()> {
        linker.allow_shadowing(true);
        imports.try_for_each(|import| {
            let (import, reason) = (import.clone(), Reason::DeniedToQueries);
            Stub { import, reason }.link(linker, component)
        })
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
            .field("stubs", &self.stubs().collect::<Vec<_>>())
            .finish()
    }
}

/// How nexum serves an import.
enum Decision {
    Serve(&'static str, Present),
    Stub(Stub),
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
    let stub = |reason| {
        let import = import.to_owned();
        Ok(Decision::Stub(Stub { import, reason }))
    };
    match &known.availability {
        Availability::Ambient(present) => Ok(Decision::Serve(capability, present.clone())),
        availability if !required && !optional => Err(GrantError::NotRequested {
            import: import.to_owned(),
            capability,
            optional: Vec::new(),
            feature: match availability {
                Availability::Absent { feature } => Some(*feature),
                Availability::Ambient(_) | Availability::Granted(_) | Availability::Unserved { .. } => None,
            },
        }),
        Availability::Granted(present) => Ok(Decision::Serve(capability, present.clone())),
        Availability::Unserved { empty } => stub(Reason::Unserved {
            empty,
            is_required: required,
        }),
        Availability::Absent { .. } if optional => stub(Reason::Absent),
        Availability::Absent { feature } => Err(GrantError::Absent { capability, feature }),
    }
}

/// Completes the errors about imports that no list names: each hint has the whole list to write.
fn complete_hints(errors: &mut [GrantError], requests: Option<&CapabilityRequests>) {
    let listed = requests.into_iter().flat_map(|requests| &requests.optional);
    let mut list: Vec<_> = listed.map(|name| name.value.clone()).collect();
    for error in errors.iter() {
        match error {
            GrantError::NotRequested { capability, .. } if !list.iter().any(|name| name == capability) => {
                list.push((*capability).to_owned());
            }
            _ => {}
        }
    }
    for error in errors {
        if let GrantError::NotRequested { optional, .. } = error {
            optional.clone_from(&list);
        }
    }
}

/// Checks the manifest's settings with their capabilities. It cannot check the settings of a
/// capability that is not in this build, and ignores the settings of an unknown optional one.
pub(crate) fn check_settings(
    capabilities: &Capabilities,
    requests: Option<&CapabilityRequests>,
    settings: &BTreeMap<String, Section>,
) -> Vec<GrantError> {
    let mut errors: Vec<GrantError> = Vec::new();
    for (name, section) in settings {
        match find(capabilities, name) {
            None if requests.is_some_and(|requests| requests.is_optional(name)) => {}
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
                Availability::Absent { .. } | Availability::Unserved { .. } => {}
            },
        }
    }
    errors
}

/// The capabilities' warnings about the manifest's valid settings.
pub(crate) fn warnings(capabilities: &Capabilities, settings: &BTreeMap<String, Section>) -> Vec<String> {
    let of_one = |(name, section): (&String, &Section)| match find(capabilities, name).map(|known| &known.availability)
    {
        Some(Availability::Ambient(present) | Availability::Granted(present)) => present.warnings(section),
        Some(Availability::Absent { .. } | Availability::Unserved { .. }) | None => Vec::new(),
    };
    settings.iter().flat_map(of_one).collect()
}

/// The names in the manifest that no capability has, also those that the component does not import.
fn unknown(capabilities: &Capabilities, requests: &CapabilityRequests) -> UnknownCapabilities {
    let names = capabilities.known().iter().map(|known| known.name);
    requests.unknown(|name| find(capabilities, name).is_some(), names)
}

/// The required capabilities that this build lacks, also those that the component does not import.
fn absent(capabilities: &Capabilities, requests: &CapabilityRequests) -> Vec<GrantError> {
    let required = requests.required.iter();
    let known = required.filter_map(|name| find(capabilities, &name.value));
    let absent = known.filter_map(|known| match known.availability {
        Availability::Absent { feature } => Some(GrantError::Absent {
            capability: known.name,
            feature,
        }),
        Availability::Ambient(_) | Availability::Granted(_) | Availability::Unserved { .. } => None,
    });
    absent.collect()
}

/// The capability that a name in a manifest means.
fn find<'a>(capabilities: &'a Capabilities, name: &str) -> Option<&'a Known> {
    capabilities.known().iter().find(|known| known.answers_to(name))
}
