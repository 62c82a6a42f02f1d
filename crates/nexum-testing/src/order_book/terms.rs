//! The terms of an order, independent of its owner.

use alloy_primitives::{Address, B256, U256, keccak256};
use nexum_core::clock::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};

use crate::draw::Draw;

/// The default validity of this crate's orders.
const LASTING_S: u64 = 1_800;

/// The exact one of the two amounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The order sells exactly `sell_amount`, for at least `buy_amount`.
    Sell,
    /// The order buys exactly `buy_amount`, for at most `sell_amount`.
    Buy,
}

impl Kind {
    /// The name in JSON and in the signed data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sell => "sell",
            Self::Buy => "buy",
        }
    }
}

/// A source or destination of tokens. The order book accepts new orders only with
/// [`Erc20`](Self::Erc20).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenBalance {
    /// A balance of the token contract.
    #[default]
    Erc20,
    /// A balance in the vault, only for sold tokens.
    External,
    /// A balance inside the vault.
    Internal,
}

impl TokenBalance {
    /// The name in JSON and in the signed data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Erc20 => "erc20",
            Self::External => "external",
            Self::Internal => "internal",
        }
    }
}

/// The terms of an order. Every value can be represented, including values that the order book
/// refuses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderTerms {
    /// The sold token.
    pub sell_token: Address,
    /// The bought token.
    pub buy_token: Address,
    /// The account that receives the bought token; `None` means the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<Address>,
    /// In atoms of `sell_token`.
    #[serde(with = "decimal")]
    pub sell_amount: U256,
    /// In atoms of `buy_token`.
    #[serde(with = "decimal")]
    pub buy_amount: U256,
    /// The end of the order, in seconds since the Unix epoch.
    pub valid_to: u32,
    /// A JSON document, or the hash of one as 0x and 64 digits.
    pub app_data: String,
    /// In atoms of `sell_token`. The order book accepts only 0.
    #[serde(with = "decimal")]
    pub fee_amount: U256,
    /// The exact amount.
    pub kind: Kind,
    /// Whether a part of the order can be executed.
    pub partially_fillable: bool,
    /// The source of the sold token.
    #[serde(default)]
    pub sell_token_balance: TokenBalance,
    /// The destination of the bought token.
    #[serde(default)]
    pub buy_token_balance: TokenBalance,
    /// The quote of the order, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_id: Option<i64>,
}

impl OrderTerms {
    /// A plain order that an order book without scripted rules accepts for the next half hour.
    pub fn good() -> Self {
        Self {
            sell_token: Address::repeat_byte(0xaa),
            buy_token: Address::repeat_byte(0xbb),
            receiver: None,
            sell_amount: U256::from(1_000_000_000_000_000_000_u64),
            buy_amount: U256::from(2_000_000_000_u64),
            valid_to: u32::try_from(now_s() + LASTING_S).expect("a year before 2106"),
            app_data: "{}".to_owned(),
            fee_amount: U256::ZERO,
            kind: Kind::Sell,
            partially_fillable: false,
            sell_token_balance: TokenBalance::Erc20,
            buy_token_balance: TokenBalance::Erc20,
            quote_id: None,
        }
    }

    /// An order that an order book without scripted rules accepts. Every part depends on the seed,
    /// and the end also depends on the time.
    pub fn random(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let good = Self::good();
        Self {
            sell_token: draw.address(),
            buy_token: draw.address(),
            receiver: draw.flag().then(|| draw.address()),
            sell_amount: draw.amount(),
            buy_amount: draw.amount(),
            valid_to: good.valid_to + u32::try_from(draw.below(86_400)).unwrap_or(0),
            app_data: match draw.below(3) {
                0 => good.app_data,
                1 => format!(r#"{{"appCode":"nexum","metadata":{{}},"version":"1.{seed}.0"}}"#),
                _ => format!(r#"{{"metadata":{{"note":"é \"{seed}\" \n"}}}}"#),
            },
            kind: if draw.flag() { Kind::Sell } else { Kind::Buy },
            partially_fillable: draw.flag(),
            quote_id: draw
                .flag()
                .then(|| i64::try_from(draw.below(1 << 40)).unwrap_or_default()),
            ..good
        }
    }

    /// The hash that represents the app data in the digest.
    pub fn app_data_hash(&self) -> B256 {
        app_data_hash(&self.app_data)
    }
}

/// The hash of an app-data document, or the hash that replaces the document.
pub(super) fn app_data_hash(app_data: &str) -> B256 {
    as_hash(app_data).unwrap_or_else(|| keccak256(app_data))
}

/// The hash that replaces an app-data document, if any.
pub(super) fn as_hash(app_data: &str) -> Option<B256> {
    app_data.starts_with("0x").then(|| app_data.parse().ok()).flatten()
}

/// The machine's time, in seconds since the Unix epoch. The checks use this clock too.
fn now_s() -> u64 {
    SystemClock::new().now_ms() / 1_000
}

/// Amounts in the API's format.
pub(super) mod decimal {
    use alloy_primitives::U256;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(amount: &U256, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(amount)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U256, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| D::Error::custom(format!("{text:?} is not an amount")))
    }
}
