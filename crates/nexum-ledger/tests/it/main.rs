//! The tests of the ledger's folder.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod bytes;
mod folder;
mod keeping;
mod rows;
