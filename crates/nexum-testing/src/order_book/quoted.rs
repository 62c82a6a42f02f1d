//! A quote in the memory of the order book.

use alloy_primitives::Address;

use super::Kind;

/// A quote that was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted {
    pub(super) trade: Trade,
    /// The end of the quote, in milliseconds since the Unix epoch.
    pub(super) expires_ms: u64,
}

/// The trade of a quote.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trade {
    pub(super) kind: Kind,
    pub(super) sell_token: Address,
    pub(super) buy_token: Address,
}
