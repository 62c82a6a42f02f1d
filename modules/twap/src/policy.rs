//! The settings of the operator, and which orders they accept.

use nexum_sdk::cow::SETTLEMENT;
use nexum_sdk::{Address, B256};
use serde::Deserialize;
use serde::de::{Deserialize as DeserializeTrait, Deserializer, Error as _};

use crate::contracts::COMPOSABLE_COW;
use crate::state::{Key, Order};

/// The largest `orders_per_owner_max`: a new root reads all records of its owner, twice as many with the
/// ended ones, and one operation of the store for each.
pub const ORDERS_PER_OWNER_MAX: u32 = 2_000;

/// The `[config]` of the manifest.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// The chain. Events of other chains are ignored.
    pub chain_id: u64,
    #[serde(default = "composable_cow")]
    pub composable_cow: Address,
    #[serde(default = "settlement")]
    pub settlement: Address,
    /// Rules such as `drop 0x...`, by id of the conditional order.
    #[serde(default)]
    pub ids: Vec<Rule<B256>>,
    #[serde(default)]
    pub transactions: Vec<Rule<B256>>,
    #[serde(default)]
    pub owners: Vec<Rule<Address>>,
    #[serde(default)]
    pub handlers: Vec<Rule<Address>>,
    #[serde(default)]
    pub default_action: Action,
    /// The ids of orders that `OrderNotValid` does not end.
    #[serde(default)]
    pub retry: Vec<B256>,
    #[serde(default = "static_input_bytes_max")]
    pub static_input_bytes_max: usize,
    #[serde(default = "orders_per_owner_max")]
    pub orders_per_owner_max: u32,
    #[serde(default = "unknown_orders_max")]
    pub unknown_orders_max: u64,
    #[serde(default = "unknown_per_owner_max")]
    pub unknown_per_owner_max: u32,
    #[serde(default = "stored_bytes_max")]
    pub stored_bytes_max: u64,
    /// How long an ended order stays in the answers.
    #[serde(default = "keep_days")]
    pub keep_days: u64,
    /// The longest wait between polls of an unknown handler that says `PollTryNextBlock`.
    #[serde(default = "poll_blocks_max")]
    pub poll_blocks_max: u64,
    /// The least time from the block to the end of a part that is posted.
    #[serde(default = "valid_seconds_min")]
    pub valid_seconds_min: u64,
    /// How much less than a quote a GoodAfterTime order asks for, in hundredths of a per cent.
    #[serde(default = "quote_slippage_bps")]
    pub quote_slippage_bps: u16,
}

fn composable_cow() -> Address {
    COMPOSABLE_COW
}

fn settlement() -> Address {
    SETTLEMENT
}

/// A TWAP has 320 bytes, and no handler of CoW Protocol takes a kilobyte.
fn static_input_bytes_max() -> usize {
    4_096
}

/// Twice the largest tree of the tests.
fn orders_per_owner_max() -> u32 {
    2_000
}

/// A block polls a hundred of them, and a poll of each comes every 32 blocks or more often.
fn unknown_orders_max() -> u64 {
    2_000
}

/// One owner cannot take the places of all others.
fn unknown_per_owner_max() -> u32 {
    50
}

/// Three quarters of nexum's default `state_bytes`.
fn stored_bytes_max() -> u64 {
    48 * 1_024 * 1_024
}

fn keep_days() -> u64 {
    30
}

fn poll_blocks_max() -> u64 {
    32
}

/// The default of the order book.
fn valid_seconds_min() -> u64 {
    60
}

fn quote_slippage_bps() -> u16 {
    50
}

/// The action for an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Watch the order.
    #[default]
    Accept,
    /// Do not store the order.
    Drop,
    /// Store the order, and do not poll it.
    Skip,
}

impl Action {
    fn read(text: &str) -> Option<Self> {
        [("accept", Self::Accept), ("drop", Self::Drop), ("skip", Self::Skip)]
            .into_iter()
            .find_map(|(name, action)| text.eq_ignore_ascii_case(name).then_some(action))
    }
}

impl<'de> DeserializeTrait<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is none of accept, drop, skip")))
    }
}

/// An action for one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<T> {
    action: Action,
    value: T,
}

impl<'de, T: std::str::FromStr> DeserializeTrait<'de> for Rule<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let rule = text.trim().split_once(' ').and_then(|(action, value)| {
            Some(Self {
                action: Action::read(action)?,
                value: value.trim().parse().ok()?,
            })
        });
        rule.ok_or_else(|| D::Error::custom(format!("{text:?} is no rule such as \"drop 0x...\"")))
    }
}

impl Settings {
    /// The action for an order: of the first rule that matches its id, its transaction, its owner, its
    /// handler, in this order.
    pub fn action(&self, key: &Key, order: &Order) -> Action {
        let (owner, _, id) = key;
        let found = find(&self.ids, id)
            .or_else(|| find(&self.transactions, &order.transaction))
            .or_else(|| find(&self.owners, owner))
            .or_else(|| find(&self.handlers, &order.handler));
        found.unwrap_or(self.default_action)
    }

    /// When the record of an order that ends now is deleted.
    pub fn keep_until(&self, now: u64) -> u64 {
        const DAY_SECONDS: u64 = 86_400;
        now.saturating_add(self.keep_days.saturating_mul(DAY_SECONDS))
    }
}

fn find<T: PartialEq>(rules: &[Rule<T>], value: &T) -> Option<Action> {
    rules.iter().find(|rule| rule.value == *value).map(|rule| rule.action)
}
