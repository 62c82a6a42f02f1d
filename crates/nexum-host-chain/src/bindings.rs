//! Bindings of `nexum:host/chain`.
#![allow(missing_docs, reason = "generated from the WIT files, which carry the documentation")]

wasmtime::component::bindgen!({
    path: "../../wit/nexum-host",
    inline: "
        package nexum:chain;

        world chain {
            import nexum:host/chain@0.2.0;
        }
    ",
    world: "nexum:chain/chain",
    imports: { default: async | trappable },
    with: { "nexum:host/types": nexum_core::bindings::nexum::host::types },
});

/// The interface for trigger modules.
pub(crate) mod trigger {
    wasmtime::component::bindgen!({
        path: "../../wit/nexum-host-0.1",
        inline: "
            package nexum:chain;

            world chain {
                import nexum:host/chain@0.1.0;
            }
        ",
        world: "nexum:chain/chain",
        imports: { default: async | trappable },
        with: { "nexum:host/types": nexum_core::bindings::trigger::nexum::host::types },
        additional_derives: [PartialEq, Eq, serde::Serialize, serde::Deserialize],
    });
}
