//! A quote in the memory of the order book.

use alloy_primitives::Address;

use super::Kind;

/// A quote that was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quoted {
    pub(super) kind: Kind,
    pub(super) sell_token: Address,
    pub(super) buy_token: Address,
}
