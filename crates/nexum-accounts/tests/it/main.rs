//! Behaviours of accounts: keys, signers and rules.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod config;
mod keystore;
#[cfg(all(feature = "aws", feature = "gcp"))]
mod kms;
mod messages;
mod properties;
mod support;
mod transactions;
mod typed_data;
mod web3signer;
