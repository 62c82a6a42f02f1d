//! Runs sandboxed WebAssembly components ("modules") on the events of Ethereum chains.
//!
//! # What happens to an event
//!
//! An [`EventSource`](source::EventSource) appends what a chain does to that chain's [`EventLog`](log::EventLog). Each
//! module has a task of its own, its runner, which pulls the next entry that the module subscribes to, calls the
//! module's handler in a sandbox, and commits what the handler wrote together with the new cursor. A source never pushes
//! into a module, so a slow module slows nobody and memory stays bounded.
//!
//! # Where to look
//!
//! | module | what it owns |
//! |---|---|
//! | [`config`], [`manifest`], [`document`] | what the operator and the module's author wrote, validated |
//! | [`limits`], [`limiter`], [`restart`] | what a module may use, the record of a limit that tripped, and what becomes of a failure |
//! | [`capability`], [`grant`], [`ambient`] | what a module may call |
//! | [`engine`], [`component`], [`loader`], [`instance`] | from a file to a running instance |
//! | [`topic`], [`log_filter`], [`event`], [`filter`], [`log`], [`source`], [`schedule`], [`runner`], [`supervisor`] | the way of an event |
//! | [`query`] | the way of a query: a pool of instances for each module that answers some |
//! | [`scope`], [`state`], [`store`], [`committer`] | one event, one transaction |
//! | [`metrics`] | what is measured |
//!
//! Without the feature `runtime` there is no wasmtime in the crate. Then it reads what was written and runs nothing: of the
//! modules above it has those of the first row, and what they need.
//!
//! # Assumptions
//!
//! - Guests, manifests, component files and everything that a source reads are hostile.
//! - A tokio runtime with time enabled drives everything; nothing here blocks one of its threads.
//!
//! # Invariants
//!
//! - This crate names no concrete capability, speaks no JSON-RPC and opens no database.
//! - No guest code runs before its module has passed every check of the [`loader`].
//! - A linker holds only the interfaces that its module was granted.
//! - A cursor moves only after what the handler wrote has been committed, or when it wrote nothing.
//! - An instance whose event was rolled back, or reverted, is never entered again.

#[cfg(feature = "runtime")]
pub mod ambient;
#[cfg(feature = "runtime")]
pub mod bindings;
#[cfg(feature = "runtime")]
pub mod capability;
#[cfg(feature = "runtime")]
pub mod clock;
#[cfg(feature = "runtime")]
pub mod committer;
pub mod component;
pub mod config;
pub mod document;
#[cfg(feature = "runtime")]
pub mod engine;
#[cfg(feature = "runtime")]
pub mod event;
#[cfg(feature = "runtime")]
pub mod filter;
#[cfg(feature = "runtime")]
pub mod grant;
#[cfg(feature = "runtime")]
pub mod instance;
#[cfg(feature = "runtime")]
mod lane;
#[cfg(feature = "runtime")]
pub mod limiter;
pub mod limits;
#[cfg(feature = "runtime")]
pub mod loader;
#[cfg(feature = "runtime")]
pub mod log;
pub mod log_filter;
pub mod manifest;
#[cfg(feature = "runtime")]
pub mod metrics;
pub mod names;
pub mod query;
#[cfg(feature = "runtime")]
mod rate;
#[cfg(feature = "runtime")]
pub mod recorder;
pub mod restart;
#[cfg(feature = "runtime")]
pub mod runner;
pub mod schedule;
#[cfg(feature = "runtime")]
pub mod scope;
#[cfg(feature = "runtime")]
pub mod signature;
#[cfg(feature = "runtime")]
pub mod source;
#[cfg(feature = "runtime")]
pub mod state;
#[cfg(feature = "runtime")]
pub mod store;
#[cfg(feature = "runtime")]
pub mod supervisor;
pub mod topic;

/// Any error that can cross a thread: what a port or a capability answers when it cannot say more.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
