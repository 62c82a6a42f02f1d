//! Transactions of modules in a whole host, on a real node behind a gateway that fails and lies as told.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod faults;
mod gateway;
mod histories;
mod tender;
mod world;
