//! Tools for the tests of nexum.
//!
//! - [`FakeClock`]: a clock that stands still until a test moves it.
//! - [`Node`]: a scripted Ethereum node over HTTP and WebSocket, with a model chain and with every
//!   fault of an endpoint.
//! - [`Anvil`]: a real local node.
//! - [`OrderBook`]: an order book that validates its requests, and orders for it: [`order_book`].
//! - [`Kms`]: the key management services of AWS and Google Cloud, which check their requests.
//! - [`cow`]: a local node with the contracts of CoW Protocol.
//! - [`accounts`]: accounts with keystores and funds.
//! - [`Gate`]: a TCP proxy that a test closes and opens.
//! - [`Relay`]: a proxy between a client and a node, which can fail at random.
//! - [`Daemon`]: a nexum process, with its log, its metrics and its answers.
//! - [`ScriptedSource`]: a chain without a node, for tests of the event path alone.
//! - [`Postgres`]: a real database server.
//! - [`Records`]: captured log records.
//! - [`Counts`]: captured metrics.
//! - [`tls`]: TLS with certificates of a test's own authority.
//! - [`guests`]: the built guests of `modules/`.
//! - [`bench`](mod@bench): bench results with their baselines.
//!
//! The shipped binary contains none of this. Every failure is a panic with its reason, because a
//! test cannot continue after it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed helper fails the test"
)]

pub mod accounts;
pub mod bench;
pub mod cow;
pub mod guests;
pub mod order_book;
pub mod tls;

pub use anvil::{Anvil, AnvilOptions};
pub use clock::FakeClock;
pub use counts::Counts;
pub use daemon::{Daemon, Exported, LogRecord};
pub use gate::Gate;
pub use installation::{Installation, Member};
pub use kms::{Kms, KmsFault, KmsOperation, KmsRequest};
pub use node::{
    Answer, BatchFault, Block, Blooms, Call, Chain, Log, LogSpec, LogsLimit, LostLogs, Node, Provider, Transport,
    WAIT_MAX,
};
pub use order_book::OrderBook;
pub use postgres::{Postgres, Standby};
pub use proxy::run_with_proxy;
pub use records::{Record, Records};
pub use relay::Relay;
pub use source::{GENESIS_MS, ScriptedSource};
pub use store::{FaultyStore, journal, kept};

mod anvil;
mod clock;
mod counts;
mod daemon;
mod draw;
mod gate;
mod installation;
mod kms;
mod listener;
mod node;
mod postgres;
mod proxy;
mod records;
mod relay;
mod source;
mod store;

/// The default chain id of [`Node`] and [`Anvil`]: Sepolia, which the CoW libraries support.
pub const TEST_CHAIN_ID: u64 = 11_155_111;
