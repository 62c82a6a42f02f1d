//! Whose fault an error of a call is.

use nexum_sdk::{Error, ErrorKind};

/// Phrases of nodes for a call that used up its gas or its time, in lower case: geth, reth and erigon,
/// then Nethermind, anvil, Besu, and geth's limit of time.
const USED_UP: [&str; 5] = [
    "gas",
    "execution error",
    "evm error",
    "execution halted",
    "execution aborted",
];

/// The codes below 0 and the code 3 are those of JSON-RPC. The others are statuses of HTTP.
const REVERT: i32 = 3;

/// Whether the contract itself answered: with a revert, or with data of another type.
///
/// A node also refuses requests with [`ErrorKind::InvalidInput`], for example because of a quota.
/// Such an error has a code, and no data of a revert.
pub fn is_of_contract(error: &Error) -> bool {
    error.revert_data().is_some() || error.kind() == ErrorKind::InvalidInput && error.code() == 0
}

/// Whether the node answered this call, and not only the connection or a proxy. The call may be the
/// cause of the error.
pub fn is_of_node(error: &Error) -> bool {
    error.kind() != ErrorKind::RateLimited && (error.code() < 0 || error.code() == REVERT)
}

/// Whether the call used up its gas or its time. JSON-RPC has no code for this.
pub fn is_used_up(error: &Error) -> bool {
    let text = error.message().to_ascii_lowercase();
    is_of_node(error) && USED_UP.iter().any(|phrase| text.contains(phrase))
}
