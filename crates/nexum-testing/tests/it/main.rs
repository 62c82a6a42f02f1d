//! Tests of the test tools.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod anvil;
mod clock;
mod node_blocks;
mod node_http;
mod node_limits;
mod node_logs;
mod node_replicas;
mod node_ws;
mod order_book;
mod order_book_checks;
mod order_book_faults;
mod order_book_support;
mod support;
