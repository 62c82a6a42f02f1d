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
mod node_http;
mod node_ws;
