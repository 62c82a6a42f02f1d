//! The ways to sign an order.

use serde::{Deserialize, Serialize};

/// How an order is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// By a key, as typed data.
    Eip712,
    /// By a key, as a message of the digest.
    EthSign,
    /// By a contract, which says whether it accepts the signature.
    Eip1271,
    /// By a transaction to the settlement contract.
    Presign,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Eip712, Self::EthSign, Self::Eip1271, Self::Presign];
}
