//! The CoW Protocol order book.
//!
//! Submitting an order twice is harmless, because its UID follows from the signed fields. Take
//! `valid_to` and the amounts from the event and from the store, never from the clock, so that a
//! retried event submits an identical order.

mod contract;
mod order;

use alloy_primitives::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use contract::{Domain, SETTLEMENT, uid};
pub use order::{Balance, Kind, Order, SigningScheme};

use crate::{Error, ErrorKind, Result, host};

/// The identifier of an order: its digest, its owner and `valid_to`, 56 bytes.
pub type Uid = Bytes;

/// The order book of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBook {
    chain_id: u64,
}

/// The reason of the order book for a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// A word such as `InsufficientBalance`.
    pub error_type: String,
    /// The explanation.
    #[serde(default)]
    pub description: String,
}

impl OrderBook {
    /// The order book of the chain with this EIP-155 id.
    pub const fn new(chain_id: u64) -> Self {
        Self { chain_id }
    }

    /// Sends a request, and reads the answer as JSON. The path is relative to the order book, for
    /// example `/api/v1/quote`.
    ///
    /// # Errors
    ///
    /// The host's error. [`refusal`] gives the reason of the order book.
    pub fn request<T: DeserializeOwned>(self, method: &str, path: &str, body: Option<&impl Serialize>) -> Result<T> {
        let body = body.map(serde_json::to_string).transpose()?;
        let answer = host::cow_request(self.chain_id, method, path, body.as_deref())?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// Reads a path, and reads the answer as JSON.
    ///
    /// # Errors
    ///
    /// The host's error. [`refusal`] gives the reason of the order book.
    pub fn get<T: DeserializeOwned>(self, path: &str) -> Result<T> {
        self.request("GET", path, None::<&()>)
    }

    /// Submits a signed order. An order that exists already is a success.
    ///
    /// # Errors
    ///
    /// The host's error. [`refusal`] gives the reason of the order book.
    pub fn submit(self, order: &Order) -> Result<Uid> {
        let uid = host::cow_submit(self.chain_id, &serde_json::to_vec(order)?)?;
        uid.parse()
            .map_err(|_| Error::of("cow-api", ErrorKind::Internal, format!("{uid:?} is no UID")))
    }

    /// Submits orders until the order book is unavailable: further orders would only take time of the
    /// event. The result has an item for each order that was sent. Store the other orders, and submit
    /// them at a later block.
    pub fn submit_while_available<'a>(self, orders: impl IntoIterator<Item = &'a Order>) -> Vec<Result<Uid>> {
        let mut results = Vec::new();
        for order in orders {
            let result = self.submit(order);
            let is_down = result.as_ref().is_err_and(Error::is_retryable);
            results.push(result);
            if is_down {
                break;
            }
        }
        results
    }
}

/// The reason of the order book for an error, if it gave one.
pub fn refusal(error: &Error) -> Option<Refusal> {
    serde_json::from_str(error.data()?).ok()
}
