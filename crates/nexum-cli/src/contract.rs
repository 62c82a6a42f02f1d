//! The capabilities of the contract, also those that this build lacks.

use Served::{By, Unserved};

/// The builds that serve a capability of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// A build with this cargo feature of this crate.
    By(&'static str),
    /// No build yet: the functions return `unsupported`, and these return an empty list.
    Unserved(&'static [&'static str]),
}

/// Every capability of the contract that is not ambient: name, interfaces, and the builds that
/// serve it.
pub(crate) const CONTRACT: [(&str, &[&str], Served); 7] = [
    (
        "chain",
        &["nexum:host/chain@0.2.0", "nexum:host/chain@0.1.0"],
        By("chain"),
    ),
    ("cow", &["shepherd:cow/cow-api@0.2.0"], By("cow")),
    (
        "http",
        &[
            "nexum:host/http@0.2.0",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:http/types@0.2.0",
        ],
        By("http"),
    ),
    // The module has no keys, so an empty list of accounts is true.
    ("identity", &["nexum:host/identity@0.2.0"], Unserved(&["accounts"])),
    ("messaging", &["nexum:host/messaging@0.2.0"], Unserved(&[])),
    ("remote-store", &["nexum:host/remote-store@0.2.0"], Unserved(&[])),
    (
        "store",
        &["nexum:host/local-store@0.2.0", "nexum:host/local-store@0.1.0"],
        By("store"),
    ),
];

/// The section of the port for metrics. The binary reads it.
pub(crate) const METRICS_SECTION: &str = "metrics";

/// The section of the port for queries. The binary reads it.
pub(crate) const QUERY_SECTION: &str = "query";

/// The section of the state's back-end, which every build with the runtime has.
pub(crate) const STORE_SECTION: &str = "store";

/// The capabilities that every module has.
#[cfg(any(test, not(feature = "runtime")))]
pub(crate) const AMBIENT: [&str; 5] = ["logging", "clock", "random", "context", "wasi"];

#[cfg(all(test, feature = "runtime"))]
mod tests {
    use nexum_core::capability::Capabilities;
    use nexum_core::clock::Seams;

    use super::*;

    #[test]
    fn knows_what_is_ambient() {
        let ambient = Capabilities::ambient(Seams::system());
        let listed = format!("{AMBIENT:?}").replace('[', "{").replace(']', "}");
        assert_eq!(format!("{ambient:?}"), listed);
    }
}
