//! Behaviours of the chain capability and its source, against a scripted node and a real one.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod anvil;
mod batch;
mod captured;
mod config;
mod endpoints;
mod failures;
mod handshake;
mod journals;
mod metrics;
mod pin;
mod request;
mod schedules;
mod secrecy;
mod sharing;
mod source;
mod source_faults;
mod support;
