//! Bindings of `nexum:host/identity`.
#![allow(missing_docs, reason = "generated from the WIT files, which carry the documentation")]

wasmtime::component::bindgen!({
    path: "../../wit/nexum-host",
    inline: "
        package nexum:signing;

        world signing {
            import nexum:host/identity@0.2.0;
        }
    ",
    world: "nexum:signing/signing",
    imports: { default: async | trappable },
    with: { "nexum:host/types": nexum_core::bindings::nexum::host::types },
});
