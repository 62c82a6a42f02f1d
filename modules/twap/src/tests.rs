//! Native tests: the vectors of the real contracts, and flows against a world of scripts.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers outside test functions"
)]

mod answers;
mod book;
mod fairness;
mod flows;
mod hostile;
mod merkle;
mod polls;
mod vectors;
mod world;
