//! The errors of sending a transaction, and the part that a guest sees.

use alloy_primitives::Address;
use nexum_accounts::{Refusal, SignError};
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_core::store::StoreError;

/// The `domain` of every host error: the interface that the guest calls.
const DOMAIN: &str = "chain";

/// Why a module's transaction is not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The parameters are malformed.
    #[error("{0}")]
    Invalid(String),
    /// The operator does not give the account to the module.
    #[error("the operator does not allow the module to use the account {0}")]
    NoGrant(Address),
    /// Only a handler of an event or a function that writes may send.
    #[error("{0}")]
    Handler(&'static str),
    /// No rule allows the transaction.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A limit of the operator is reached.
    #[error("{0}")]
    Limit(String),
    /// Someone else has used the account, or its transactions are stuck for another reason that the operator must look at.
    #[error("nexum has stopped sending from this account: {0}")]
    Halted(String),
    /// The transaction would revert or fail, so nexum has not sent it.
    #[error("the chain would not carry out the transaction: {}", .0.message)]
    Simulated(HostError),
    /// The chain has not answered.
    #[error("{}", .0.message)]
    Chain(HostError),
    /// The chain's answer is malformed.
    #[error("the answer to {0} is malformed")]
    Malformed(&'static str),
    /// Every place that takes transactions has refused it.
    #[error("the chain has refused the transaction: {0}")]
    NotTaken(String),
    /// The event's transaction has been replaced by an empty one.
    #[error(
        "nexum has cancelled the transaction with nonce {0}, because a reorganisation had removed its event: \
         `nexum effect resolve --as not-sent` lets another attempt send a new one"
    )]
    Cancelled(u64),
    /// There is no signature.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The state store failed.
    #[error("the state store failed")]
    Store(#[from] StoreError),
    /// The error that the guest got when the replayed event happened.
    #[error("{}", .0.message)]
    Recorded(HostError),
    /// The event is about to end.
    #[error("the transaction was not ready before the end of the event")]
    Deadline,
}

impl SendError {
    fn kind(&self) -> HostErrorKind {
        match self {
            Self::Invalid(_) => HostErrorKind::InvalidInput,
            Self::NoGrant(_)
            | Self::Handler(_)
            | Self::Refused(_)
            | Self::Halted(_)
            | Self::Simulated(_)
            | Self::Cancelled(_)
            | Self::NotTaken(_) => HostErrorKind::Denied,
            Self::Limit(_) => HostErrorKind::RateLimited,
            Self::Chain(error) | Self::Recorded(error) => error.kind,
            Self::Malformed(_) | Self::Store(_) => HostErrorKind::Unavailable,
            Self::Deadline | Self::Sign(SignError::Timeout { .. }) => HostErrorKind::Timeout,
            Self::Sign(_) => HostErrorKind::Unavailable,
        }
    }

    /// The label of the outcome in metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::NoGrant(_) | Self::Handler(_) | Self::Refused(_) => "denied",
            Self::Limit(_) => "limited",
            Self::Halted(_) => "halted",
            Self::Simulated(_) => "reverts",
            Self::NotTaken(_) => "refused",
            _ => "unavailable",
        }
    }

    /// The error that a guest sees. No other place maps errors for guests.
    pub fn to_host_error(&self) -> HostError {
        if let Self::Recorded(error) = self {
            return error.clone();
        }
        let of_chain = match self {
            Self::Simulated(error) | Self::Chain(error) => Some(error),
            _ => None,
        };
        HostError {
            code: of_chain.map_or(0, |error| error.code),
            data: of_chain.and_then(|error| error.data.clone()),
            ..HostError::new(DOMAIN, self.kind(), self.to_string())
        }
    }
}
