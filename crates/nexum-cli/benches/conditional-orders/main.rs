//! The cost of conditional orders in the module `twap`, beside the public watch-tower and beside a bare
//! node.
//!
//! nexum runs as an operator runs it: a process of its own, beside a local node with the contracts and an
//! order book. A time is from the request that mines a block to the log record of the handled block,
//! so that it includes the node's own time to mine.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement runs on the machine's own clock and environment, and cannot go on after a fault"
)]

mod due;
mod polled;
mod public_tower;
mod setting;
mod start;
mod waiting;

use nexum_testing::bench::{self, Figure};

/// The orders of most measurements.
const ORDERS: u64 = 1_000;

#[tokio::main]
async fn main() {
    let mut figures: Vec<Figure> = Vec::new();
    figures.extend(waiting::figures().await);
    figures.extend(polled::figures().await);
    figures.extend(due::figures().await);
    bench::publish("conditional-orders", &figures);
}
