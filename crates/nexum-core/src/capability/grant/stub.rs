//! Stands in for an interface whose functions only return an error: `unsupported` where nexum does
//! not serve the capability, and `denied` where queries may not call it.

use nexum_config::interface::bare_name;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, Linker, ResourceType, Val};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};

use crate::capability::HostState;

/// The fields of the contract's `host-error`, by which this module recognises the type.
const HOST_ERROR_FIELDS: [&str; 5] = ["domain", "kind", "code", "message", "data"];

/// An import whose functions return an error.
#[derive(Clone, Debug)]
pub(super) struct Stub {
    pub(super) import: String,
    pub(super) reason: Reason,
}

/// Why nexum does not serve an import.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    /// The capability is optional, and this build lacks it.
    Absent,
    /// No build has the capability yet.
    Unserved {
        /// The functions that return an empty list instead of `unsupported`.
        empty: &'static [&'static str],
        /// Whether the module requires the capability.
        is_required: bool,
    },
    /// Queries may not call the interface.
    DeniedToQueries,
}

/// A resource of an interface that nexum does not serve. There are none, because no function makes one.
struct Absent;

impl Stub {
    /// Defines all functions and resources of the imported interface.
    pub(super) fn link(&self, linker: &mut Linker<HostState>, component: &Component) -> wasmtime::Result<()> {
        let engine = linker.engine().clone();
        let ty = component.component_type();
        let Some(ComponentItem::ComponentInstance(interface)) = ty
            .imports(&engine)
            .find(|(name, _)| *name == self.import)
            .map(|(_, item)| item.ty)
        else {
            return Ok(());
        };
        let domain = bare_name(&self.import);
        let mut instance = linker.instance(&self.import)?;
        for (name, item) in interface.exports(&engine) {
            match item.ty {
                ComponentItem::ComponentFunc(func) => {
                    let answer = self.answer(name, &func);
                    let (_, why) = self.kind_and_message();
                    let called = format!("{domain}.{name}");
                    instance.func_new(name, move |_, _, _, results| match (&answer, results) {
                        (Some(answer), [result]) => {
                            *result = answer.clone();
                            Ok(())
                        }
                        _ => wasmtime::bail!("{called} failed: {why}, and its result cannot report that"),
                    })?;
                }
                // The linker has the resources of an interface that only queries may not call.
                ComponentItem::Resource(_) if !matches!(self.reason, Reason::DeniedToQueries) => {
                    instance.resource(name, resource_type(&self.import, name), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The result of a function. `None` if its type has no room for the error.
    fn answer(&self, name: &str, func: &ComponentFunc) -> Option<Val> {
        let mut results = func.results();
        let (Some(Type::Result(result)), None) = (results.next(), results.next()) else {
            return None;
        };
        let error = result.err().and_then(|error| self.error(&error));
        match self.reason {
            Reason::Unserved { empty, .. } if empty.contains(&name) && matches!(result.ok(), Some(Type::List(_))) => {
                Some(Val::Result(Ok(Some(Box::new(Val::List(Vec::new()))))))
            }
            _ => error.map(|error| Val::Result(Err(Some(Box::new(error))))),
        }
    }

    /// The kind and the text of the error.
    fn kind_and_message(&self) -> (&'static str, String) {
        let domain = bare_name(&self.import);
        match self.reason {
            Reason::Absent => ("unsupported", format!("{domain} is not in this build of the host")),
            Reason::Unserved { .. } => ("unsupported", format!("no version of the host serves {domain} yet")),
            Reason::DeniedToQueries => ("denied", format!("{domain} may not be called by a query")),
        }
    }

    /// The error as a value of this type: a `host-error`, a `fault`, or an error with a case `fault`.
    fn error(&self, ty: &Type) -> Option<Val> {
        let (kind, message) = self.kind_and_message();
        match ty {
            Type::Record(error) if error.fields().map(|field| field.name).eq(HOST_ERROR_FIELDS) => {
                Some(Val::Record(vec![
                    ("domain".to_owned(), Val::String(bare_name(&self.import).to_owned())),
                    ("kind".to_owned(), Val::Variant(kind.to_owned(), None)),
                    ("code".to_owned(), Val::S32(0)),
                    ("message".to_owned(), Val::String(message)),
                    ("data".to_owned(), Val::Option(None)),
                ]))
            }
            Type::Variant(error) => {
                let payload = |name: &str| error.cases().find(|case| case.name == name)?.ty;
                let (case, payload) = match (payload(kind), payload("fault")) {
                    (Some(Type::String), _) => (kind, Val::String(message)),
                    (_, Some(fault)) => ("fault", self.error(&fault)?),
                    _ => return None,
                };
                Some(Val::Variant(case.to_owned(), Some(Box::new(payload))))
            }
            _ => None,
        }
    }
}

/// The type of a resource. The interfaces of WASI share the resources of `wasi:io`, which every build
/// has.
pub(crate) fn resource_type(import: &str, name: &str) -> ResourceType {
    match name {
        "pollable" if import.starts_with("wasi:") => ResourceType::host::<DynPollable>(),
        "input-stream" if import.starts_with("wasi:") => ResourceType::host::<DynInputStream>(),
        "output-stream" if import.starts_with("wasi:") => ResourceType::host::<DynOutputStream>(),
        "io-error" if import.starts_with("wasi:") => ResourceType::host::<wasmtime::Error>(),
        _ => ResourceType::host::<Absent>(),
    }
}
