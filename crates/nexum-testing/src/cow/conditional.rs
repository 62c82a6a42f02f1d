//! Conditional orders.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue;

use super::abi::{GoodAfterTimeData, Order, Params, TwapData};
use super::addresses::{BUY_TOKEN, GOOD_AFTER_TIME, SAYS, SELL_TOKEN, TWAP};
use crate::order_book::OrderTerms;

/// A conditional order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionalOrder {
    /// The contract that makes the discrete orders.
    pub handler: Address,
    /// Tells two orders with one input apart.
    pub salt: B256,
    /// The handler's input.
    pub static_input: Bytes,
}

impl ConditionalOrder {
    /// An order of the handler [`SAYS`], which gives this answer.
    pub fn says(salt: u64, answer: &Answer) -> Self {
        Self {
            handler: SAYS,
            salt: U256::from(salt).into(),
            static_input: answer.static_input(),
        }
    }

    /// An order that sells this amount of [`SELL_TOKEN`] once for [`BUY_TOKEN`], between two times in
    /// seconds since the Unix epoch. The bought amount is not in it: the poll names it.
    pub fn good_after_time(salt: u64, sell_amount: u64, start: u64, end: u64) -> Self {
        let data = GoodAfterTimeData {
            sellToken: SELL_TOKEN,
            buyToken: BUY_TOKEN,
            receiver: Address::ZERO,
            sellAmount: U256::from(sell_amount),
            minSellBalance: U256::ZERO,
            startTime: U256::from(start),
            endTime: U256::from(end),
            allowPartialFill: false,
            priceCheckerPayload: Bytes::new(),
            appData: B256::ZERO,
        };
        Self {
            handler: GOOD_AFTER_TIME,
            salt: U256::from(salt).into(),
            static_input: data.abi_encode().into(),
        }
    }

    /// The parameters of the contract's functions.
    pub fn params(&self) -> Params {
        Params {
            handler: self.handler,
            salt: self.salt,
            staticInput: self.static_input.clone(),
        }
    }

    /// The order's id, and its context if it is not a leaf of a tree.
    pub fn id(&self) -> B256 {
        keccak256(self.params().abi_encode())
    }
}

/// A TWAP, which sells [`SELL_TOKEN`] for [`BUY_TOKEN`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twap {
    /// The sold amount of each part.
    pub part_sell_amount: u64,
    /// The least bought amount of each part.
    pub min_part_limit: u64,
    /// The start in seconds since the Unix epoch; 0 takes it from the context.
    pub start: u64,
    /// The number of parts.
    pub parts: u64,
    /// The seconds from the start of a part to the start of the next.
    pub interval_s: u64,
    /// The seconds in which a part can be filled; 0 for the whole interval.
    pub span_s: u64,
    /// The receiver of the bought token; 0 for the owner.
    pub receiver: Address,
}

impl Twap {
    /// A TWAP of this many parts, each of which can be filled in its whole interval.
    pub fn new(start: u64, parts: u64, interval_s: u64) -> Self {
        Self {
            part_sell_amount: 1_000_000,
            min_part_limit: 1_000,
            start,
            parts,
            interval_s,
            span_s: 0,
            receiver: Address::ZERO,
        }
    }

    /// The conditional order with this salt.
    pub fn order(&self, salt: u64) -> ConditionalOrder {
        let data = TwapData {
            sellToken: SELL_TOKEN,
            buyToken: BUY_TOKEN,
            receiver: self.receiver,
            partSellAmount: U256::from(self.part_sell_amount),
            minPartLimit: U256::from(self.min_part_limit),
            t0: U256::from(self.start),
            n: U256::from(self.parts),
            t: U256::from(self.interval_s),
            span: U256::from(self.span_s),
            appData: B256::ZERO,
        };
        ConditionalOrder {
            handler: TWAP,
            salt: U256::from(salt).into(),
            static_input: data.abi_encode().into(),
        }
    }

    /// The last second of a part, counted from 0.
    pub fn valid_to(&self, part: u64) -> u64 {
        let lasting_s = if self.span_s == 0 { self.interval_s } else { self.span_s };
        self.start + part * self.interval_s + lasting_s - 1
    }
}

/// An answer of the handler [`SAYS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An order that sells so many atoms for one atom, for the next hour.
    Order(u64),
    /// `OrderNotValid` with this reason.
    OrderNotValid(String),
    /// `PollTryNextBlock`.
    NextBlock,
    /// `PollTryAtBlock` with this block.
    AtBlock(u64),
    /// `PollTryAtEpoch` with this time, in seconds since the Unix epoch.
    AtEpoch(u64),
    /// `PollNever`.
    Never,
    /// An error that no specification names.
    UnknownError,
    /// None: the handler uses all its gas.
    Endless,
    /// Revert data of this many zero bytes.
    LongRevert(u64),
}

impl Answer {
    fn static_input(&self) -> Bytes {
        let (number, argument, reason) = match self {
            Self::Order(amount) => (0_u64, *amount, ""),
            Self::OrderNotValid(reason) => (1, 0, reason.as_str()),
            Self::NextBlock => (2, 0, "later"),
            Self::AtBlock(block) => (3, *block, "later"),
            Self::AtEpoch(time) => (4, *time, "later"),
            Self::Never => (5, 0, "over"),
            Self::UnknownError => (9, 0, ""),
            Self::Endless => (10, 0, ""),
            Self::LongRevert(bytes) => (14, *bytes, ""),
        };
        let encoded = (U256::from(number), U256::from(argument), reason.to_owned()).abi_encode_params();
        encoded.into()
    }
}

/// The contract's form of the terms of an order.
pub fn order_of(terms: &OrderTerms) -> Order {
    Order {
        sellToken: terms.sell_token,
        buyToken: terms.buy_token,
        receiver: terms.receiver.unwrap_or_default(),
        sellAmount: terms.sell_amount,
        buyAmount: terms.buy_amount,
        validTo: terms.valid_to,
        appData: terms.app_data_hash(),
        feeAmount: terms.fee_amount,
        kind: keccak256(terms.kind.name()),
        partiallyFillable: terms.partially_fillable,
        sellTokenBalance: keccak256(terms.sell_token_balance.name()),
        buyTokenBalance: keccak256(terms.buy_token_balance.name()),
    }
}
