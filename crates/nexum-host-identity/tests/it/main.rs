//! Behaviours of the identity capability, with modules in a whole host.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod host;
mod refusals;
mod signatures;
