//! Tests of the files that operators and module authors write, one module for each topic.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod aliases;
mod component_toml;
mod config;
mod document;
mod interface;
mod manifest;
mod names;
mod pages;
mod references;
