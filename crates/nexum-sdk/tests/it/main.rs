//! Tests of the SDK, from the side of an author: modules against the host of `testing`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers outside test functions"
)]

#[cfg(feature = "abi")]
mod abi;
mod accounts;
#[cfg(feature = "alloy")]
mod alloy;
mod book;
mod chain;
mod compile_errors;
mod config;
mod contract;
mod cow;
mod dispatch;
mod errors;
mod executor;
mod http;
mod module;
mod store;
mod testing;
mod wit;
