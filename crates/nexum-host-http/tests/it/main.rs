//! Behaviours of the HTTP capability, against servers over loopback.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod addresses;
mod answers;
mod config;
mod destinations;
mod metrics;
mod modules;
mod names;
mod patterns;
mod pooling;
mod proxy;
mod redirects;
mod requests;
mod secrecy;
mod server;
mod support;
mod times;
mod tls;
