//! Behaviours of the order book capability, against a fake order book over loopback.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod config;
mod differential;
mod limits;
mod metrics;
mod modules;
mod proxy;
mod requests;
mod retries;
mod secrecy;
mod submit;
mod support;
mod tls;
