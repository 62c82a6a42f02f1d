//! An order, as the store has it.

use nexum_sdk::cow::{Balance, Domain, Kind};
use nexum_sdk::sol_types::SolValue;
use nexum_sdk::{Address, B256, Bytes, Decoded, U256, cow};
use serde::{Deserialize, Serialize};

use crate::abi::{IEthFlow, Input};

/// The chain, the EthFlow contract, and the digest of the order. Two contracts can have orders of
/// one digest.
pub type Id = (u64, Address, B256);

/// The UID of an order.
pub fn uid((_, contract, digest): &Id) -> Bytes {
    cow::uid(*digest, *contract, VALID_TO)
}

/// `validTo` of every EthFlow order at the settlement. The contract itself enforces the user's.
pub const VALID_TO: u32 = u32::MAX;

/// The scheme of a signature by a contract, EIP-1271.
const EIP1271: u8 = 0;

/// The most bytes of a reason: one line of a terminal, with an address and a hash.
pub const REASON_BYTES_MAX: usize = 200;

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The user's `validTo` has not passed.
    Open,
    /// The user's `validTo` has passed, and the module does not know yet whether a refund is due.
    Expired,
    /// A refund is due, and works.
    Due,
    /// A refund is due, and the contract refuses it.
    Stuck,
    /// Filled completely.
    Filled,
    /// Cancelled by its user.
    Cancelled,
    /// Refunded.
    Refunded,
    /// Cancelled or refunded, by a transaction whose event the module does not have.
    Closed,
}

impl State {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Expired,
        Self::Due,
        Self::Stuck,
        Self::Filled,
        Self::Cancelled,
        Self::Refunded,
        Self::Closed,
    ];

    /// The number of the state in keys.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether nothing more can happen to the order.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Refunded | Self::Closed)
    }

    /// Whether a refund is due.
    const fn is_refundable(self) -> bool {
        matches!(self, Self::Due | Self::Stuck)
    }
}

/// An order of an EthFlow contract. Its size has a bound: it has no bytes of a length that the user
/// chooses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The user, who paid.
    pub sender: Address,
    pub buy_token: Address,
    pub receiver: Address,
    /// In wei.
    pub sell_amount: U256,
    /// In atoms of the bought token.
    pub buy_amount: U256,
    pub app_data: B256,
    /// In wei.
    pub fee_amount: U256,
    /// The user's, in seconds since the Unix epoch. The order is valid in this second.
    pub valid_to: u32,
    pub partially_fillable: bool,
    pub quote_id: i64,
    /// The block and the transaction that placed the order.
    pub block: u64,
    pub transaction: B256,
    /// The part of `sell_amount` that was sold at the last check, in wei.
    pub filled: U256,
    pub state: State,
    /// Why the order has its state, in at most [`REASON_BYTES_MAX`] bytes.
    pub reason: String,
    /// The block that changed the state.
    pub since_block: u64,
    /// The time of this block, in seconds since the Unix epoch. 0 if the event had no time.
    pub since_time: u64,
    /// The time at which the module looks at the order next, in seconds since the Unix epoch.
    pub next: u64,
    /// How often the state was checked without a change. `Due` and `Stuck` count as one state.
    pub checks: u32,
}

impl Order {
    /// Reads an event, and returns the digest with the order. `None` for an order that EthFlow does
    /// not make: other contracts have this event with other data.
    pub fn of_event(placement: &Decoded<IEthFlow::OrderPlacement>, settlement: Address) -> Option<(B256, Self)> {
        let Decoded { event, log } = placement;
        let order = &event.order;
        let (quote_id, valid_to) = event.data.split_first_chunk::<8>()?;
        let valid_to = u32::from_be_bytes(valid_to.try_into().ok()?);
        let is_ethflow = event.signature.scheme == EIP1271
            && event.signature.data[..] == *log.address.as_slice()
            && order.validTo == VALID_TO
            && Kind::from_word(order.kind) == Some(Kind::Sell)
            && Balance::from_word(order.sellTokenBalance) == Some(Balance::Erc20)
            && Balance::from_word(order.buyTokenBalance) == Some(Balance::Erc20);
        if !is_ethflow {
            return None;
        }
        let digest = Domain::new(log.chain_id, settlement).digest(&order.abi_encode());
        let order = Self {
            sender: event.sender,
            buy_token: order.buyToken,
            receiver: order.receiver,
            sell_amount: order.sellAmount,
            buy_amount: order.buyAmount,
            app_data: order.appData,
            fee_amount: order.feeAmount,
            valid_to,
            partially_fillable: order.partiallyFillable,
            quote_id: i64::from_be_bytes(*quote_id),
            block: log.block_number,
            transaction: log.transaction_hash,
            filled: U256::ZERO,
            state: State::Open,
            reason: "the order has not expired".to_owned(),
            since_block: log.block_number,
            since_time: 0,
            next: u64::from(valid_to) + 1,
            checks: 0,
        };
        Some((digest, order))
    }

    /// The input of `createOrder`, which the refund repeats.
    pub fn input(&self) -> Input {
        Input {
            buyToken: self.buy_token,
            receiver: self.receiver,
            sellAmount: self.sell_amount,
            buyAmount: self.buy_amount,
            appData: self.app_data,
            feeAmount: self.fee_amount,
            validTo: self.valid_to,
            partiallyFillable: self.partially_fillable,
            quoteId: self.quote_id,
        }
    }

    /// The amount as a logarithm: the position of its highest bit.
    pub fn size(&self) -> u8 {
        u8::try_from(self.sell_amount.bit_len().saturating_sub(1)).unwrap_or(u8::MAX)
    }

    /// [`checks`](Self::checks) after a look with this state as its result. A sender that accepts and
    /// refuses ether by turns does not shorten the waits.
    pub fn checks_in(&self, state: State) -> u32 {
        match self.state == state || self.state.is_refundable() && state.is_refundable() {
            true => self.checks.saturating_add(1),
            false => 0,
        }
    }

    /// The ether that a refund pays, in wei: the part that was not sold, and its share of the fee.
    pub fn refund(&self) -> U256 {
        let unsold = self.sell_amount.saturating_sub(self.filled);
        let fee = self.fee_amount.saturating_mul(unsold).checked_div(self.sell_amount);
        unsold.saturating_add(fee.unwrap_or_default())
    }
}

/// The beginning of a text, in at most [`REASON_BYTES_MAX`] bytes.
pub fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(REASON_BYTES_MAX));
    text
}
