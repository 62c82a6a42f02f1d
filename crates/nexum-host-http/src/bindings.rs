//! Bindings of `nexum:host/http`.
#![allow(missing_docs, reason = "generated from the WIT files, which carry the documentation")]

wasmtime::component::bindgen!({
    path: "../../wit/nexum-host",
    inline: "
        package nexum:fetching;

        world fetching {
            import nexum:host/http@0.2.0;
        }
    ",
    world: "nexum:fetching/fetching",
    imports: { default: async | trappable },
    with: { "nexum:host/types": nexum_core::bindings::nexum::host::types },
});
