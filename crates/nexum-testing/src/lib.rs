//! What the tests of nexum share.
//!
//! - [`FakeClock`]: time that stands still until a test moves it.
//! - [`Node`]: a scripted Ethereum node over real http and ws, with a model chain behind it and every fault an endpoint can
//!   show.
//! - [`Anvil`]: a real local node.
//! - [`OrderBook`]: an order book that checks what it is sent, and the orders to send it: [`order_book`].
//! - [`ScriptedSource`]: a chain without a node, for tests of the event path alone.
//! - [`Records`]: what was logged.
//! - [`Counts`]: what was measured.
//! - [`guests`]: the built guests of `modules/`.
//! - [`bench`](mod@bench): figures of the benches, beside their bare part.
//!
//! Nothing here is in the shipped binary. Every failure is a panic with its reason, because a test cannot go on without
//! what it asked for.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test helper that cannot do its work fails the test"
)]

pub mod bench;
pub mod guests;
pub mod order_book;

pub use anvil::{Anvil, AnvilOptions};
pub use clock::FakeClock;
pub use counts::Counts;
pub use node::{
    Answer, BatchFault, Block, Blooms, Call, Chain, Log, LogSpec, LogsLimit, LostLogs, Node, Provider, Transport,
    WAIT_MAX,
};
pub use order_book::OrderBook;
pub use records::{Record, Records};
pub use source::{GENESIS_MS, ScriptedSource};
pub use store::{FaultyStore, journal, kept};

mod anvil;
mod clock;
mod counts;
mod listener;
mod node;
mod records;
mod source;
mod store;

/// The chain id of [`Node`] and [`Anvil`] unless a test asks for another: Sepolia's, one that the CoW libraries know.
pub const TEST_CHAIN_ID: u64 = 11_155_111;
