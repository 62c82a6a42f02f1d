//! Bindings of the contract's shared types, and of the two functions that every module of a world
//! exports.
//!
//! The worlds only have exports, so that the core can call a module without naming a capability.
//! Host crates generate the bindings of their own interface, and map `nexum:host/types` to the
//! types here.
#![allow(missing_docs, reason = "generated from the WIT files, which carry the documentation")]

wasmtime::component::bindgen!({
    path: "../../wit/nexum-host",
    inline: "
        package nexum:engine;

        world module {
            use nexum:host/types@0.2.0.{config, event, host-error};
            export init: func(config: config) -> result<_, host-error>;
            export on-event: func(event: event) -> result<_, host-error>;
        }
    ",
    world: "nexum:engine/module",
    exports: { default: async },
    additional_derives: [PartialEq, Eq, serde::Serialize, serde::Deserialize],
});

/// The functions that every query module exports.
pub mod query {
    wasmtime::component::bindgen!({
        path: "../../wit/nexum-host",
        inline: "
            package nexum:engine;

            world query {
                use nexum:host/types@0.2.0.{config, host-error};
                export init: func(config: config) -> result<_, host-error>;
                export evaluate: func(input: list<u8>) -> result<list<u8>, host-error>;
            }
        ",
        world: "nexum:engine/query",
        with: { "nexum:host/types": super::nexum::host::types },
        exports: { default: async },
    });
}

/// The functions that every trigger module exports, and the types of its package,
/// `nexum:host@0.1.0`.
pub mod trigger {
    wasmtime::component::bindgen!({
        path: "../../wit/nexum-host-0.1",
        inline: "
            package nexum:engine;

            world trigger-module {
                use nexum:host/types@0.1.0.{config, trigger, fault};
                export init: func(config: config) -> result<_, fault>;
                export on-trigger: func(trigger: trigger) -> result<_, fault>;
            }
        ",
        world: "nexum:engine/trigger-module",
        exports: { default: async },
        additional_derives: [PartialEq, Eq, serde::Serialize, serde::Deserialize],
    });
}

/// The functions that every module with functions exports, and the context of a call.
pub mod functions {
    /// A call, as the guest sees it through its handle.
    #[derive(Clone, Debug)]
    pub struct CallContext {
        /// The program that asks.
        pub(crate) caller: nexum::functions::context::Caller,
        /// The id of the call in the log.
        pub(crate) request_id: String,
    }

    wasmtime::component::bindgen!({
        path: ["../../wit/nexum-host", "../../wit/nexum-functions"],
        inline: "
            package nexum:engine;

            world functions {
                use nexum:host/types@0.2.0.{config, host-error};
                use nexum:functions/types@0.1.0.{function};
                use nexum:functions/context@0.1.0.{context};
                export init: func(config: config) -> result<_, host-error>;
                export list-functions: func() -> list<function>;
                export invoke: func(name: option<string>, args: string, context: borrow<context>) -> result<string, host-error>;
            }
        ",
        world: "nexum:engine/functions",
        with: {
            "nexum:host/types": super::nexum::host::types,
            "nexum:functions/context.context": CallContext,
        },
        imports: { default: trappable },
        exports: { default: async },
        additional_derives: [PartialEq, Eq],
    });
}

impl nexum::host::types::HostError {
    /// Creates an error of this host, without a status code or a body from a server.
    pub fn new(domain: impl Into<String>, kind: nexum::host::types::HostErrorKind, message: impl Into<String>) -> Self {
        Self {
            domain: domain.into(),
            kind,
            code: 0,
            message: message.into(),
            data: None,
        }
    }
}

impl nexum::host::types::HostErrorKind {
    /// The kind's name in the contract.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::RateLimited => "rate-limited",
            Self::Timeout => "timeout",
            Self::InvalidInput => "invalid-input",
            Self::Internal => "internal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::nexum::host::types::HostErrorKind;

    #[test]
    fn a_kind_has_its_name_in_the_contract() {
        let contract = include_str!("../../../wit/nexum-host/types.wit");
        let (_, variant) = contract.split_once("variant host-error-kind {").expect("the variant");
        let (variant, _) = variant.split_once('}').expect("its end");
        let lines = variant.lines().map(str::trim);
        let cases: Vec<_> = lines.filter_map(|line| line.strip_suffix(',')).collect();
        let names = [
            HostErrorKind::Unsupported,
            HostErrorKind::Unavailable,
            HostErrorKind::Denied,
            HostErrorKind::RateLimited,
            HostErrorKind::Timeout,
            HostErrorKind::InvalidInput,
            HostErrorKind::Internal,
        ]
        .map(|kind| kind.name());
        assert_eq!(cases, names);
    }
}
