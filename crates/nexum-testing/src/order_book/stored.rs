//! The stored orders and trades.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Serialize;
use serde_json::{Value, json};

use super::date::iso_8601;
use super::terms::decimal;
use super::{OrderTerms, OrderUid, SETTLEMENT, Scheme};

/// The status of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OrderStatus {
    /// An order of [`Scheme::Presign`] without its transaction.
    PresignaturePending,
    /// The order can be executed.
    Open,
    /// The order has been executed.
    Fulfilled,
    /// The owner has cancelled the order.
    Cancelled,
    /// The `validTo` of the order has passed.
    Expired,
}

/// An accepted order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOrder {
    /// The order's UID.
    pub uid: OrderUid,
    /// The owner.
    pub owner: Address,
    /// The terms of the order.
    pub terms: OrderTerms,
    /// The signing scheme.
    pub scheme: Scheme,
    /// The signature.
    pub signature: Bytes,
    /// The time of acceptance, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    pub(super) full_app_data: Option<String>,
    pub(super) from_quote: bool,
    pub(super) presigned: bool,
    pub(super) cancelled: bool,
    pub(super) executed: bool,
}

impl StoredOrder {
    /// The status at this time, in seconds since the Unix epoch.
    pub(super) fn status(&self, now_s: u64) -> OrderStatus {
        if self.cancelled {
            OrderStatus::Cancelled
        } else if self.executed {
            OrderStatus::Fulfilled
        } else if u64::from(self.terms.valid_to) < now_s {
            OrderStatus::Expired
        } else if self.scheme == Scheme::Presign && !self.presigned {
            OrderStatus::PresignaturePending
        } else {
            OrderStatus::Open
        }
    }

    /// Whether the order counts against the owner's limit: made without a quote and still
    /// executable.
    pub(super) fn is_open_limit_order(&self, now_s: u64) -> bool {
        let open = matches!(self.status(now_s), OrderStatus::Open | OrderStatus::PresignaturePending);
        open && !self.from_quote
    }

    /// The `Order` object of the API.
    pub(super) fn to_json(&self, now_s: u64) -> Value {
        let executed = |amount: U256| if self.executed { amount } else { U256::ZERO }.to_string();
        let mut order = json!(self.terms);
        let more = json!({
            "appData": self.terms.app_data_hash(),
            "fullAppData": self.full_app_data,
            "signingScheme": self.scheme,
            "signature": self.signature,
            "from": self.owner,
            "creationDate": iso_8601(self.created_ms),
            "class": if self.from_quote { "market" } else { "limit" },
            "owner": self.owner,
            "uid": self.uid,
            "availableBalance": null,
            "executedSellAmount": executed(self.terms.sell_amount),
            "executedSellAmountBeforeFees": executed(self.terms.sell_amount),
            "executedBuyAmount": executed(self.terms.buy_amount),
            "executedFeeAmount": "0",
            "executedFee": "0",
            "executedFeeToken": self.terms.sell_token,
            "invalidated": self.cancelled,
            "status": self.status(now_s),
            "isLiquidityOrder": false,
            "settlementContract": SETTLEMENT,
            "interactions": { "pre": [], "post": [] },
        });
        if let (Value::Object(order), Value::Object(more)) = (&mut order, more) {
            order.extend(more);
        }
        order
    }
}

/// One execution of an order, in the API's form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trade {
    /// The block of the settlement.
    pub block_number: u64,
    /// The log's index in the block.
    pub log_index: u32,
    /// The order's UID.
    pub order_uid: OrderUid,
    /// The order's owner.
    pub owner: Address,
    /// The sold token.
    pub sell_token: Address,
    /// The bought token.
    pub buy_token: Address,
    /// The sold amount.
    #[serde(with = "decimal")]
    pub sell_amount: U256,
    /// Equal to `sell_amount`, because this order book takes no fees.
    #[serde(with = "decimal")]
    pub sell_amount_before_fees: U256,
    /// The bought amount.
    #[serde(with = "decimal")]
    pub buy_amount: U256,
    /// The transaction of the settlement.
    pub tx_hash: Option<B256>,
}

/// The orders in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Orders {
    all: Vec<StoredOrder>,
    places: HashMap<OrderUid, usize>,
}

impl Orders {
    /// Stores an order; false if its UID exists already.
    pub(super) fn insert(&mut self, order: StoredOrder) -> bool {
        if self.places.contains_key(&order.uid) {
            return false;
        }
        self.places.insert(order.uid, self.all.len());
        self.all.push(order);
        true
    }

    pub(super) fn all(&self) -> &[StoredOrder] {
        &self.all
    }

    pub(super) fn get(&self, uid: &OrderUid) -> Option<&StoredOrder> {
        self.all.get(*self.places.get(uid)?)
    }

    pub(super) fn get_mut(&mut self, uid: &OrderUid) -> Option<&mut StoredOrder> {
        self.all.get_mut(*self.places.get(uid)?)
    }
}
