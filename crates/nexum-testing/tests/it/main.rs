//! Behaviours of the test tools themselves.
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
mod support;
