//! The ports between the capability `chain` and the parts of a host that sign and send for modules.

use std::fmt::Debug;

use async_trait::async_trait;
use nexum_config::topic::ChainId;

use super::View;
use crate::bindings::nexum::host::types::HostError;

/// Methods of `chain.request` that another part of the host answers, such as `eth_sendTransaction`.
///
/// The capability `chain` gives it each request of a method that it answers, before any node. `extra_methods` neither
/// allows nor denies the method. Modules of contract 0.1 do not have these methods.
#[async_trait]
pub trait ChainMethods: Send + Sync + Debug + 'static {
    /// Whether it answers a method. `method` may be any text.
    fn answers(&self, method: &str) -> bool;

    /// Answers a request of a module. The chain is configured. `params` is a JSON array of at most 1 MiB, with any
    /// content and any depth. The request is counted; an effect is not, and the method journals it. `chain` counts the
    /// bytes of the answer.
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

    /// The parameters with which an endpoint is asked in place of a module's own ones, such as the hash of a transaction
    /// that has replaced another one. `None` for the module's own, as in the default implementation. Called for reads.
    async fn rewrite(&self, view: View<'_, ()>, chain_id: ChainId, method: &str, params: &str) -> Option<String> {
        let _ = (view, chain_id, method, params);
        None
    }

    /// Whether [`Self::rewrite`] may change the parameters of a method. The default is false.
    fn rewrites(&self, method: &str) -> bool {
        let _ = method;
        false
    }
}

/// The chains, for a part of the host that sends transactions.
#[async_trait]
pub trait ChainAccess: Send + Sync + Debug + 'static {
    /// The configured chains.
    fn chains(&self) -> Vec<ChainId>;

    /// Sends a request that only reads, with retries. `params` is a JSON array. The result is the node's JSON. An equal
    /// request in flight answers this one too.
    ///
    /// # Errors
    ///
    /// [`HostError`], as a guest receives it. `denied` for a method that may change something.
    async fn read(&self, chain_id: ChainId, method: &str, params: &str) -> Result<String, HostError>;

    /// Sends a signed transaction to each of the places at the same time, once. Returns one answer for each place; none
    /// if the chain is not configured. Returns soon after a place has the transaction, and otherwise takes at most twice
    /// the chain's `request_timeout_ms`.
    async fn submit(&self, chain_id: ChainId, transaction: &[u8], to: SubmitTo) -> Vec<Submitted>;

    /// How the chain takes transactions.
    fn submission(&self, chain_id: ChainId) -> Submission;
}

/// The places that a transaction goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitTo {
    /// The configured ones: `[[chains.<id>.submit]]`, or the endpoints of a chain without these tables.
    Configured,
    /// The endpoints of the chain, where everyone sees the transaction. Without [`Submission::fallback`], a transaction of
    /// a chain with private relays still goes to the relays alone.
    Public,
}

/// How a chain takes transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    /// Transactions go to private relays alone, so no node knows one before it is mined.
    pub is_private: bool,
    /// Each relay has forgotten a transaction after this many blocks. 0 for a chain without a private relay.
    pub blocks: u64,
    /// Whether a transaction goes to the public endpoints when the relays have not had it mined in time.
    pub fallback: bool,
}

/// The answer of one place to a signed transaction.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The place, without secrets: scheme, host and port.
    pub endpoint: String,
    /// The answer of the place.
    pub result: Result<(), SubmitError>,
}

/// Why a place did not take a transaction.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SubmitError {
    /// The text for the operator, without secrets.
    pub message: String,
    /// Whether the place has answered with an error about the transaction. Otherwise it may take it when it is submitted
    /// again.
    pub is_refusal: bool,
}
