//! The ports between the capability `chain` and the parts of a host that sign and send for modules.

use std::fmt::Debug;

use async_trait::async_trait;
use nexum_config::topic::ChainId;

use super::View;
use crate::bindings::nexum::host::types::HostError;

/// Methods of `chain.request` that another part of the host answers, such as `eth_sendTransaction`.
///
/// The capability `chain` asks it for a method that no node answers without a key. Nothing else allows the method.
#[async_trait]
pub trait ChainMethods: Send + Sync + Debug + 'static {
    /// Whether it answers a method. `method` may be any text.
    fn answers(&self, method: &str) -> bool;

    /// Answers a request of a module. `params` is any text; the capability `chain` has checked its length.
    ///
    /// # Errors
    ///
    /// The error for the guest; outside, the trap that ends the handler call.
    async fn request(
        &self,
        view: View<'_, ()>,
        chain_id: ChainId,
        method: &str,
        params: &str,
    ) -> wasmtime::Result<Result<String, HostError>>;
}

/// The chains, for a part of the host that sends transactions.
#[async_trait]
pub trait ChainAccess: Send + Sync + Debug + 'static {
    /// The configured chains.
    fn chains(&self) -> Vec<ChainId>;

    /// Sends a request that only reads, with retries. `params` is a JSON array. The result is the node's JSON.
    ///
    /// # Errors
    ///
    /// [`HostError`], as a guest receives it.
    async fn read(&self, chain_id: ChainId, method: &str, params: &str) -> Result<String, HostError>;

    /// Submits a signed transaction, once, to each place where the chain takes transactions. Returns the answers.
    async fn submit(&self, chain_id: ChainId, transaction: &[u8]) -> Vec<Submitted>;

    /// How the chain takes transactions.
    fn submission(&self, chain_id: ChainId) -> Submission;
}

/// How a chain takes transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    /// Transactions go to private relays alone, so no node knows one before it is mined.
    pub is_private: bool,
    /// A relay forgets a transaction after this many blocks. 0 for a chain without a private relay.
    pub blocks: u64,
    /// Whether a transaction goes to the public endpoints when the relays have not had it mined in time.
    pub fallback: bool,
}

/// The answer of one place to a signed transaction.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The place, without secrets: scheme, host and port.
    pub endpoint: String,
    /// What it said.
    pub result: Result<(), SubmitError>,
}

/// Why a place did not take a transaction.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SubmitError {
    /// The text for the operator, without secrets.
    pub message: String,
    /// Whether the place has certainly not taken it: it has answered with an error about the transaction.
    pub is_refusal: bool,
}
