//! The core's guarantees, one module per topic. Guests are real ones.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod commits;
mod contract;
mod durable;
mod engine;
mod events;
mod failures;
mod files;
mod fixtures;
mod functions;
mod histories;
mod hosts;
mod ledger;
mod loading;
mod membership;
mod queries;
mod schedules;
mod sdk;
mod state;
mod status;
mod steering;
mod subscriptions;
mod support;
mod triggers;
