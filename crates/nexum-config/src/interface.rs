//! Names of WIT interfaces, and which versions of an interface fit.

/// The interfaces of WASI 0.2 that every guest has: closed for modules, as far as its options open
/// them for commands.
///
/// `wasi:http` is not among them.
pub const WASI: &[&str] = &[
    "wasi:cli/environment@0.2.0",
    "wasi:cli/exit@0.2.0",
    "wasi:cli/stderr@0.2.0",
    "wasi:cli/stdin@0.2.0",
    "wasi:cli/stdout@0.2.0",
    "wasi:cli/terminal-input@0.2.0",
    "wasi:cli/terminal-output@0.2.0",
    "wasi:cli/terminal-stderr@0.2.0",
    "wasi:cli/terminal-stdin@0.2.0",
    "wasi:cli/terminal-stdout@0.2.0",
    "wasi:clocks/monotonic-clock@0.2.0",
    "wasi:clocks/wall-clock@0.2.0",
    "wasi:filesystem/preopens@0.2.0",
    "wasi:filesystem/types@0.2.0",
    "wasi:io/error@0.2.0",
    "wasi:io/poll@0.2.0",
    "wasi:io/streams@0.2.0",
    "wasi:random/insecure-seed@0.2.0",
    "wasi:random/insecure@0.2.0",
    "wasi:random/random@0.2.0",
    "wasi:sockets/instance-network@0.2.0",
    "wasi:sockets/ip-name-lookup@0.2.0",
    "wasi:sockets/network@0.2.0",
    "wasi:sockets/tcp-create-socket@0.2.0",
    "wasi:sockets/tcp@0.2.0",
    "wasi:sockets/udp-create-socket@0.2.0",
    "wasi:sockets/udp@0.2.0",
];

/// The capabilities of the contract that are not ambient: the name, and the interfaces.
pub const CAPABILITIES: [(&str, &[&str]); 7] = [
    ("chain", &["nexum:host/chain@0.2.0", "nexum:host/chain@0.1.0"]),
    ("cow", &["shepherd:cow/cow-api@0.2.0"]),
    (
        "http",
        &[
            "nexum:host/http@0.2.0",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:http/types@0.2.0",
        ],
    ),
    ("identity", &["nexum:host/identity@0.2.0"]),
    ("messaging", &["nexum:host/messaging@0.2.0"]),
    ("remote-store", &["nexum:host/remote-store@0.2.0"]),
    (
        "store",
        &["nexum:host/local-store@0.2.0", "nexum:host/local-store@0.1.0"],
    ),
];

/// The interfaces of the ambient clock.
pub const CLOCK: &[&str] = &["nexum:host/clock@0.2.0"];

/// The interfaces of a function's context.
pub const CONTEXT: &[&str] = &["nexum:functions/context@0.1.0"];

/// The interfaces of the log.
pub const LOGGING: &[&str] = &["nexum:host/logging@0.2.0", "nexum:host/logging@0.1.0"];

/// The interfaces of entropy.
pub const RANDOM: &[&str] = &["nexum:host/random@0.2.0"];

/// The interfaces of the contract that every module has, by capability.
pub const AMBIENT: [&[&str]; 4] = [CLOCK, CONTEXT, LOGGING, RANDOM];

/// The name of the capability that an import needs, whatever the version of the import. `None` for an
/// interface that every module has, and for one that is not in the contract.
pub fn capability_of(import: &str) -> Option<&'static str> {
    let mut known = CAPABILITIES.into_iter();
    known.find_map(|(capability, interfaces)| {
        let serves = interfaces
            .iter()
            .any(|interface| unversioned(interface) == unversioned(import));
        serves.then_some(capability)
    })
}

fn unversioned(interface: &str) -> &str {
    interface.split_once('@').map_or(interface, |(name, _)| name)
}

/// The capability of the contract that a name in a manifest means: the name is the capability's, or
/// that of an interface.
pub fn capability_named(name: &str) -> Option<&'static str> {
    let mut known = CAPABILITIES.into_iter();
    known.find_map(|(capability, interfaces)| {
        let is_meant = capability == name || interfaces.iter().any(|interface| bare_name(interface) == name);
        is_meant.then_some(capability)
    })
}

/// Whether an interface serves an import. The guest may use another patch release of the interface.
pub fn serves(interface: &str, import: &str) -> bool {
    interface == import || compatible(interface).is_some_and(|ours| compatible(import) == Some(ours))
}

/// An interface's name, and the part of its version that has to match.
fn compatible(interface: &str) -> Option<(&str, &str)> {
    let (name, version) = interface.split_once('@')?;
    let mut dots = version.match_indices('.').map(|(index, _)| index);
    let (major, minor) = (dots.next()?, dots.next()?);
    Some((
        name,
        if version.starts_with("0.") {
            &version[..minor]
        } else {
            &version[..major]
        },
    ))
}

/// The interface's short name: `chain` for `nexum:host/chain@0.2.0`.
pub fn bare_name(interface: &str) -> &str {
    let name = unversioned(interface);
    name.rsplit_once('/').map_or(name, |(_, name)| name)
}
