//! The back-ends of the state store satisfy the port, through failures of the process and the disk.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod backup;
mod child;
mod cluster;
mod compaction;
mod config;
mod conformance;
mod crash;
mod directory;
mod disk;
#[cfg(target_os = "linux")]
mod failing_sync;
mod full;
mod history;
mod journal;
mod killed;
mod model;
mod postgres;
mod support;
mod tls;
mod transfer;
