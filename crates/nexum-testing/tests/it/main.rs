//! Tests of the test tools.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod anvil;
mod clock;
mod cow_chain;
mod cow_vectors;
mod kms;
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
mod source;
mod support;
