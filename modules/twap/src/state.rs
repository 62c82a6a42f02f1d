//! The stored state: orders with their states, owners, and the counters that the answers show.
//!
//! The parts of an order that never change and its state are two records, so that a poll writes few bytes.

use std::collections::BTreeMap;

use nexum_sdk::{Address, B256, Bytes, Result, U256, store};
use serde::{Deserialize, Serialize};

use crate::contracts::{ConditionalOrderParams, Handler};
pub use crate::owners::{Location, OWNERS, Owner};
use crate::skipped::Skip;

/// An order: its owner, whether it is a leaf of a merkle tree, and its id.
pub type Key = (Address, u8, B256);

/// A single order, in a [`Key`].
pub const SINGLE: u8 = 0;
/// A leaf of a merkle tree, in a [`Key`].
pub const LEAF: u8 = 1;

/// The most bytes of a text that the state keeps.
const TEXT_BYTES_MAX: usize = 120;

/// The number of finished parts that an order remembers. A handler rarely has more than two valid at once.
const FINISHED_MAX: usize = 4;

pub const ORDERS: store::Map<Key, Order> = store::Map::new("orders");
pub const STATES: store::Map<Key, State> = store::Map::new("states");
pub const TOTALS: store::Cell<Totals> = store::Cell::new("totals");

/// The parts of an order that never change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub handler: Address,
    pub salt: B256,
    pub input: Bytes,
    /// Empty for a single order.
    pub proof: Vec<B256>,
    /// The root of a leaf, else zero.
    pub root: B256,
    pub transaction: B256,
    pub block: u64,
}

impl Order {
    pub fn handler(&self) -> Handler {
        Handler::at(self.handler)
    }

    pub fn params(&self) -> ConditionalOrderParams {
        ConditionalOrderParams {
            handler: self.handler,
            salt: self.salt,
            staticInput: self.input.clone(),
        }
    }

    /// About the bytes that the order takes in the store.
    pub fn bytes(&self) -> u64 {
        /// The keys and the other fields: the order, its state, its place in the index, and the record
        /// of an owner with one order.
        const OTHER_BYTES: usize = 1_100;
        (OTHER_BYTES + self.input.len() + 32 * self.proof.len()) as u64
    }
}

/// The time of the next look at an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    EveryBlock,
    Block(u64),
    /// Seconds since the Unix epoch.
    Time(u64),
    /// Never: the order has ended. Its record is deleted at this time.
    Ended(u64),
}

/// Why an order is not placed, or that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not polled yet.
    New,
    /// The current part is posted.
    Posted,
    /// The current part is filled or cancelled.
    Filled,
    /// Due, and waits for its turn.
    Queued,
    /// The order book does not answer.
    OrderBookDown,
    /// The order book refuses the part.
    Refused,
    /// The owner does not confirm the signature of the part.
    InvalidSignature,
    /// The part ends too soon to be posted.
    TooLate,
    /// GoodAfterTime waits for a quote.
    Quote,
    TryNextBlock,
    TryAtBlock,
    TryAtEpoch,
    /// The handler says that the order is not valid.
    NotValid,
    SwapGuard,
    FallbackHandler,
    /// The poll gives no hint.
    NoHint,
    NodeUnreachable,
    /// The operator's policy skips or drops the order.
    Policy,
    /// Ended: the handler never gives an order again.
    Never,
    /// Ended: removed by its owner, or never authorised.
    NotAuthorised,
    /// Ended: the handler is no handler.
    NoInterface,
    /// Ended: the last part is over.
    Finished,
    /// Ended: no hint for a day.
    GaveUp,
    /// Ended: the owner has set another root.
    RootReplaced,
}

/// The part of an order whose post failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub digest: B256,
    pub failures: u32,
    /// Seconds since the Unix epoch.
    pub not_before: u64,
}

/// The parts of an order that change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub due: Due,
    pub reason: Reason,
    pub text: String,
    /// The block time at which the reason began, in seconds.
    pub since: u64,
    /// The number of failures in a row with the reason.
    pub repeats: u32,
    /// The number of polls in a row without an order, of an unknown handler.
    pub polls: u32,
    /// Whether the order is polled alone, because a shared poll failed.
    pub is_alone: bool,
    /// The amount to buy of a GoodAfterTime order, from a quote.
    pub quote: Option<U256>,
    pub part: Option<Part>,
    /// The digests and the last seconds of parts that need no post.
    pub finished: Vec<(B256, u32)>,
    /// The number of parts that were posted.
    pub posted: u32,
}

impl State {
    pub fn new(due: Due, now: u64) -> Self {
        Self {
            due,
            reason: Reason::New,
            text: String::new(),
            since: now,
            repeats: 0,
            polls: 0,
            is_alone: false,
            quote: None,
            part: None,
            finished: Vec::new(),
            posted: 0,
        }
    }

    /// Sets the reason, with its text cut to [`TEXT_BYTES_MAX`].
    pub fn set(&mut self, reason: Reason, text: &str, now: u64) {
        if self.reason != reason {
            self.since = now;
            self.repeats = 0;
        }
        self.reason = reason;
        self.text = cut(text);
    }

    /// Ends the order. Its record stays until the time `until`.
    pub fn end(&mut self, reason: Reason, text: &str, now: u64, until: u64) {
        self.set(reason, text, now);
        self.due = Due::Ended(until);
    }

    pub fn has_ended(&self) -> bool {
        matches!(self.due, Due::Ended(_))
    }

    /// Notes that a part needs no post.
    pub fn finish(&mut self, digest: B256, valid_to: u32, now: u64) {
        self.finished.retain(|(_, end)| u64::from(*end) >= now);
        if self.finished.len() >= FINISHED_MAX {
            self.finished.remove(0);
        }
        self.finished.push((digest, valid_to));
        self.part = None;
        self.polls = 0;
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// The counts of the answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// The stored orders, ended ones included.
    pub orders: u64,
    /// The orders that have not ended.
    pub live: u64,
    /// The orders of unknown handlers that have not ended.
    pub unknown: u64,
    /// About the bytes of all orders in the store.
    pub bytes: u64,
    /// The parts that were posted.
    pub posted: u64,
    /// The roots that were set, by location.
    pub roots: BTreeMap<Location, u64>,
    /// The skipped events and leaves.
    pub skipped: BTreeMap<Skip, u64>,
}

pub fn totals() -> Result<Totals> {
    Ok(TOTALS.get()?.unwrap_or_default())
}

impl Totals {
    /// Counts an order that begins or ends to be live.
    pub fn count_live(&mut self, handler: Handler, is_live: bool) {
        let count = |number: u64| match is_live {
            true => number.saturating_add(1),
            false => number.saturating_sub(1),
        };
        self.live = count(self.live);
        if !handler.is_known() {
            self.unknown = count(self.unknown);
        }
    }
}
