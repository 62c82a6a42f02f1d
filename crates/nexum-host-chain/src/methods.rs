//! The JSON-RPC methods that a module may call.

use std::collections::BTreeSet;

/// The longest name of a method, in bytes: twice the longest known one.
pub const METHOD_BYTES_MAX: usize = 128;

/// The entry of `extra_methods` that allows every method except [`CONNECTION_METHODS`].
pub const ANY_METHOD: &str = "*";

/// The method whose parameters identify its effect: the hash of a signed transaction.
pub(crate) const SEND_RAW: &str = "eth_sendRawTransaction";

/// The methods that need an account, or send: names for a module's status. A part of the host may answer them, see
/// [`Chains::with_methods`](crate::Chains::with_methods).
const SIGNING_METHODS: [&str; 5] = [
    "eth_accounts",
    SEND_RAW,
    "eth_sendTransaction",
    "eth_signTypedData_v4",
    "personal_sign",
];

/// The beginnings of further methods that only read, of nodes' debugging and indexing interfaces. Without
/// `extra_methods` they are denied like any other method.
const READING_BEGINS: &[&str] = &[
    "arbtrace_",
    "debug_account",
    "debug_get",
    "debug_storageRange",
    "debug_trace",
    "erigon_get",
    "eth_get",
    "ots_",
    "trace_",
    "txpool_",
];

/// The methods that only read, sorted. Every other method is denied unless the operator allows it
/// with `extra_methods`: methods that sign, send, mine or administer, and methods that make a node
/// store state (filters, subscriptions).
///
/// A method outside this list may have an effect. So nexum sends it to one endpoint, and neither joins
/// equal requests of modules, nor caches the answer, nor pins the parameters to the event's block.
pub const READ_METHODS: &[&str] = &[
    "eth_blobBaseFee",
    "eth_blockNumber",
    "eth_call",
    "eth_chainId",
    "eth_createAccessList",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getBlockReceipts",
    "eth_getBlockTransactionCountByHash",
    "eth_getBlockTransactionCountByNumber",
    "eth_getCode",
    "eth_getHeaderByHash",
    "eth_getHeaderByNumber",
    "eth_getLogs",
    "eth_getProof",
    "eth_getRawTransactionByHash",
    "eth_getStorageAt",
    "eth_getTransactionByBlockHashAndIndex",
    "eth_getTransactionByBlockNumberAndIndex",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_getUncleByBlockHashAndIndex",
    "eth_getUncleByBlockNumberAndIndex",
    "eth_getUncleCountByBlockHash",
    "eth_getUncleCountByBlockNumber",
    "eth_maxPriorityFeePerGas",
    "eth_protocolVersion",
    "eth_simulateV1",
    "eth_syncing",
    "net_listening",
    "net_peerCount",
    "net_version",
    "web3_clientVersion",
    "web3_sha3",
];

/// Methods that no configuration allows: their answers belong to a connection, which modules share
/// with the host.
pub const CONNECTION_METHODS: &[&str] = &["eth_subscribe", "eth_unsubscribe"];

/// Whether a method is among [`READ_METHODS`].
pub fn is_read(method: &str) -> bool {
    read(method).is_some()
}

/// Whether a method may change something. nexum has each such request once, so it keeps a record of it.
pub(crate) fn may_change(method: &str) -> bool {
    !is_read(method) && !READING_BEGINS.iter().any(|begin| method.starts_with(begin))
}

/// Whether the operator's `extra_methods` name a method, or allow any. `method` may be any text.
pub(crate) fn is_among(extra_methods: &BTreeSet<String>, method: &str) -> bool {
    extra_methods.contains(method) || extra_methods.contains(ANY_METHOD)
}

/// The name of a method in [`READ_METHODS`].
pub(crate) fn read(method: &str) -> Option<&'static str> {
    READ_METHODS.get(place(method)?).copied()
}

/// The name of a known method that signs or sends.
pub(crate) fn signing(method: &str) -> Option<&'static str> {
    SIGNING_METHODS.into_iter().find(|known| *known == method)
}

/// The index of a method in [`READ_METHODS`].
pub(crate) fn place(method: &str) -> Option<usize> {
    READ_METHODS.binary_search(&method).ok()
}
