//! Replaces an interface whose functions only return an error: of an optional capability that this
//! build lacks, or one that queries may not call.

use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, Linker, Val};

use crate::capability::HostState;

/// The fields of the contract's `host-error`, by which this module recognises the type.
const HOST_ERROR_FIELDS: [&str; 5] = ["domain", "kind", "code", "message", "data"];

/// The error that all functions of a stub return.
pub(super) struct Answer {
    /// The error's kind, a name of the contract.
    kind: &'static str,
    /// The reason, which follows the name of the interface.
    reason: &'static str,
}

/// For a capability that this build lacks.
pub(super) const UNSUPPORTED: Answer = Answer {
    kind: "unsupported",
    reason: "is not in this build of the host",
};

/// For an interface that queries may not call.
pub(super) const DENIED_TO_QUERIES: Answer = Answer {
    kind: "denied",
    reason: "may not be called by a query",
};

/// Defines all functions of an imported interface, so that each returns `answer`.
pub(super) fn link(
    linker: &mut Linker<HostState>,
    component: &Component,
    import: &str,
    answer: &Answer,
) -> wasmtime::Result<()> {
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
        if let ComponentItem::ComponentFunc(func) = item.ty {
            let reason = answer.reason;
            let answer = fails_with_host_error(&func).then(|| host_error(&domain, answer));
            let called = format!("{domain}.{name}");
            instance.func_new(name, move |_, _, _, results| match (&answer, results) {
                (Some(answer), [result]) => {
                    *result = answer.clone();
                    Ok(())
                }
                _ => wasmtime::bail!("{called} {reason}, and its result cannot report that"),
            })?;
        }
    }
    Ok(())
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

fn host_error(domain: &str, answer: &Answer) -> Val {
    let error = Val::Record(vec![
        ("domain".to_owned(), Val::String(domain.to_owned())),
        ("kind".to_owned(), Val::Variant(answer.kind.to_owned(), None)),
        ("code".to_owned(), Val::S32(0)),
        ("message".to_owned(), Val::String(format!("{domain} {}", answer.reason))),
        ("data".to_owned(), Val::Option(None)),
    ]);
    Val::Result(Err(Some(Box::new(error))))
}
