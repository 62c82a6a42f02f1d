//! The capabilities of the contract, also those that this build lacks.

use nexum_config::interface::CAPABILITIES;

use Served::{By, Unserved};

/// The builds that serve a capability of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// A build with this cargo feature of this crate.
    By(&'static str),
    /// No build yet: the functions return `unsupported`, and these return an empty list.
    Unserved(&'static [&'static str]),
}

/// A capability of the contract that is not ambient: name, interfaces, and the builds that serve it.
pub(crate) type Known = (&'static str, &'static [&'static str], Served);

/// Every capability of the contract that is not ambient.
pub(crate) fn contract() -> impl Iterator<Item = Known> + Clone {
    CAPABILITIES.into_iter().map(|(name, interfaces)| {
        let served = match name {
            "messaging" | "remote-store" => Unserved(&[]),
            feature => By(feature),
        };
        (name, interfaces, served)
    })
}

/// The section of the accounts, which belongs to the capability [`IDENTITY`].
pub(crate) const ACCOUNTS_SECTION: &str = "accounts";

/// The capability that signs with accounts, and its section.
pub(crate) const IDENTITY: &str = "identity";

/// The section of the TCP port for commands. The binary reads it.
pub(crate) const ADMIN_SECTION: &str = "admin";

/// The section of a process that is a node of an installation. The binary reads it.
pub(crate) const CLUSTER_SECTION: &str = "cluster";

/// The section of the records of effects, which every build with the runtime has.
pub(crate) const EFFECTS_SECTION: &str = "effects";

/// The section of the event ledger, which every build with the runtime has.
pub(crate) const LEDGER_SECTION: &str = "ledger";

/// The section of transactions.
pub(crate) const TX_SECTION: &str = "transactions";

/// The section of the port for metrics. The binary reads it.
pub(crate) const METRICS_SECTION: &str = "metrics";

/// The section of the receivers of notifications. The binary reads it.
pub(crate) const NOTIFY_SECTION: &str = "notify";

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
