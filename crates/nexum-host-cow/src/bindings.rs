//! Bindings of `shepherd:cow/cow-api`.
#![allow(missing_docs, reason = "generated from the WIT files, which carry the documentation")]

wasmtime::component::bindgen!({
    path: ["../../wit/nexum-host", "../../wit/shepherd-cow"],
    inline: "
        package nexum:cow;

        world cow {
            import shepherd:cow/cow-api@0.2.0;
        }
    ",
    world: "nexum:cow/cow",
    imports: { default: async | trappable },
    with: { "nexum:host/types": nexum_core::bindings::nexum::host::types },
});
