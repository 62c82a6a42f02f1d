//! Replaces an optional capability that this build lacks: each function returns `unsupported`.

use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, Linker, ResourceType, Val};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};

use crate::capability::HostState;

/// The fields of the contract's `host-error`, by which this module recognises the type.
const HOST_ERROR_FIELDS: [&str; 5] = ["domain", "kind", "code", "message", "data"];

/// A resource of an interface that this build lacks. There are none, because no function makes one.
struct Absent;

/// Defines all functions and resources of an imported interface.
pub(super) fn link(linker: &mut Linker<HostState>, component: &Component, import: &str) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    let ty = component.component_type();
    let Some(ComponentItem::ComponentInstance(interface)) = ty
        .imports(&engine)
        .find(|(name, _)| *name == import)
        .map(|(_, item)| item.ty)
    else {
        return Ok(());
    };
    let domain = crate::capability::registry::bare_name(import).to_owned();
    let mut instance = linker.instance(import)?;
    for (name, item) in interface.exports(&engine) {
        match item.ty {
            ComponentItem::ComponentFunc(func) => {
                let answer = fails_with_host_error(&func).then(|| unsupported(&domain));
                let called = format!("{domain}.{name}");
                instance.func_new(name, move |_, _, _, results| match (&answer, results) {
                    (Some(answer), [result]) => {
                        *result = answer.clone();
                        Ok(())
                    }
                    _ => wasmtime::bail!("{called} is not in this build, and its result cannot report that"),
                })?;
            }
            ComponentItem::Resource(_) => instance.resource(name, resource_type(import, name), |_, _| Ok(()))?,
            _ => {}
        }
    }
    Ok(())
}

/// The type of a resource. The interfaces of WASI share the resources of `wasi:io`, which every build
/// has.
fn resource_type(import: &str, name: &str) -> ResourceType {
    match name {
        "pollable" if import.starts_with("wasi:") => ResourceType::host::<DynPollable>(),
        "input-stream" if import.starts_with("wasi:") => ResourceType::host::<DynInputStream>(),
        "output-stream" if import.starts_with("wasi:") => ResourceType::host::<DynOutputStream>(),
        "io-error" if import.starts_with("wasi:") => ResourceType::host::<wasmtime::Error>(),
        _ => ResourceType::host::<Absent>(),
    }
}

/// Whether a function returns a `result` whose error is the contract's `host-error`.
fn fails_with_host_error(func: &ComponentFunc) -> bool {
    let mut results = func.results();
    let (Some(Type::Result(result)), None) = (results.next(), results.next()) else {
        return false;
    };
    match result.err() {
        Some(Type::Record(error)) => error.fields().map(|field| field.name).eq(HOST_ERROR_FIELDS),
        _ => false,
    }
}

fn unsupported(domain: &str) -> Val {
    let error = Val::Record(vec![
        ("domain".to_owned(), Val::String(domain.to_owned())),
        ("kind".to_owned(), Val::Variant("unsupported".to_owned(), None)),
        ("code".to_owned(), Val::S32(0)),
        (
            "message".to_owned(),
            Val::String(format!("{domain} is not in this build of the host")),
        ),
        ("data".to_owned(), Val::Option(None)),
    ]);
    Val::Result(Err(Some(Box::new(error))))
}
