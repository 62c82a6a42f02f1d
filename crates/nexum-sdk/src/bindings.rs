//! The bindings of the contract, generated once for all modules.
//!
//! A world without exports has all imports: the linker drops those that a module does not call.
//! Each export has a world of its own, so that a component exports only what its module handles.

wit_bindgen::generate!({
    path: ["wit/nexum-host", "wit/shepherd-cow"],
    inline: "
        package nexum:sdk;

        world imports {
            import nexum:host/types@0.2.0;
            import nexum:host/chain@0.2.0;
            import nexum:host/identity@0.2.0;
            import nexum:host/local-store@0.2.0;
            import nexum:host/messaging@0.2.0;
            import nexum:host/logging@0.2.0;
            import nexum:host/clock@0.2.0;
            import nexum:host/random@0.2.0;
            import nexum:host/http@0.2.0;
            import shepherd:cow/cow-api@0.2.0;
        }
    ",
    world: "nexum:sdk/imports",
    generate_all,
    generate_unused_types: true,
    // A request is lowered from borrowed texts.
    ownership: Borrowing { duplicate_if_necessary: false },
});

/// The export `init`.
pub mod init {
    wit_bindgen::generate!({
        path: "wit/nexum-host",
        inline: "
            package nexum:sdk-init;

            world init {
                use nexum:host/types@0.2.0.{config, host-error};
                export init: func(config: config) -> result<_, host-error>;
            }
        ",
        world: "nexum:sdk-init/init",
        with: { "nexum:host/types@0.2.0": crate::bindings::nexum::host::types },
        pub_export_macro: true,
        export_macro_name: "export_init",
        default_bindings_module: "nexum_sdk::bindings::init",
    });
}

/// The export `on-event`.
pub mod events {
    wit_bindgen::generate!({
        path: "wit/nexum-host",
        inline: "
            package nexum:sdk-events;

            world events {
                use nexum:host/types@0.2.0.{event, host-error};
                export on-event: func(event: event) -> result<_, host-error>;
            }
        ",
        world: "nexum:sdk-events/events",
        with: { "nexum:host/types@0.2.0": crate::bindings::nexum::host::types },
        pub_export_macro: true,
        export_macro_name: "export_events",
        default_bindings_module: "nexum_sdk::bindings::events",
    });
}

/// The export `evaluate`.
pub mod query {
    wit_bindgen::generate!({
        path: "wit/nexum-host",
        inline: "
            package nexum:sdk-query;

            world query {
                use nexum:host/types@0.2.0.{host-error};
                export evaluate: func(input: list<u8>) -> result<list<u8>, host-error>;
            }
        ",
        world: "nexum:sdk-query/query",
        with: { "nexum:host/types@0.2.0": crate::bindings::nexum::host::types },
        pub_export_macro: true,
        export_macro_name: "export_query",
        default_bindings_module: "nexum_sdk::bindings::query",
    });
}
