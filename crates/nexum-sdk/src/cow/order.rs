//! Orders as the order book reads them.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize, Serializer};

/// A signed order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// The token to sell.
    pub sell_token: Address,
    /// The token to buy.
    pub buy_token: Address,
    /// The account that receives the bought tokens. `None` means the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<Address>,
    /// The amount to sell, in atoms.
    #[serde(serialize_with = "decimal")]
    pub sell_amount: U256,
    /// The amount to buy, in atoms.
    #[serde(serialize_with = "decimal")]
    pub buy_amount: U256,
    /// The last second in which the order is valid, since the Unix epoch.
    pub valid_to: u32,
    /// The document of application data, or its hash as `0x` and 64 digits: a contract's order has
    /// only the hash.
    pub app_data: String,
    /// The hash of the document, if `app_data` is the document. Optional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_data_hash: Option<B256>,
    /// The fee, in atoms of the sold token. The order book accepts only 0.
    #[serde(serialize_with = "decimal")]
    pub fee_amount: U256,
    /// Which amount is exact.
    pub kind: Kind,
    /// Whether the order may be filled in parts.
    pub partially_fillable: bool,
    /// Where the sold tokens are.
    pub sell_token_balance: Balance,
    /// Where the bought tokens go.
    pub buy_token_balance: Balance,
    /// How the owner signs.
    pub signing_scheme: SigningScheme,
    /// The signature.
    pub signature: Bytes,
    /// The owner. Optional for a signature by a key, which tells the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Address>,
    /// The number of the quote that the order follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote_id: Option<i64>,
    /// Whether the order book checks the balance for the whole amount, also of an order that may be
    /// filled in parts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full_balance_check: bool,
}

/// Which amount of an order is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The sold amount.
    Sell,
    /// The bought amount.
    Buy,
}

/// Where the tokens of an order are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    /// In the token's contract.
    #[default]
    Erc20,
    /// In the owner's balance at the vault, or for a sold token in its allowance.
    External,
    /// In the owner's internal balance at the vault.
    Internal,
}

/// How the owner of an order signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SigningScheme {
    /// As typed data.
    Eip712,
    /// As a message.
    EthSign,
    /// By a contract.
    Eip1271,
    /// By a transaction, later.
    PreSign,
}

fn decimal<S: Serializer>(amount: &U256, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}
