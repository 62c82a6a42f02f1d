//! Compares the types of a component's exports with the contract. Without this check, a wrong type
//! would fail only at the first start.

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::error::LoadError;
use super::signature;

/// The contract's `host-error`, in the notation of [`signature`].
const HOST_ERROR: &str = "record {domain: string, kind: variant {unsupported, unavailable, denied, rate-limited, timeout, \
                          invalid-input, internal}, code: s32, message: string, data: option<string>}";
/// The contract's `event`, in the notation of [`signature`].
const EVENT: &str = "variant {block(record {chain-id: u64, number: u64, hash: list<u8>, timestamp: u64}), \
                     logs(list<record {chain-id: u64, address: list<u8>, topics: list<list<u8>>, data: list<u8>, \
                     block-number: u64, transaction-hash: list<u8>, log-index: u32}>), \
                     tick(record {fired-at: u64}), \
                     message(record {content-topic: string, payload: list<u8>, timestamp: u64, sender: option<list<u8>>})}";

/// Compares `init` and `on-event` with the contract.
pub(super) fn check_event_module(component: &Component) -> Result<(), LoadError> {
    check(
        component,
        "on-event",
        format!("func(event: {EVENT}) -> result<_, {HOST_ERROR}>"),
    )
}

/// Compares `init` and `evaluate` with the contract.
pub(super) fn check_query_module(component: &Component) -> Result<(), LoadError> {
    check(
        component,
        "evaluate",
        format!("func(input: list<u8>) -> result<list<u8>, {HOST_ERROR}>"),
    )
}

fn check(component: &Component, handler: &'static str, signature: String) -> Result<(), LoadError> {
    let init = format!("func(config: list<tuple<string, string>>) -> result<_, {HOST_ERROR}>");
    let expected = [("init", init), (handler, signature)];
    let engine = component.engine();
    let ty = component.component_type();
    for (name, expected) in expected {
        let actual = ty
            .exports(engine)
            .find(|(export, _)| *export == name)
            .and_then(|(_, item)| match item.ty {
                ComponentItem::ComponentFunc(func) => Some(signature::function(&func)),
                _ => None,
            });
        if actual.as_deref() != Some(expected.as_str()) {
            return Err(LoadError::Export {
                name,
                expected,
                actual: actual.unwrap_or_else(|| "nothing".to_owned()),
            });
        }
    }
    Ok(())
}
