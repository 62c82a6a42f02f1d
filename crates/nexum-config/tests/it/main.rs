//! What the files of operators and authors mean, one module a topic.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod config;
mod document;
mod manifest;
mod names;
