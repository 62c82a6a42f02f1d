//! What an order says, whoever signs it.

use alloy_primitives::{Address, B256, U256, keccak256};
use nexum_core::clock::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};

use super::draw::Draw;

/// How long the orders of this crate last unless a test says otherwise.
const LASTING_S: u64 = 1_800;

/// Which of the two amounts is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// All of `sell_amount` is sold, for `buy_amount` or more.
    Sell,
    /// All of `buy_amount` is bought, for `sell_amount` or less.
    Buy,
}

impl Kind {
    /// As it is spelled in JSON and in what is signed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sell => "sell",
            Self::Buy => "buy",
        }
    }
}

/// Where a token is taken from or put. The order book takes new orders of [`Erc20`](Self::Erc20) alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenBalance {
    /// The token's own balances.
    #[default]
    Erc20,
    /// A balance in the vault; of sold tokens alone.
    External,
    /// A balance inside the vault.
    Internal,
}

impl TokenBalance {
    /// As it is spelled in JSON and in what is signed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Erc20 => "erc20",
            Self::External => "external",
            Self::Internal => "internal",
        }
    }
}

/// What an order says. Every value can be written down; which of them the order book takes is for it to say.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderTerms {
    /// The token that is sold.
    pub sell_token: Address,
    /// The token that is bought.
    pub buy_token: Address,
    /// Who gets what is bought; the owner if nobody is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<Address>,
    /// In atoms of `sell_token`.
    #[serde(with = "decimal")]
    pub sell_amount: U256,
    /// In atoms of `buy_token`.
    #[serde(with = "decimal")]
    pub buy_amount: U256,
    /// When the order ends, in seconds since the Unix epoch.
    pub valid_to: u32,
    /// A JSON document, or 0x and the 64 digits of one's hash.
    pub app_data: String,
    /// In atoms of `sell_token`. The order book takes 0 alone.
    #[serde(with = "decimal")]
    pub fee_amount: U256,
    /// Which amount is exact.
    pub kind: Kind,
    /// Whether a part of it may be executed alone.
    pub partially_fillable: bool,
    /// Where what is sold is taken from.
    #[serde(default)]
    pub sell_token_balance: TokenBalance,
    /// Where what is bought is put.
    #[serde(default)]
    pub buy_token_balance: TokenBalance,
    /// The quote that the order was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_id: Option<i64>,
}

impl OrderTerms {
    /// A plain order that any order book would take for the next half hour.
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

    /// An order that any order book would take, every part of which depends on the seed; when it ends, on the time as well.
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

    /// The hash that is signed in place of the app data.
    pub fn app_data_hash(&self) -> B256 {
        app_data_hash(&self.app_data)
    }
}

/// The hash of an app-data document, or the hash that stands in its place.
pub(super) fn app_data_hash(app_data: &str) -> B256 {
    as_hash(app_data).unwrap_or_else(|| keccak256(app_data))
}

/// The hash, where there is one in the place of a document.
pub(super) fn as_hash(app_data: &str) -> Option<B256> {
    app_data.starts_with("0x").then(|| app_data.parse().ok()).flatten()
}

/// The time by the machine's clock, in seconds since the Unix epoch: those who check orders go by it too.
fn now_s() -> u64 {
    SystemClock::new().now_ms() / 1_000
}

/// Amounts as the API spells them.
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
            .map_err(|_| D::Error::custom(format!("{text:?} is no amount")))
    }
}
