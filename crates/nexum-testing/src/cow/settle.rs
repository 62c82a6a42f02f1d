//! Settlements of orders.

use alloy_primitives::{Address, Bytes, U256};

use serde_json::Value;

use super::abi;
use super::addresses as at;
use super::chain::{CowChain, Transaction};
use crate::order_book::{Kind, OrderTerms, OrderUid};

/// The flags of a trade.
const BUYS: u64 = 1;
const PARTIALLY_FILLABLE: u64 = 1 << 1;
const BY_CONTRACT: u64 = 0b10 << 5;

impl CowChain {
    /// Settles an order of a contract completely at its limit price. The settlement contract checks
    /// the signature, takes the sold tokens, and pays with newly minted bought ones. Returns the receipt.
    ///
    /// # Panics
    ///
    /// If the settlement fails.
    pub async fn settle(&self, owner: Address, terms: &OrderTerms, signature: &Bytes) -> Value {
        let account = self.account().await;
        let mut flags = BY_CONTRACT;
        if terms.kind == Kind::Buy {
            flags |= BUYS;
        }
        if terms.partially_fillable {
            flags |= PARTIALLY_FILLABLE;
        }
        let trade = abi::Trade {
            sellTokenIndex: U256::ZERO,
            buyTokenIndex: U256::ONE,
            receiver: terms.receiver.unwrap_or_default(),
            sellAmount: terms.sell_amount,
            buyAmount: terms.buy_amount,
            validTo: terms.valid_to,
            appData: terms.app_data_hash(),
            feeAmount: terms.fee_amount,
            flags: U256::from(flags),
            executedAmount: if terms.kind == Kind::Buy {
                terms.buy_amount
            } else {
                terms.sell_amount
            },
            signature: [owner.as_slice(), signature.as_ref()].concat().into(),
        };
        let settle = abi::settleCall {
            tokens: vec![terms.sell_token, terms.buy_token],
            prices: vec![terms.buy_amount, terms.sell_amount],
            trades: vec![trade],
            interactions: [Vec::new(), Vec::new(), Vec::new()],
        };
        let mint = abi::mintCall {
            to: at::SETTLEMENT,
            value: terms.buy_amount,
        };
        let transactions = [
            Transaction::call(account, terms.buy_token, &mint),
            Transaction::call(account, at::SETTLEMENT, &settle),
        ];
        let [_, receipt] = self.execute(&transactions).await.try_into().expect("two receipts");
        receipt
    }

    /// The amount of an order that the chain has settled, or the largest number for a cancelled one.
    ///
    /// # Panics
    ///
    /// If the node is unreachable or responds with an error.
    pub async fn filled_amount(&self, uid: &OrderUid) -> U256 {
        let call = abi::filledAmountCall {
            uid: Bytes::copy_from_slice(uid.as_slice()),
        };
        self.read(at::SETTLEMENT, &call).await
    }
}
