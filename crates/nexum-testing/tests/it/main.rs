//! The local chain with the contracts of CoW Protocol.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod cow_chain;
mod cow_vectors;
