//! Runs sandboxed WebAssembly components ("modules") on the events of Ethereum chains.
//!
//! # What happens to an event
//!
//! An [`EventSource`](bus::source::EventSource) appends what a chain does to that chain's [`EventLog`](bus::log::EventLog). Each
//! module has a task of its own, its runner, which pulls the next entry that the module subscribes to, calls the
//! module's handler in a sandbox, and commits what the handler wrote together with the new cursor. A source never pushes
//! into a module, so a slow module slows nobody and memory stays bounded.
//!
//! # Where to look
//!
//! | module | what it owns |
//! |---|---|
//! | [`clock`], [`event`], [`metrics`] | time and entropy, what happened on a chain, the names of what is measured |
//! | [`engine`] | the WebAssembly engine: its pool, its time slices, the limits on memory |
//! | [`store`] | where rows are kept, and the committer that makes many commits one transaction |
//! | [`state`] | the rows: what modules keep, how far they have come, how to undo an event; an event's transaction |
//! | [`capability`] | what a module may call |
//! | [`module`] | a module from its files to a running instance |
//! | [`bus`] | the logs between sources and runners |
//! | [`runner`] | one task for each module: its events, failures and commands |
//! | [`query`] | a pool of instances for each module that answers queries |
//! | [`supervisor`] | starts, changes and stops a run |
//!
//! A module of this table refers only to modules above it; `cargo xtask ci isolation` checks that there is no circle. The
//! crate `nexum-config` reads the files that operators and authors write.
//!
//! # Assumptions
//!
//! - Guests, manifests, component files and everything that a source reads are hostile.
//! - A tokio runtime with time enabled drives everything; nothing here blocks one of its threads.
//!
//! # Invariants
//!
//! - This crate names no concrete capability, speaks no JSON-RPC and opens no database.
//! - No guest code runs before its module has passed every check of the [`module::loader`].
//! - A linker holds only the interfaces that its module was granted.
//! - A cursor moves only after what the handler wrote has been committed, or when it wrote nothing.
//! - An instance whose event was rolled back, or reverted, is never entered again.

pub mod bindings;
pub mod bus;
pub mod capability;
pub mod clock;
pub mod engine;
pub mod event;
pub mod metrics;
pub mod module;
pub mod query;
mod rate;
pub mod runner;
pub mod state;
pub mod store;
pub mod supervisor;

/// Any error that can cross a thread: what a port or a capability answers when it cannot say more.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
