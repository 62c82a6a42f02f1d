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
    let name = interface.split_once('@').map_or(interface, |(name, _)| name);
    name.rsplit_once('/').map_or(name, |(_, name)| name)
}
