//! The WIT files against the contract, name by name, so that no change goes unnoticed.

use std::path::Path;

use wit_parser::{Function, FunctionKind, Handle, Resolve, Type, TypeDefKind, WorldItem, WorldKey};

/// `nexum:host@0.2.0`: every type and function, in order.
const HOST_INTERFACES: &[(&str, &[&str])] = &[
    (
        "types",
        &[
            "type chain-id = u64",
            "record block { chain-id: chain-id, number: u64, hash: list<u8>, timestamp: u64 }",
            "record log { chain-id: chain-id, address: list<u8>, topics: list<list<u8>>, data: list<u8>, block-number: u64, transaction-hash: list<u8>, log-index: u32 }",
            "record message { content-topic: string, payload: list<u8>, timestamp: u64, sender: option<list<u8>> }",
            "record tick { fired-at: u64 }",
            "variant event { block(block), logs(list<log>), tick(tick), message(message) }",
            "type config = list<tuple<string, string>>",
            "variant host-error-kind { unsupported, unavailable, denied, rate-limited, timeout, invalid-input, internal }",
            "record host-error { domain: string, kind: host-error-kind, code: s32, message: string, data: option<string> }",
        ],
    ),
    (
        "chain",
        &[
            "use chain-id = types.chain-id",
            "use host-error = types.host-error",
            "record rpc-request { method: string, params: string }",
            "variant rpc-result { ok(string), err(host-error) }",
            "request: func(chain-id: chain-id, method: string, params: string) -> result<string, host-error>",
            "request-batch: func(chain-id: chain-id, requests: list<rpc-request>) -> result<list<rpc-result>, host-error>",
        ],
    ),
    (
        "identity",
        &[
            "use host-error = types.host-error",
            "accounts: func() -> result<list<list<u8>>, host-error>",
            "sign: func(account: list<u8>, message: list<u8>) -> result<list<u8>, host-error>",
            "sign-typed-data: func(account: list<u8>, typed-data: string) -> result<list<u8>, host-error>",
        ],
    ),
    (
        "local-store",
        &[
            "use host-error = types.host-error",
            "get: func(key: string) -> result<option<list<u8>>, host-error>",
            "set: func(key: string, value: list<u8>) -> result<_, host-error>",
            "delete: func(key: string) -> result<_, host-error>",
            "list-keys: func(prefix: string) -> result<list<string>, host-error>",
        ],
    ),
    (
        "remote-store",
        &[
            "use host-error = types.host-error",
            "upload: func(data: list<u8>) -> result<list<u8>, host-error>",
            "download: func(reference: list<u8>) -> result<list<u8>, host-error>",
            "read-feed: func(owner: list<u8>, topic: list<u8>) -> result<option<list<u8>>, host-error>",
            "write-feed: func(topic: list<u8>, data: list<u8>) -> result<list<u8>, host-error>",
        ],
    ),
    (
        "messaging",
        &[
            "use host-error = types.host-error",
            "use message = types.message",
            "publish: func(content-topic: string, payload: list<u8>) -> result<_, host-error>",
            "query: func(content-topic: string, start-time: option<u64>, end-time: option<u64>, limit: option<u32>) -> result<list<message>, host-error>",
        ],
    ),
    (
        "logging",
        &[
            "enum level { trace, debug, info, warn, error }",
            "log: func(level: level, message: string)",
        ],
    ),
    ("clock", &["now-ms: func() -> u64", "monotonic-ns: func() -> u64"]),
    ("random", &["fill: func(len: u32) -> list<u8>"]),
    (
        "http",
        &[
            "use host-error = types.host-error",
            "record header { name: string, value: string }",
            "record request { method: string, url: string, headers: list<header>, body: option<list<u8>>, timeout-ms: option<u32> }",
            "record response { status: u16, headers: list<header>, body: list<u8> }",
            "fetch: func(req: request) -> result<response, host-error>",
        ],
    ),
];

const HOST_WORLDS: &[(&str, &[&str], &[&str])] = &[
    (
        "event-module",
        &[
            "nexum:host/types@0.2.0",
            "nexum:host/chain@0.2.0",
            "nexum:host/identity@0.2.0",
            "nexum:host/local-store@0.2.0",
            "nexum:host/remote-store@0.2.0",
            "nexum:host/messaging@0.2.0",
            "nexum:host/logging@0.2.0",
            "nexum:host/clock@0.2.0",
            "nexum:host/random@0.2.0",
            "nexum:host/http@0.2.0",
            "use config = types.config",
            "use event = types.event",
            "use host-error = types.host-error",
        ],
        &[
            "init: func(config: config) -> result<_, host-error>",
            "on-event: func(event: event) -> result<_, host-error>",
        ],
    ),
    (
        "query-module",
        &[
            "nexum:host/types@0.2.0",
            "nexum:host/local-store@0.2.0",
            "nexum:host/logging@0.2.0",
            "use config = types.config",
            "use host-error = types.host-error",
        ],
        &[
            "init: func(config: config) -> result<_, host-error>",
            "evaluate: func(input: list<u8>) -> result<list<u8>, host-error>",
        ],
    ),
];

/// `shepherd:cow@0.2.0`.
const COW_INTERFACES: &[(&str, &[&str])] = &[(
    "cow-api",
    &[
        "use chain-id = types.chain-id",
        "use host-error = types.host-error",
        "request: func(chain-id: chain-id, method: string, path: string, body: option<string>) -> result<string, host-error>",
        "submit-order: func(chain-id: chain-id, order-data: list<u8>) -> result<string, host-error>",
    ],
)];

/// `nexum:functions@0.1.0`.
const FUNCTION_INTERFACES: &[(&str, &[&str])] = &[
    (
        "types",
        &[
            "record parameter { name: string, type: string }",
            "record function { name: string, parameters: list<parameter>, result: option<string>, comment: string, writeable: bool }",
        ],
    ),
    (
        "context",
        &[
            "variant caller { address(string), uid(u32), host }",
            "resource context",
            "[method]context.caller: func(self: handle) -> caller",
            "[method]context.request-id: func(self: handle) -> string",
        ],
    ),
];

const FUNCTION_WORLDS: &[(&str, &[&str], &[&str])] = &[(
    "function-module",
    &[
        "nexum:host/types@0.2.0",
        "nexum:functions/types@0.1.0",
        "nexum:functions/context@0.1.0",
        "nexum:host/chain@0.2.0",
        "nexum:host/identity@0.2.0",
        "nexum:host/local-store@0.2.0",
        "nexum:host/remote-store@0.2.0",
        "nexum:host/messaging@0.2.0",
        "nexum:host/logging@0.2.0",
        "nexum:host/clock@0.2.0",
        "nexum:host/random@0.2.0",
        "nexum:host/http@0.2.0",
        "use config = types.config",
        "use host-error = types.host-error",
        "use function = types.function",
        "use context = context.context",
    ],
    &[
        "init: func(config: config) -> result<_, host-error>",
        "list-functions: func() -> list<function>",
        "invoke: func(name: option<string>, args: string, context: handle) -> result<string, host-error>",
    ],
)];

/// `nexum:host@0.1.0`, the package of trigger modules.
const TRIGGER_INTERFACES: &[(&str, &[&str])] = &[
    (
        "types",
        &[
            "type chain-id = u64",
            "record block { chain-id: chain-id, number: u64, hash: list<u8>, timestamp: u64 }",
            "record log { chain-id: chain-id, address: list<u8>, topics: list<list<u8>>, data: list<u8>, block-hash: option<list<u8>>, block-number: option<u64>, block-timestamp: option<u64>, transaction-hash: option<list<u8>>, transaction-index: option<u64>, log-index: option<u64>, removed: bool }",
            "record schedule-tick { fired-at: u64 }",
            "record extension-trigger { extension-kind: string, payload: list<u8> }",
            "variant trigger { block(block), event(log), schedule(schedule-tick), extension(extension-trigger) }",
            "type config = list<tuple<string, string>>",
            "variant fault { unsupported(string), unavailable(string), denied(string), rate-limited, timeout, invalid-input(string), internal(string) }",
        ],
    ),
    (
        "chain",
        &[
            "use chain-id = types.chain-id",
            "use fault = types.fault",
            "record rpc-error { code: s32, message: string, data: option<list<u8>> }",
            "variant chain-error { fault(fault), rpc(rpc-error) }",
            "request: func(chain-id: chain-id, method: string, params: string) -> result<string, chain-error>",
        ],
    ),
    (
        "local-store",
        &[
            "use fault = types.fault",
            "record key-value { key: string, value: list<u8> }",
            "variant value-filter { has-prefix(list<u8>), lacks-prefix(list<u8>) }",
            "record entry-page { entries: list<key-value>, last-examined: option<string>, exhausted: bool }",
            "variant write-op { set(key-value), delete(string) }",
            "get: func(key: string) -> result<option<list<u8>>, fault>",
            "set: func(key: string, value: list<u8>) -> result<_, fault>",
            "delete: func(key: string) -> result<_, fault>",
            "list-keys: func(prefix: string) -> result<list<string>, fault>",
            "contains: func(key: string) -> result<bool, fault>",
            "len: func(key: string) -> result<option<u64>, fault>",
            "count: func(prefix: string) -> result<u64, fault>",
            "list-entries: func(prefix: string, start-after: string, limit: u32, scan-limit: u32, filter: option<value-filter>) -> result<entry-page, fault>",
            "apply: func(ops: list<write-op>) -> result<_, fault>",
        ],
    ),
    (
        "logging",
        &[
            "enum level { trace, debug, info, warn, error }",
            "variant field-value { text(string), unsigned(u64), signed(S64), float(F64), boolean(bool) }",
            "record field { name: string, value: field-value }",
            "record source { target: string, file: option<string>, line: option<u32> }",
            "log: func(level: level, message: string)",
            "log-event: func(level: level, source: source, message: string, fields: list<field>)",
        ],
    ),
];

const TRIGGER_WORLDS: &[(&str, &[&str], &[&str])] = &[(
    "trigger-module",
    &[
        "nexum:host/types@0.1.0",
        "nexum:host/chain@0.1.0",
        "nexum:host/local-store@0.1.0",
        "nexum:host/logging@0.1.0",
        "use config = types.config",
        "use trigger = types.trigger",
        "use fault = types.fault",
    ],
    &[
        "init: func(config: config) -> result<_, fault>",
        "on-trigger: func(trigger: trigger) -> result<_, fault>",
    ],
)];

fn parse() -> Resolve {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut resolve = Resolve::default();
    for package in ["nexum-host", "nexum-host-0.1", "nexum-functions", "shepherd-cow"] {
        resolve
            .push_dir(wit.join(package))
            .unwrap_or_else(|error| panic!("wit/{package}: {error:#}"));
    }
    resolve
}

#[test]
fn the_host_package_is_the_contract() {
    let resolve = parse();
    check_package(&resolve, "nexum:host@0.2.0", HOST_INTERFACES);
    check_worlds(&resolve, "nexum:host@0.2.0", HOST_WORLDS);
}

#[test]
fn the_cow_package_is_the_contract() {
    let resolve = parse();
    check_package(&resolve, "shepherd:cow@0.2.0", COW_INTERFACES);
    let (_, imports, exports) = HOST_WORLDS[0];
    let mut imports: Vec<_> = imports.to_vec();
    let after_interfaces = imports
        .iter()
        .position(|import| import.starts_with("use "))
        .expect("types");
    imports.insert(after_interfaces, "shepherd:cow/cow-api@0.2.0");
    check_worlds(&resolve, "shepherd:cow@0.2.0", &[("shepherd", &imports, exports)]);
}

#[test]
fn the_package_of_trigger_modules_is_the_contract() {
    let resolve = parse();
    check_package(&resolve, "nexum:host@0.1.0", TRIGGER_INTERFACES);
    check_worlds(&resolve, "nexum:host@0.1.0", TRIGGER_WORLDS);
}

#[test]
fn the_functions_package_is_the_contract() {
    let resolve = parse();
    check_package(&resolve, "nexum:functions@0.1.0", FUNCTION_INTERFACES);
    check_worlds(&resolve, "nexum:functions@0.1.0", FUNCTION_WORLDS);
}

fn check_package(resolve: &Resolve, package: &str, expected: &[(&str, &[&str])]) {
    let (_, found) = resolve
        .packages
        .iter()
        .find(|(_, found)| found.name.to_string() == package)
        .expect("the package");
    let names: Vec<_> = found.interfaces.keys().map(String::as_str).collect();
    let mut expected_names: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    expected_names.sort_unstable();
    assert_eq!(sorted, expected_names, "the interfaces of {package}");
    for (name, expected) in expected {
        let interface = &resolve.interfaces[found.interfaces[*name]];
        let types = interface.types.values().map(|id| define(resolve, *id));
        let functions = interface.functions.values().map(|function| describe(resolve, function));
        assert_eq!(
            types.chain(functions).collect::<Vec<_>>(),
            *expected,
            "{package} {name}"
        );
    }
}

fn check_worlds(resolve: &Resolve, package: &str, expected: &[(&str, &[&str], &[&str])]) {
    let (_, found) = resolve
        .packages
        .iter()
        .find(|(_, found)| found.name.to_string() == package)
        .expect("the package");
    assert_eq!(found.worlds.len(), expected.len(), "the worlds of {package}");
    for (name, imports, exports) in expected {
        let world = &resolve.worlds[found.worlds[*name]];
        let list = |items: &dyn Fn() -> Vec<(WorldKey, WorldItem)>| {
            items()
                .iter()
                .map(|(key, item)| item_text(resolve, key, item))
                .collect::<Vec<_>>()
        };
        let owned = |items: &wit_parser::IndexMap<WorldKey, WorldItem>| {
            items
                .iter()
                .map(|(key, item)| (key.clone(), item.clone()))
                .collect::<Vec<_>>()
        };
        let mut found_imports = list(&|| owned(&world.imports));
        let mut expected_imports: Vec<_> = imports.iter().map(ToString::to_string).collect();
        // The order of a world's imports has no meaning.
        found_imports.sort();
        expected_imports.sort();
        assert_eq!(found_imports, expected_imports, "the imports of {name}");
        assert_eq!(list(&|| owned(&world.exports)), *exports, "the exports of {name}");
    }
}

fn item_text(resolve: &Resolve, key: &WorldKey, item: &WorldItem) -> String {
    match item {
        WorldItem::Interface { .. } => resolve.name_world_key(key),
        WorldItem::Function(function) => describe(resolve, function),
        WorldItem::Type { id, .. } => define(resolve, *id),
    }
}

fn describe(resolve: &Resolve, function: &Function) -> String {
    assert!(
        matches!(function.kind, FunctionKind::Freestanding | FunctionKind::Method(_)),
        "{} is a plain function or a method",
        function.name
    );
    let params: Vec<_> = function
        .params
        .iter()
        .map(|param| format!("{}: {}", param.name, refer(resolve, &param.ty)))
        .collect();
    let result = function
        .result
        .as_ref()
        .map(|ty| format!(" -> {}", refer(resolve, ty)))
        .unwrap_or_default();
    format!("{}: func({}){result}", function.name, params.join(", "))
}

/// The definition of a named type.
fn define(resolve: &Resolve, id: wit_parser::TypeId) -> String {
    let ty = &resolve.types[id];
    let name = ty.name.as_deref().expect("a name");
    let owner = |id: wit_parser::TypeId| match resolve.types[id].owner {
        wit_parser::TypeOwner::Interface(interface) => resolve.interfaces[interface].name.clone(),
        _ => None,
    };
    match &ty.kind {
        TypeDefKind::Record(record) => {
            let fields = record
                .fields
                .iter()
                .map(|field| format!("{}: {}", field.name, refer(resolve, &field.ty)));
            format!("record {name} {{ {} }}", join(fields))
        }
        TypeDefKind::Variant(variant) => {
            let case = |case: &wit_parser::Case| match &case.ty {
                Some(ty) => format!("{}({})", case.name, refer(resolve, ty)),
                None => case.name.clone(),
            };
            format!("variant {name} {{ {} }}", join(variant.cases.iter().map(case)))
        }
        TypeDefKind::Enum(cases) => {
            format!(
                "enum {name} {{ {} }}",
                join(cases.cases.iter().map(|case| case.name.clone()))
            )
        }
        TypeDefKind::Type(Type::Id(used)) if ty.owner != resolve.types[*used].owner => {
            let from = owner(*used).expect("a type of an interface");
            format!(
                "use {name} = {from}.{}",
                resolve.types[*used].name.as_deref().expect("a name")
            )
        }
        TypeDefKind::Type(aliased) => format!("type {name} = {}", refer(resolve, aliased)),
        TypeDefKind::Resource => format!("resource {name}"),
        kind => format!("type {name} = {}", structure(resolve, kind)),
    }
}

/// A type at its use.
fn refer(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::String => "string".to_owned(),
        Type::Id(id) => match &resolve.types[*id] {
            named if named.name.is_some() => named.name.clone().unwrap_or_default(),
            unnamed => structure(resolve, &unnamed.kind),
        },
        other => format!("{other:?}"),
    }
}

fn structure(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let refer = |ty: &Type| refer(resolve, ty);
    match kind {
        TypeDefKind::List(item) => format!("list<{}>", refer(item)),
        TypeDefKind::Option(item) => format!("option<{}>", refer(item)),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", join(tuple.types.iter().map(refer))),
        TypeDefKind::Result(result) => {
            let ok = result.ok.as_ref().map_or_else(|| "_".to_owned(), refer);
            format!(
                "result<{ok}, {}>",
                result.err.as_ref().map_or_else(|| "_".to_owned(), refer)
            )
        }
        TypeDefKind::Handle(Handle::Own(_) | Handle::Borrow(_)) => "handle".to_owned(),
        other => format!("{other:?}"),
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
