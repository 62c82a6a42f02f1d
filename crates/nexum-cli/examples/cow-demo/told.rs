//! The answers of the module about its orders.

use std::collections::HashMap;

use alloy_primitives::B256;
use nexum_testing::Daemon;
use nexum_testing::cow::TOWER;
use serde::Deserialize;
use serde_json::json;

/// The orders of one answer: the most that the module gives.
const LIMIT: u64 = 500;

/// The module's word about an order.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Told {
    id: B256,
    pub(crate) reason: String,
    pub(crate) text: String,
    /// The time at which the reason began, in seconds since the Unix epoch.
    pub(crate) since: u64,
    pub(crate) due: Due,
}

/// The time of the module's next look at an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Due {
    EveryBlock,
    Block(u64),
    /// In seconds since the Unix epoch.
    Time(u64),
    Ended(u64),
}

#[derive(Deserialize)]
struct Answer {
    orders: Vec<Told>,
}

/// Asks the module about all orders. Returns `None` while nexum cannot ask it.
pub(crate) async fn ask(daemon: &Daemon) -> Option<HashMap<B256, Told>> {
    let answer = daemon.ask(TOWER, &json!({ "limit": LIMIT })).await?;
    let answer: Answer = serde_json::from_value(answer).expect("an answer of the module");
    Some(answer.orders.into_iter().map(|told| (told.id, told)).collect())
}
