//! The cost of effects: transactions of one account beside a client that keeps its nonce in memory, and HTTP requests
//! that change something beside those that read.
//!
//! nexum runs as an operator runs it: a process of its own, beside a local node and an HTTP server.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement runs on the machine's own clock and environment, and cannot go on after a fault"
)]

mod requests;
mod transactions;

use std::path::PathBuf;

use nexum_testing::bench::{self, Figure};

/// The environment variable with the program to measure. The default is the one of this build.
const PROGRAM: &str = "NEXUM_PROGRAM";

#[tokio::main]
async fn main() {
    let mut figures: Vec<Figure> = Vec::new();
    figures.extend(transactions::figures().await);
    figures.extend(requests::figures().await);
    bench::publish("effects", &figures);
}

fn program() -> PathBuf {
    std::env::var_os(PROGRAM).map_or_else(|| env!("CARGO_BIN_EXE_nexum").into(), PathBuf::from)
}
