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
//! | [`limiter`] | the memory of an instance, and the record of a limit that tripped |
//! | [`capability`], [`grant`], [`ambient`] | what a module may call |
//! | [`engine`], [`loader`], [`instance`] | from a file to a running instance |
//! | [`event`], [`filter`], [`log`], [`source`], [`runner`], [`supervisor`] | the way of an event |
//! | [`query`] | the way of a query: a pool of instances for each module that answers some |
//! | [`scope`], [`state`], [`store`], [`committer`] | one event, one transaction |
//! | [`metrics`] | what is measured |
//!
//! What the operator and the modules' authors wrote is in the crate `nexum-config`.
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

pub mod ambient;
pub mod bindings;
pub mod capability;
pub mod clock;
pub mod committer;
pub mod engine;
pub mod event;
pub mod filter;
pub mod grant;
pub mod instance;
mod lane;
pub mod limiter;
pub mod loader;
pub mod log;
pub mod metrics;
pub mod query;
mod rate;
pub mod recorder;
pub mod runner;
pub mod scope;
pub mod signature;
pub mod source;
pub mod state;
pub mod store;
pub mod supervisor;

/// Any error that can cross a thread: what a port or a capability answers when it cannot say more.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
